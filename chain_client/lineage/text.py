"""A lineage as lines for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from chain_client.lineage.document import Status
from chain_client.lineage.graph import Graph
from chain_client.lineage.labels import (
    INVERSE,
    KIND_NAMES,
    shown_links,
    to_details,
    to_evidence,
    to_title,
)
from chain_client.lineage.walking import Direction
from chain_client.shown_text import escape_unprintable
from chain_client.traces import Link, Node


def to_lines(
    graph: Graph, starts: Sequence[Node], direction: Direction, status: Status
) -> Iterator[str]:
    """The tree from each start; what stands in it already is only named again."""
    seen: set[Node] = set()
    links: dict[Node, list[Link]] = {}
    for link in shown_links(graph):
        here = link.later if direction is Direction.ORIGINS else link.earlier
        links.setdefault(here, []).append(link)
    for number, start in enumerate(starts):
        if number:
            yield ""
        yield from _tree(graph, links, start, direction, status, seen)


def _tree(
    graph: Graph,
    links_at: Mapping[Node, list[Link]],
    start: Node,
    direction: Direction,
    status: Status,
    seen: set[Node],
) -> Iterator[str]:
    # By hand, not by recursion: a chain of copies may be longer than Python's stack.
    stack: list[tuple[Node, Link | None, str, bool]] = [(start, None, "", True)]
    while stack:
        node, link, margin, is_last = stack.pop()
        below = margin if link is None else margin + ("   " if is_last else "│  ")
        again = node in seen
        seen.add(node)
        links = [] if again else links_at.get(node, [])
        yield _first_line(graph, node, link, margin, is_last, direction) + (
            "  (see above)" if again else ""
        )
        bar = "│  " if links else "   "
        told = {one.evidence.index for one in links}
        for line in _about(graph, node, link, status, told, again=again):
            yield f"{below}{bar}{escape_unprintable(line)}"
        for place, one in reversed(list(enumerate(links))):
            further = one.earlier if direction is Direction.ORIGINS else one.later
            stack.append((further, one, below, place == len(links) - 1))


def _first_line(
    graph: Graph,
    node: Node,
    link: Link | None,
    margin: str,
    is_last: bool,
    direction: Direction,
) -> str:
    title = escape_unprintable(f"{KIND_NAMES[node.kind]} {to_title(node, graph.facts[node])}")
    if link is None:
        return title
    relation = link.relation if direction is Direction.ORIGINS else INVERSE[link.relation]
    if link.is_over:
        relation += " once"
    return f"{margin}{'└─' if is_last else '├─'} {relation} {title}"


def _about(
    graph: Graph, node: Node, link: Link | None, status: Status, told: set[int], *, again: bool
) -> Iterator[str]:
    """What is known of a thing; the entries of its links, which are ``told``, are not repeated."""
    if link is not None:
        yield to_evidence(link.evidence, status(link.evidence.index))
        if link.is_claimed:
            yield f"CLAIMED: {link.note or 'nothing confirms it'}"
        elif link.note:
            yield link.note
    if again:
        return
    yield from to_details(node, graph.facts[node])
    if link is not None:
        told = told | {link.evidence.index}
    for found in graph.events_of(node):
        if found.index not in told and found.event is not None:
            what = found.event.type.rpartition(".")[2].replace("_", " ")
            yield f"{what}: {to_evidence(found, status(found.index))}"
    for gap in graph.gaps_of(node):
        yield f"? {gap.text}"
