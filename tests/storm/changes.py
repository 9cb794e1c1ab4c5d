"""What is compared: changes, as the database committed them and as leaves claim them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from tests.storm.names import is_contended

Change: TypeAlias = tuple[object, ...]
"""Kind first, then the entity, last the values: all that tells it from any other change."""

REPEATABLE = frozenset({"tag gone", "alias gone", "alias"})
"""Kinds of calls that succeed without a change when somebody contended was faster."""


def number(value: object) -> object:
    """A float so that it compares: one NaN, one zero."""
    if isinstance(value, float):
        return "nan" if value != value else value + 0.0
    return value


@dataclass
class Comparison:
    """The committed changes against the claimed ones.

    Args:
        committed: from the trace.
        claimed: from the leaves; of rows that several calls may have made, each call claims one.
        made_once: rows that the first of several calls makes.
    """

    committed: Counter[Change]
    claimed: Counter[Change]
    made_once: frozenset[str] = frozenset({"dataset row"})
    unclaimed: list[Change] = field(default_factory=list)
    invented: list[Change] = field(default_factory=list)

    def compare(self) -> Comparison:
        """Fill in what differs."""
        self.unclaimed = sorted((self.committed - self.claimed).elements(), key=repr)
        more = self.claimed - self.committed
        self.invented = sorted(
            (change for change in more.elements() if not self._may_repeat(change)), key=repr
        )
        return self

    def _may_repeat(self, change: Change) -> bool:
        if change[0] in self.made_once:
            return self.committed[change] >= 1
        return change[0] in REPEATABLE and any(map(is_contended, change[1:]))


def counted(changes: Iterable[Change]) -> Counter[Change]:
    """How often each change is there."""
    return Counter(changes)
