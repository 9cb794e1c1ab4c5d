"""Which read-backs count: what is expected of a file that passed nobody who records. Pure.

Anybody who may end a run can have its files read again. So a read-back fills what no record says;
what bytes that passed us were, and what an earlier one read, it changes only if the record says
that the file was written in between.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from chain_client.events import Event
from mlflow_chain.verifying.order import ABSENT, UNKNOWN, Register, Stamp, precedes

_GOING_ON = frozenset({"RUNNING", "SCHEDULED", "PENDING"})
_CREATED = frozenset({"run.created", "logged_model.created"})

Owner = tuple[str, str]
"""A run or a logged model, as a wish names it: what it is, and its id."""


@dataclass(frozen=True, slots=True)
class FileReading:
    """What one file was when it was read.

    Args:
        stamp: when.
        value: size and digest.
        root: below which it was looked for.
        owner: whose end made it necessary; None if something else did.
    """

    stamp: Stamp
    value: object
    root: str
    owner: Owner | None


class FileReadings:
    """Collects read-backs, and what tells whether they count."""

    def __init__(self) -> None:
        self._files: defaultdict[str, list[FileReading]] = defaultdict(list)
        self._looks: defaultdict[str, list[Stamp]] = defaultdict(list)
        self._phases: defaultdict[Owner, list[tuple[Stamp, bool]]] = defaultdict(list)

    def note_status(self, event: Event, stamp: Stamp) -> None:
        """Note whether a run or logged model goes on from an event on."""
        fields = event.payload.get("fields")
        status = (fields if isinstance(fields, dict) else event.payload).get("status")
        if event.type in _CREATED or isinstance(status, str):
            is_on = event.type in _CREATED or status in _GOING_ON
            self._phases[event.subject.kind, event.subject.id].append((stamp, is_on))

    def note_look(self, root: str, stamp: Stamp) -> None:
        """Note that all below a root was looked at, and that nothing else of it was new."""
        self._looks[root].append(stamp)

    def add(self, location: str, reading: FileReading) -> None:
        """One file that was read."""
        self._files[location].append(reading)

    def write(self, files: Mapping[str, Register]) -> set[str]:
        """Write those that count into the files' registers; the locations of these."""
        counted = set()
        for location, readings in self._files.items():
            register = files[location]
            values = register.values()
            if UNKNOWN not in values and any(value is not ABSENT for value in values):
                continue
            gaps = [stamp for stamp, value in register.writes() if value in (UNKNOWN, ABSENT)]
            last: FileReading | None = None
            for reading in sorted(readings, key=lambda reading: reading.stamp.place):
                if last is None or last.value == reading.value or self._is_due(last, reading, gaps):
                    register.write(reading.stamp, reading.value)
                    last = reading
            counted.add(location)
        return counted

    def _is_due(self, last: FileReading, reading: FileReading, gaps: list[Stamp]) -> bool:
        """Whether the file was written, as far as is recorded, between two readings."""
        if any(_lies_between(last.stamp, gap, reading.stamp) for gap in gaps):
            return True
        looks = (s for s in self._looks[reading.root] if s.place < reading.stamp.place)
        since = max((last.stamp, *looks), key=lambda stamp: stamp.place)
        return reading.owner is not None and self._went_on(reading.owner, since, reading.stamp)

    def _went_on(self, owner: Owner, since: Stamp, until: Stamp) -> bool:
        phases = sorted(self._phases[owner], key=lambda phase: (phase[0].time_us, phase[0].place))
        for number, (start, is_on) in enumerate(phases):
            if not is_on or _came_before(until, start):
                continue
            ends = (stamp for stamp, still in phases[number + 1 :] if not still and stamp.sure)
            end = next(ends, None)
            if end is None or not _came_before(end, since):
                return True
        return False


def _lies_between(first: Stamp, middle: Stamp, last: Stamp) -> bool:
    return not _came_before(middle, first) and not _came_before(last, middle)


def _came_before(first: Stamp, second: Stamp) -> bool:
    """As `precedes`; where the clocks can't tell, the log does: wishes follow what makes them."""
    is_clear = first.source == second.source or (
        first.boot is not None and first.boot == second.boot
    )
    return precedes(first, second) or (not is_clear and first.place < second.place)
