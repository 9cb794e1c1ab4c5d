"""Things, what is known of them, and what came of what: filled while it is walked. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from chain_client.events import Json
from chain_client.traces import (
    DAG_RUN,
    DAG_VERSION,
    DATASET,
    LOGGED_MODEL,
    MODEL_VERSION,
    RUN,
    TARGET,
    TASK_TRY,
    Fact,
    Gap,
    Link,
    LoggedEvent,
    Node,
    Traced,
)

KINDS: Final = (
    TARGET,
    MODEL_VERSION,
    LOGGED_MODEL,
    RUN,
    DATASET,
    TASK_TRY,
    DAG_RUN,
    DAG_VERSION,
)
"""The kinds in the order in which a lineage goes back through them."""

LinkKey: TypeAlias = tuple[Node, Node, str]
_Part: TypeAlias = "tuple[int, int, str]"


@dataclass(slots=True)
class Graph:
    """What was found.

    Args:
        facts: what is known of each thing, by name.
        told: the events that say it, by their index in the log.
        links: by later thing, earlier thing and relation.
        gaps: what is missing.
    """

    facts: dict[Node, dict[str, Json]] = field(default_factory=dict)
    told: dict[Node, dict[int, LoggedEvent]] = field(default_factory=dict)
    links: dict[LinkKey, Link] = field(default_factory=dict)
    gaps: dict[tuple[Node, str], Gap] = field(default_factory=dict)

    def add_node(self, node: Node) -> bool:
        """Whether the thing is new here."""
        if node in self.facts:
            return False
        self.facts[node] = {}
        self.told[node] = {}
        return True

    def add(self, traced: Traced) -> None:
        """Take in what an adapter said; things that are not here yet come with it.

        Of several words for one link the one counts that is no mere claim, and that still holds.
        """
        if isinstance(traced, Gap):
            self.gaps.setdefault((traced.node, traced.text), traced)
        elif isinstance(traced, Fact):
            self.add_node(traced.node)
            self.facts[traced.node].update(traced.values)
            self.told[traced.node][traced.evidence.index] = traced.evidence
        else:
            self.add_node(traced.later)
            self.add_node(traced.earlier)
            key = (traced.later, traced.earlier, traced.relation)
            known = self.links.get(key)
            if known is None or _weight(traced) > _weight(known):
                self.links[key] = traced

    def mark(self, link: Link, **changes: str | bool) -> None:
        """Say something else of a link that is here."""
        key = (link.later, link.earlier, link.relation)
        self.links[key] = replace(link, **changes)  # type: ignore[arg-type]

    def joined(self, other: Graph) -> Graph:
        """Both in one."""
        whole = Graph()
        for graph in (self, other):
            for node, facts in graph.facts.items():
                whole.add_node(node)
                whole.facts[node].update(facts)
                whole.told[node].update(graph.told[node])
            for link in graph.links.values():
                whole.add(link)
            whole.gaps.update(graph.gaps)
        return whole

    def nodes(self) -> list[Node]:
        """All things, in one order whatever way they were found."""
        return sorted(self.facts, key=node_order)

    def origins_of(self, node: Node) -> list[Link]:
        """What a thing came of."""
        return sorted((one for one in self.links.values() if one.later == node), key=link_order)

    def results_of(self, node: Node) -> list[Link]:
        """What came of a thing."""
        return sorted((one for one in self.links.values() if one.earlier == node), key=link_order)

    def ordered_links(self) -> list[Link]:
        """All links, in one order."""
        return sorted(self.links.values(), key=link_order)

    def gaps_of(self, node: Node) -> list[Gap]:
        """What is missing of a thing, as it was found."""
        return [gap for (of, _), gap in self.gaps.items() if of == node]

    def events_of(self, node: Node) -> list[LoggedEvent]:
        """The events that tell of a thing, in log order."""
        return [event for _, event in sorted(self.told.get(node, {}).items())]


def _weight(link: Link) -> tuple[bool, bool]:
    return not link.is_claimed, not link.is_over


def node_order(node: Node) -> tuple[object, ...]:
    """Key by which things are sorted: by kind, then by id, numbers in it by their size."""
    kind = KINDS.index(node.kind) if node.kind in KINDS else len(KINDS)
    return kind, node.kind, node.store, _natural(node.id)


def link_order(link: Link) -> tuple[object, ...]:
    """Key by which links are sorted: by the kinds that they lead to, then as the log tells them."""
    return (
        KINDS.index(link.later.kind),
        KINDS.index(link.earlier.kind),
        link.evidence.index,
        node_order(link.later),
        node_order(link.earlier),
        link.relation,
    )


def _natural(text: str) -> tuple[_Part, ...]:
    parts = re.split("([0-9]{1,18})", text)
    return tuple((1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts)


def only_among(traced: Iterable[Traced], nodes: Mapping[Node, object]) -> Iterable[Traced]:
    """Those that speak of no other thing, without what they miss further on."""
    for one in traced:
        if isinstance(one, Link):
            if one.later in nodes and one.earlier in nodes:
                yield one
        elif one.node in nodes and (isinstance(one, Fact) or one.evidence is not None):
            yield one
