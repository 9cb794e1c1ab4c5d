"""Which sources of the log the records of one spool belong to.

A spool that was copied, or put back from a snapshot, and then went on gives other events to
sequences that the log has already. What is equal belongs to the source; from the first event that
differs on, the spool is another source, forked from it (see ADR 8). Nothing here is written.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from chain_client import records
from chain_client.log import Log
from chain_client.spool import Kind, Position, Record, SourceReader
from chain_client.types import EventId, SourceId

_READ_BYTES = 1 << 20
_FORK = b"mlops-chain forked source\0"
_NOTE = b"mlops-chain note of a fork\0"
GIVING = frozenset({Kind.INTENT, Kind.NOTE})
"""Kinds of records that take a sequence of their own."""


def fork_id(parent: SourceId, event_id: EventId) -> SourceId:
    """Id of the source that forks from ``parent`` with the event: the same whoever finds it."""
    return SourceId(hashlib.sha256(_FORK + parent + event_id).digest()[:16])


def fork_note_id(source_id: SourceId) -> EventId:
    """Id of the event that opens a forked source."""
    return EventId(hashlib.sha256(_NOTE + source_id).digest()[:16])


@dataclass(slots=True)
class Part:
    """A stretch of a spool that belongs to one source.

    Args:
        source_id: the source in the log.
        first: the spool's sequence with which it begins.
        base: number of that event in the source: 1 in a fork, behind the note that opens it.
        elsewhere: sequences in this stretch that an earlier source holds all the same, as an edited
            log shows it, and where.
    """

    source_id: SourceId
    first: int = 0
    base: int = 0
    elsewhere: dict[int, tuple[SourceId, int]] = field(default_factory=dict)

    def number(self, sequence: int) -> int:
        """Place in the source of the event with this sequence of the spool."""
        passed = bisect_left(sorted(self.elsewhere), sequence) if self.elsewhere else 0
        return sequence - self.first + self.base - passed


@dataclass(slots=True)
class Lineage:
    """Where in the log the records of a spool belong.

    Args:
        parts: one for each source, in the order of the spool; the last one takes what is new.
    """

    parts: list[Part]

    @classmethod
    def unforked(cls, source_id: SourceId) -> Lineage:
        """Of a spool that is what its name says."""
        return cls([Part(source_id)])

    @property
    def source_id(self) -> SourceId:
        """The source that takes what is new."""
        return self.parts[-1].source_id

    @property
    def is_forked(self) -> bool:
        """Whether that is another than the folder's name says."""
        return len(self.parts) > 1

    @property
    def origin(self) -> Part:
        """The source from which the last one forks."""
        return self.parts[-2]

    @property
    def forked_at(self) -> int:
        """Number in `origin` from which on the two differ."""
        return self.origin.number(self.parts[-1].first)

    def place(self, sequence: int) -> tuple[SourceId, int]:
        """Source and number of the event that has this sequence in the spool."""
        part = self._part(sequence)
        elsewhere = part.elsewhere.get(sequence)
        return elsewhere or (part.source_id, part.number(sequence))

    def settled_at(self, sequence: int, mark: int) -> int | None:
        """An outcome's mark, counted in its event's own source.

        None if the spool had become another source by then: the two count apart.
        """
        part = self._part(sequence)
        later = [other.first for other in self.parts if other.first > part.first]
        return None if later and mark > later[0] else part.number(mark)

    def places(self, found: Sequence[Record]) -> dict[int, tuple[SourceId, int]]:
        """Places of the records that take a sequence, by that sequence."""
        return {r.sequence: self.place(r.sequence) for r in found if r.kind in GIVING}

    def known(self, log: Log, found: Sequence[Record]) -> set[int]:
        """Sequences of those records whose events the log holds."""
        places = self.places(found)
        held = {
            source_id: log.known(source_id, [n for of, n in places.values() if of == source_id])
            for source_id in {of for of, _ in places.values()}
        }
        return {sequence for sequence, (of, number) in places.items() if number in held[of]}

    def _part(self, sequence: int) -> Part:
        if len(self.parts) == 1:
            return self.parts[0]
        covering = [part for part in self.parts if part.first <= sequence]
        return covering[-1]


def find_lineage(reader: SourceReader, log: Log) -> Lineage:
    """Compare a spool with the log, event id by event id.

    Guarantee: as long as the folder keeps its segments, the same lineage is found whatever of it
    the log has taken meanwhile. The bodies of the records are not decoded; memory is that of one
    read.

    Raises:
        InvalidEvent: a record has no event id.
        LogUnavailable: the log does not answer.
        SpoolUnavailable: the spool can't be read.
    """
    lineage = Lineage.unforked(reader.source_id)
    position = Position(0, 0)
    while True:
        read = reader.read(position, _READ_BYTES)
        given = [record for record in read.records if record.kind in GIVING]
        held = _compare(lineage, log, given)
        # What follows a stretch of which the log holds nothing, it does not hold either.
        is_new = bool(given) and not held and not _is_noted(log, lineage, read.next)
        if is_new or read.next == position:
            return lineage
        position = read.next


def _is_noted(log: Log, lineage: Lineage, position: Position) -> bool:
    """Whether the log notes that it has read beyond the position."""
    state = log.source(lineage.source_id)
    return state is not None and position < Position(state.segment, state.offset)


def _compare(lineage: Lineage, log: Log, given: list[Record]) -> bool:
    """Add the forks that these records show; whether the log holds any of them."""
    ids = {record.sequence: records.event_id_of(record.body) for record in given}
    any_held = False
    while ids:
        for part in lineage.parts[:-1]:
            lineage.parts[-1].elsewhere.update(
                (sequence, (part.source_id, part.number(sequence)))
                for sequence, known in _held(log, part, ids).items()
                if sequence >= lineage.parts[-1].first and known == ids[sequence]
            )
        last = lineage.parts[-1]
        held = _held(log, last, [n for n in ids if n not in last.elsewhere])
        any_held = any_held or bool(held)
        other = [n for n, known in held.items() if known is not None and known != ids[n]]
        if not other:
            return any_held
        first = min(other)
        lineage.parts.append(Part(fork_id(last.source_id, ids[first]), first, 1))
        ids = {n: event_id for n, event_id in ids.items() if n >= first}
    return any_held


def _held(log: Log, part: Part, sequences: Iterable[int]) -> dict[int, EventId | None]:
    """Event ids that the log has at the places of these sequences in the part's source."""
    numbers = {part.number(n): n for n in sequences if n >= part.first}
    found = log.event_ids(part.source_id, numbers)
    return {numbers[number]: event_id for number, event_id in found.items()}
