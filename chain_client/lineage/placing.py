"""Where things stand in a drawing: earlier ones to the left of what came of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from chain_client.lineage.graph import node_order
from chain_client.traces import (
    DAG_RUN,
    DAG_VERSION,
    DATASET,
    LOGGED_MODEL,
    MODEL_VERSION,
    RUN,
    TARGET,
    TASK_TRY,
    Link,
    Node,
)

_LEAST: Final[Mapping[str, int]] = {
    DAG_VERSION: 0,
    DAG_RUN: 1,
    TASK_TRY: 2,
    DATASET: 2,
    RUN: 3,
    LOGGED_MODEL: 4,
    MODEL_VERSION: 5,
    TARGET: 6,
}
"""The column that a kind stands in, unless something of its own kind is before it."""
_ROUNDS: Final = 4


def place(nodes: Sequence[Node], links: Sequence[Link]) -> list[list[Node]]:
    """The columns from left to right, each from top to bottom; none is empty.

    A link that would lead back, as of a run that used the model it had logged, moves nothing.
    """
    column = {node: _LEAST.get(node.kind, 0) for node in nodes}
    forward = [link for link in links if _LEAST[link.earlier.kind] <= _LEAST[link.later.kind]]
    # So many rounds suffice without a circle; with one, it ends all the same.
    for _ in range(len(nodes)):
        moved = False
        for link in forward:
            if link.later != link.earlier and column[link.later] <= column[link.earlier]:
                column[link.later] = column[link.earlier] + 1
                moved = True
        if not moved:
            break
    used = sorted(set(column.values()))
    columns: list[list[Node]] = [[] for _ in used]
    for node in sorted(nodes, key=node_order):
        columns[used.index(column[node])].append(node)
    _untangle(columns, links)
    return columns


def _untangle(columns: list[list[Node]], links: Sequence[Link]) -> None:
    """Put what is linked beside each other, as far as a few rounds bring it."""
    beside: dict[Node, list[Node]] = {}
    for link in links:
        beside.setdefault(link.later, []).append(link.earlier)
        beside.setdefault(link.earlier, []).append(link.later)
    row = {node: number for column in columns for number, node in enumerate(column)}
    for round_number in range(_ROUNDS):
        for column in columns if round_number % 2 == 0 else reversed(columns):
            weights = {
                node: sum(row[one] for one in beside[node]) / len(beside[node])
                if beside.get(node)
                else float(row[node])
                for node in column
            }
            column.sort(key=lambda node: (weights[node], node_order(node)))
            row.update({node: number for number, node in enumerate(column)})
