"""Wrapped against plain in turns, so that whatever drifts hits both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.bench.figures import p50, p90
from tests.bench.fsyncs import FsyncCount

Call = Callable[[int], object]
"""One call of the host; it gets its number, so that each can be another."""

_LEAST_CALLS = 5


@dataclass(slots=True)
class Side:
    """One of the two: seconds of each call, round by round.

    Args:
        rounds_s: times of the calls.
        fsyncs: of the process, during them.
    """

    rounds_s: list[list[float]] = field(default_factory=list)
    fsyncs: int = 0

    @property
    def all_s(self) -> list[float]:
        """The times of all rounds."""
        return [each for times in self.rounds_s for each in times]

    @property
    def fsyncs_a_call(self) -> float:
        """On average."""
        return self.fsyncs / len(self.all_s)

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {"rounds_s": self.rounds_s, "fsyncs": self.fsyncs}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What both sides took."""

    plain: Side
    wrapped: Side

    @property
    def ratio_p50(self) -> float:
        """Median of the wrapped calls by that of the plain ones."""
        return p50(self.wrapped.all_s) / p50(self.plain.all_s)

    @property
    def ratio_p90(self) -> float:
        """The same of the 90th percentiles."""
        return p90(self.wrapped.all_s) / p90(self.plain.all_s)

    @property
    def round_ratios(self) -> list[float]:
        """Ratio of the medians of each round."""
        pairs = zip(self.wrapped.rounds_s, self.plain.rounds_s, strict=True)
        return [p50(wrapped) / p50(plain) for wrapped, plain in pairs]

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "ratio_p50": self.ratio_p50,
            "ratio_p90": self.ratio_p90,
            "round_ratios": self.round_ratios,
            "plain": self.plain.to_json(),
            "wrapped": self.wrapped.to_json(),
        }


def compare(
    plain: Call,
    wrapped: Call,
    *,
    rounds: int,
    round_s: float,
    syncs: FsyncCount,
    settle: Callable[[], None] = lambda: None,
    prepare: Callable[[], None] = lambda: None,
) -> Comparison:
    """Plain and wrapped in turns: A, B, A, B, …

    Args:
        plain: a call of the plain host.
        wrapped: the same call, recorded.
        rounds: how many turns each side gets; one more is taken first and left out.
        round_s: how long a turn should take, about.
        syncs: this process's count.
        settle: called after each wrapped turn, such as to let a relay finish, so that the plain
            turn after it does not pay for it.
        prepare: called before each call of either side, outside of what is measured.
    """
    warm = _take(plain, 0, _LEAST_CALLS, prepare)
    _take(wrapped, 0, _LEAST_CALLS, prepare)
    settle()
    calls = max(_LEAST_CALLS, int(round_s / p50(warm)))
    sides = Side(), Side()
    for turn in range(rounds):
        first = _LEAST_CALLS + turn * calls
        for side, call in zip(sides, (plain, wrapped), strict=True):
            before = syncs.read()
            side.rounds_s.append(_take(call, first, calls, prepare))
            side.fsyncs += syncs.read() - before
        settle()
    return Comparison(*sides)


def _take(call: Call, first: int, calls: int, prepare: Callable[[], None]) -> list[float]:
    times = []
    clock = time.perf_counter
    for number in range(first, first + calls):
        prepare()
        started = clock()
        call(number)
        times.append(clock() - started)
    return times
