"""What preceded what, and what a field may hold after concurrent writes. Pure.

Nobody records the order in which a database carried out concurrent writes. So a field may hold
any recorded value that is not known to precede another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from chain_client.events import Event, OutcomeStatus

TOLERANCE_US: Final = 300_000_000
"""How far the clocks of different machines, or boots, may differ."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a write ran, as far as it is known.

    Args:
        source: the spool it came through.
        sequence: its place there.
        settled_at: see `chain_client.events.Timing`.
        boot: boot of the machine, None if unknown; one boot has one monotonic clock.
        started_us: monotonic clock at the intent.
        ended_us: monotonic clock at the outcome.
        time_us: claimed wall time of the intent.
        place: position in the log.
        sure: whether the write is known to have happened.
    """

    source: bytes
    sequence: int
    settled_at: int | None
    boot: str | None
    started_us: int
    ended_us: int | None
    time_us: int
    place: int
    sure: bool = True

    @classmethod
    def of(cls, event: Event, boot: str | None, place: int) -> Stamp:
        """The stamp of an event that may have happened."""
        timing = event.timing
        return cls(
            event.source_id,
            event.sequence,
            timing.settled_at,
            boot,
            timing.started_us,
            timing.ended_us,
            event.time_us,
            place,
            event.status is not OutcomeStatus.UNDETERMINED,
        )


def precedes(first: Stamp, second: Stamp) -> bool:
    """Whether ``first`` is known to have ended before ``second`` began."""
    if first.source == second.source:
        if first.settled_at is not None:
            return first.settled_at <= second.sequence
    elif first.boot is not None and first.boot == second.boot and first.ended_us is not None:
        return first.ended_us < second.started_us
    lasted_us = 0 if first.ended_us is None else first.ended_us - first.started_us
    ended_at_us = first.time_us + lasted_us
    return first.place < second.place and ended_at_us + TOLERANCE_US < second.time_us


class Absent:
    """Stands for a field or key that does not exist."""

    def __repr__(self) -> str:
        return "absent"


class Unknown:
    """Stands for a value that the store chose and nobody saw; equal to whatever is there."""

    def __repr__(self) -> str:
        return "unknown"


ABSENT: Final = Absent()
UNKNOWN: Final = Unknown()


class Register:
    """A field that is overwritten: keeps the writes that may be the last.

    Of one source a later write takes the place of an earlier one. Writes of other sources stay,
    also those known to be older than another: what they are known to have overwritten, the other
    need not be known to.
    """

    __slots__ = ("_writes",)

    def __init__(self) -> None:
        self._writes: list[tuple[Stamp, object]] = []

    def write(self, stamp: Stamp, value: object) -> None:
        """Add a write, in any order."""
        kept = []
        for write in self._writes:
            old = write[0]
            if old.source == stamp.source:
                if old.sure and precedes(stamp, old):
                    return
                if stamp.sure and precedes(old, stamp):
                    continue
            kept.append(write)
        kept.append((stamp, value))
        self._writes = kept

    def writes(self) -> Iterator[tuple[Stamp, object]]:
        """The writes that are kept, in the order in which they were given."""
        yield from self._writes

    def merge(self, other: Register) -> Register:
        """One field whose writes were recorded under two names."""
        merged = Register()
        for stamp, value in (*self._writes, *other._writes):
            merged.write(stamp, value)
        return merged

    def values(self) -> list[object]:
        """Every value that the field may hold, the latest recorded last."""
        writes = self._writes
        if len(writes) == 1:
            stamp, value = writes[0]
            return [value] if stamp.sure or value is ABSENT else [ABSENT, value]
        last = [
            write
            for write in writes
            if not any(other.sure and precedes(write[0], other) for other, _ in writes)
        ]
        found: list[object] = []
        for _, value in sorted(last, key=lambda write: write[0].place):
            if value not in found:
                found.append(value)
        if last and not any(stamp.sure for stamp, _ in last) and ABSENT not in found:
            # Nothing is sure to have been written, so what was before may be there too.
            found.insert(0, ABSENT)
        return found

    def allows(self, actual: object) -> bool:
        """Whether the field may hold ``actual``."""
        values = self.values()
        return actual in values or UNKNOWN in values or (not values and actual is ABSENT)

    def expected(self) -> object:
        """The likeliest value: the latest recorded."""
        values = self.values()
        return values[-1] if values else ABSENT

    def latest_us(self) -> int | None:
        """Claimed time of the latest write, None if there was none."""
        return max((stamp.time_us for stamp, _ in self._writes), default=None)
