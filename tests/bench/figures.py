"""What the bench prints and writes: samples, their percentiles, rows of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


def percentile(samples: Sequence[float], percent: float) -> float:
    """The value below or at which ``percent`` of the samples lie (nearest rank)."""
    ordered = sorted(samples)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def p50(samples: Sequence[float]) -> float:
    """Median by nearest rank."""
    return percentile(samples, 50)


def p90(samples: Sequence[float]) -> float:
    """90th percentile by nearest rank."""
    return percentile(samples, 90)


@dataclass(slots=True)
class Row:
    """One line of the table.

    Args:
        name: by which ``--rows`` chooses it.
        work: what was done.
        target: what section 10 of the architecture asks for.
        result: what is compared with the target.
        met: whether it meets it; None where the target does not apply to what was measured.
        p50: median of what was measured.
        p90: 90th percentile of it.
        spread: least and greatest result among the rounds.
        fsyncs: how many, where durability is claimed.
        notes: sentences below the table.
        raw: every figure behind the line.
    """

    name: str
    work: str
    target: str
    result: str
    met: bool | None
    p50: str = ""
    p90: str = ""
    spread: str = ""
    fsyncs: str = ""
    notes: list[str] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


def time_text(seconds: float) -> str:
    """A duration in the unit that suits it."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.1f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.2f} ms"
    return f"{seconds:.2f} s"


def span_text(values: Sequence[float], form: str = ".2f") -> str:
    """Least and greatest."""
    return f"{min(values):{form}}–{max(values):{form}}"
