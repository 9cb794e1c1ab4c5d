"""What a relay knows of itself and of its log: for health, metrics and alarms."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from chain_client.observing import ObserverFigures


class Role(StrEnum):
    """What a running relay does beside reading its spool."""

    ANCHORS = "anchors"
    STANDS_BY = "stands by"
    INGESTS_ONLY = "ingests only"
    WAITS = "waits"
    """Another relay of the same home works."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One look; None is what could not be read.

    Args:
        role: of this relay.
        anchored_by: who anchors, as its lease names it.
        entries: in the log.
        anchored: of them, how many a head on chain covers.
        final: of them, how many a final head covers.
        oldest_waiting_s: age of the oldest that none covers.
        alarms: kind and subject of each that stands.
        trouble: why this relay can't do its work now.
    """

    role: Role
    anchored_by: str | None = None
    entries: int | None = None
    anchored: int | None = None
    final: int | None = None
    oldest_waiting_s: float | None = None
    alarms: tuple[tuple[str, str], ...] = ()
    trouble: tuple[str, ...] = ()


@dataclass(slots=True)
class Tally:
    """What this process has done since it began; written by one thread, read by any."""

    sequenced: int = 0
    anchors: int = 0
    anchored: int = 0
    gas_used: int = 0
    balance_wei: int | None = None
    """Of the log writer, as last seen; None on a chain without fees."""
    figures: Figures = field(default_factory=lambda: Figures(Role.WAITS))
    observers: tuple[ObserverFigures, ...] = ()
    """What became of what plugins were told of proposals and alarms."""
    round_us: int | None = None
    """Monotonic time of the last round; None before the first."""


def find_reasons(tally: Tally, now_us: int, limit_s: float) -> list[str]:
    """Why a relay is not ready; empty if it is.

    Args:
        tally: of the relay.
        now_us: monotonic time.
        limit_s: a relay whose last round is longer ago hangs.
    """
    figures = tally.figures
    if figures.role is Role.WAITS:
        return list(figures.trouble)
    if tally.round_us is None:
        return ["the first round is not over"]
    silent_s = (now_us - tally.round_us) / 1e6
    hangs = [f"the last round was {silent_s:.0f} s ago"] if silent_s > limit_s else []
    return [*hangs, *figures.trouble]
