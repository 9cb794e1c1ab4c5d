"""A lineage as JSON for programs; the shape is stable within a `FORMAT`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from chain_client.events import Json
from chain_client.lineage.graph import Graph
from chain_client.lineage.labels import to_time, to_title
from chain_client.lineage.walking import Direction
from chain_client.traces import Gap, Link, LoggedEvent, Node
from chain_client.types import to_hex

FORMAT: Final = 1

Status = Callable[[int], str]
"""How far the entry with an index has come."""


def to_document(
    graphs: Sequence[tuple[Direction, Graph]], starts: Sequence[Node], size: int, status: Status
) -> dict[str, Json]:
    """All of it.

    Args:
        graphs: what was found in each direction.
        starts: what was asked for.
        size: entries of the log.
        status: see `Status`.
    """
    return {
        "format": FORMAT,
        "log_size": size,
        "starts": [to_key(node) for node in starts],
        "lineages": [
            {
                "direction": direction.value,
                "nodes": [_node(graph, node, status) for node in graph.nodes()],
                "links": [_link(link, status) for link in graph.ordered_links()],
                "missing": [_gap(gap) for gap in graph.gaps.values()],
            }
            for direction, graph in graphs
        ],
    }


def to_key(node: Node) -> str:
    """What a thing is called within a document; unique there, and the same in every one."""
    return f"{node.kind}:{node.store}/{node.id}"


def _node(graph: Graph, node: Node, status: Status) -> dict[str, Json]:
    facts = graph.facts[node]
    return {
        "key": to_key(node),
        "kind": node.kind,
        "store": node.store,
        "id": node.id,
        "title": to_title(node, facts),
        "facts": dict(sorted(facts.items())),
        "entries": [_entry(found, status) for found in graph.events_of(node)],
    }


def _link(link: Link, status: Status) -> dict[str, Json]:
    return {
        "later": to_key(link.later),
        "earlier": to_key(link.earlier),
        "relation": link.relation,
        "claimed": link.is_claimed,
        "over": link.is_over,
        "note": link.note or None,
        "entry": _entry(link.evidence, status),
    }


def _gap(gap: Gap) -> dict[str, Json]:
    return {
        "key": to_key(gap.node),
        "text": gap.text,
        "index": None if gap.evidence is None else gap.evidence.index,
    }


def _entry(found: LoggedEvent, status: Status) -> dict[str, Json]:
    event = found.event
    return {
        "index": found.index,
        "status": status(found.index),
        "event": None if event is None else to_hex(event.event_id),
        "type": None if event is None else event.type,
        "time": None if event is None else to_time(event.time_us),
        "time_us": None if event is None else event.time_us,
    }
