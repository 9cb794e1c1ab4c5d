"""Reading one source: which of its events are ready, which are still open.

Pure bookkeeping over the records of a spool: it decides, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from chain_client import records
from chain_client.errors import InvalidEvent
from chain_client.events import (
    Actor,
    Event,
    Json,
    OutcomeStatus,
    Subject,
    Timing,
    new_event_id,
)
from chain_client.hosts import Resolution
from chain_client.relay.lineage import Lineage, fork_note_id
from chain_client.spool import Kind, Position, Record
from chain_client.types import EventId, SourceId


@dataclass(frozen=True, slots=True)
class OpenIntent:
    """An intent whose outcome is not known yet, and where it stands."""

    event: Event
    position: Position
    error: str | None = None
    """Class of the error the call raised, when it raised after part of its work."""
    ended_us: int | None = None
    settled_at: int | None = None


def abandoned(source_id: SourceId, sequence: int, time_us: int, monotonic_us: int) -> Event:
    """The relay's own last event of a source whose owner did not close it."""
    payload: dict[str, Json] = {"events": sequence, "observer": "relay"}
    return _relay_note(
        new_event_id(),
        records.SOURCE_ABANDONED,
        source_id,
        sequence,
        time_us,
        monotonic_us,
        payload,
    )


def forked(lineage: Lineage, origin: Mapping[str, Json], time_us: int, monotonic_us: int) -> Event:
    """The relay's own first event of a forked source.

    Args:
        lineage: of the spool; it is forked.
        origin: what the opening record of the source says from which it forks.
        time_us: wall time.
        monotonic_us: monotonic clock.
    """
    payload: dict[str, Json] = {
        "forked_from": lineage.origin.source_id.hex(),
        "forked_at": lineage.forked_at,
        "origin": dict(origin),
        "observer": "relay",
    }
    source_id = lineage.source_id
    note_id = fork_note_id(source_id)
    return _relay_note(note_id, records.SOURCE_FORKED, source_id, 0, time_us, monotonic_us, payload)


def _relay_note(
    event_id: EventId,
    type_: str,
    source_id: SourceId,
    sequence: int,
    time_us: int,
    monotonic_us: int,
    payload: dict[str, Json],
) -> Event:
    return Event(
        event_id,
        type_,
        source_id,
        sequence,
        time_us,
        OutcomeStatus.DONE,
        Subject("", records.SOURCE, source_id.hex()),
        Actor(),
        Timing(monotonic_us, monotonic_us, sequence + 1),
        payload,
    )


class SourceCursor:
    """What the relay knows of one source.

    Guarantee: an event becomes ready exactly once, after its outcome; `low_water` never passes
    an intent that is still open, so that reading again from there loses nothing.

    Args:
        source_id: the source.
        start: where reading starts.
        next_sequence: how many sequences earlier rounds have seen.
        lineage: where the records belong, if the spool is a copy that went on; ``source_id`` is
            then its last source.
    """

    def __init__(
        self,
        source_id: SourceId,
        start: Position,
        next_sequence: int,
        lineage: Lineage | None = None,
    ) -> None:
        self.source_id = source_id
        self.lineage = lineage or Lineage.unforked(source_id)
        self.position = start
        self.rereads = start == Position(0, 0) and (next_sequence > 0 or self.lineage.is_forked)
        """Whether records may come whose events the log holds."""
        self.next_sequence = next_sequence
        self.closed = False
        self.open: dict[int, OpenIntent] = {}
        self.doubtful: dict[int, OpenIntent] = {}

    @property
    def low_water(self) -> Position:
        """Where a restarted relay must read again."""
        waiting = [i.position for i in (*self.open.values(), *self.doubtful.values())]
        return min(waiting, key=lambda p: (p.segment, p.offset), default=self.position)

    def take(self, record: Record) -> Event | None:
        """Take the next record; the event it completes, if any.

        Raises:
            InvalidEvent: the record's body can't be read, though its checksum holds.
        """
        try:
            return self._take(record)
        except (ValueError, TypeError, KeyError, IndexError) as exc:
            raise InvalidEvent(
                f"record {record.sequence} of source {self.source_id.hex()} has a valid checksum "
                "and yet no valid content"
            ) from exc
        finally:
            self.position = record.end

    def pass_over(self, record: Record) -> Event | None:
        """Note a record whose event the log holds, without taking it.

        Returns:
            the event, if the record is a note.

        Raises:
            InvalidEvent: as `take`.
        """
        source_id, number = self.lineage.place(record.sequence)
        if source_id == self.source_id:
            self.next_sequence = max(self.next_sequence, number + 1)
        self.position = record.end
        if record.kind is not Kind.NOTE:
            return None
        try:
            note = records.decode_note(record.body, source_id, number)
        except (ValueError, TypeError, KeyError, IndexError) as exc:
            raise InvalidEvent(f"record {record.sequence} has no valid content") from exc
        if source_id == self.source_id:
            self.closed = self.closed or note.type == records.SOURCE_CLOSED
        return note

    def _take(self, record: Record) -> Event | None:
        if record.kind is Kind.OUTCOME:
            return self._settle(record)
        if record.kind is Kind.ABORT:
            # The intent may not have been durable, and the host's call may have gone on without
            # it: it stays open, and the host is asked once the owner is gone.
            return None
        source_id, number = self.lineage.place(record.sequence)
        if source_id == self.source_id:
            self.next_sequence = max(self.next_sequence, number + 1)
        if record.kind is Kind.NOTE:
            event = records.decode_note(record.body, source_id, number)
            if source_id == self.source_id:
                self.closed = self.closed or event.type == records.SOURCE_CLOSED
            return event
        event = records.decode_intent(record.body, source_id, number)
        self.open[record.sequence] = OpenIntent(event, record.position)
        return None

    def _settle(self, record: Record) -> Event | None:
        intent = self.open.pop(record.sequence, None)
        if intent is None:
            return None
        outcome = records.decode_outcome(record.body)
        settled_at = self.lineage.settled_at(record.sequence, record.mark)
        event = records.settle(intent.event, outcome, settled_at)
        if outcome.in_doubt:
            self.doubtful[record.sequence] = OpenIntent(
                intent.event, intent.position, outcome.error, outcome.ended_us, settled_at
            )
            return None
        return event

    def owner_died(self) -> None:
        """The owner is gone: every open intent is in doubt."""
        self.doubtful.update(self.open)
        self.open.clear()

    def abandon(self, time_us: int, monotonic_us: int) -> Event:
        """The event that stands for the closing record that a dead owner did not write."""
        sequence = self.next_sequence
        self.next_sequence += 1
        self.closed = True
        return abandoned(self.source_id, sequence, time_us, monotonic_us)

    def resolve(self, sequence: int, resolution: Resolution) -> Event:
        """The event of a doubtful intent, once the host was asked."""
        intent = self.doubtful.pop(sequence)
        event = intent.event
        status = resolution.status
        if status is OutcomeStatus.NOT_APPLIED and intent.error is not None:
            status = OutcomeStatus.FAILED
        subject = event.subject
        if resolution.subject_id is not None:
            subject = replace(subject, id=resolution.subject_id)
        return replace(
            event,
            status=status,
            subject=subject,
            timing=replace(event.timing, ended_us=intent.ended_us, settled_at=intent.settled_at),
            result=resolution.result,
            error=intent.error,
            detail=resolution.detail,
        )
