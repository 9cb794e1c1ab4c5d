"""What one round of reading did."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Round:
    """What one round did."""

    entries: int = 0
    """Entries that were added to the log."""
    records: int = 0
    """Records, and damaged places, that were read; 0 means that the spool's end was reached."""
    live_sources: int = 0
    in_doubt: int = 0
    arriving: bool = False
    """Whether something is being fetched that was handed over elsewhere."""
    held_back: bool = False
    """Whether nothing could be taken from the spool, as the payload store is away."""
    unread: bool = False
    """Whether so much was read that more is likely there."""
    oldest_us: int | None = None
    """Claimed time of the oldest entry that was added."""
    problems: list[str] = field(default_factory=list)

    def add(self, other: Round) -> None:
        """Count what another reading in the same round did."""
        self.entries += other.entries
        self.records += other.records
        self.live_sources += other.live_sources
        self.in_doubt += other.in_doubt
        self.arriving |= other.arriving
        self.unread |= other.unread
        ages = [age for age in (self.oldest_us, other.oldest_us) if age is not None]
        self.oldest_us = min(ages, default=None)
        self.problems += other.problems
