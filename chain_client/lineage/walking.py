"""Following what events tie together, one step after the other. Pure, but for the log it is given.

A walk is bounded: beyond `MOST` things it goes no further, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from enum import StrEnum
from typing import Final

from chain_client.lineage.confirming import confirm
from chain_client.lineage.graph import Graph, node_order, only_among
from chain_client.lineage.tasks import complete
from chain_client.traces import Fact, Gap, Link, Logged, Node, Traced, Traces

MOST: Final = 2_000
"""Things in one lineage."""


class Direction(StrEnum):
    """Which way to go."""

    ORIGINS = "origins"
    """What it came of."""
    RESULTS = "results"
    """What came of it."""


def walk(
    starts: Collection[Node],
    direction: Direction,
    tracers: Sequence[Traces],
    logged: Logged,
    *,
    most: int = MOST,
) -> Graph:
    """Everything that the starts came of, or that came of them.

    Guarantee: the same log gives the same graph, and each thing is asked about once.

    Args:
        starts: where to begin.
        direction: which way.
        tracers: the adapters.
        logged: the log.
        most: things after which it stops; what is left out is a gap of the first start.
    """
    graph = Graph()
    for node in starts:
        graph.add_node(node)
    frontier = list(graph.facts)
    while frontier:
        frontier = sorted(_step(graph, frontier, direction, tracers, logged, most), key=node_order)
    if direction is Direction.RESULTS:
        # What each of them says of itself; where else it came of is not asked.
        found = list(graph.facts)
        for traced in _asked(tracers, Direction.ORIGINS, found, logged):
            for known in only_among([traced], graph.facts):
                graph.add(known)
    confirm(graph)
    return graph


def _step(
    graph: Graph,
    frontier: Sequence[Node],
    direction: Direction,
    tracers: Sequence[Traces],
    logged: Logged,
    most: int,
) -> list[Node]:
    """The things that were not met before."""
    fresh: list[Node] = []
    for traced in _asked(tracers, direction, frontier, logged):
        unknown = [node for node in _things(traced) if node not in graph.facts]
        if unknown and len(graph.facts) + len(unknown) > most:
            first = next(iter(graph.facts))
            graph.add(Gap(first, f"there is more: only {most:,} things are followed"))
            return []
        fresh += unknown
        graph.add(traced)
    return list(dict.fromkeys(fresh))


def _asked(
    tracers: Sequence[Traces], direction: Direction, nodes: Sequence[Node], logged: Logged
) -> Iterator[Traced]:
    for tracer in tracers:
        ask: Callable[[Collection[Node], Logged], Iterator[Traced]] = (
            tracer.origins if direction is Direction.ORIGINS else tracer.results
        )
        for traced in ask(nodes, logged):
            yield complete(traced, logged)


def _things(traced: Traced) -> tuple[Node, ...]:
    if isinstance(traced, Link):
        return traced.later, traced.earlier
    return (traced.node,) if isinstance(traced, Fact) else ()
