"""From spool to log: idempotent, in order, with bounded memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from chain_client import records
from chain_client.clock import Clock
from chain_client.commitments import seal
from chain_client.errors import InvalidEvent, SchemaTooNew, SourceForked, SpoolUnavailable
from chain_client.event_codec import encode_event
from chain_client.events import Actor, Event, OutcomeStatus, Subject
from chain_client.log import Lease, Log, NewEntry, SourceProgress, SourceState
from chain_client.relay.resolving import Resolver
from chain_client.relay.resuming import find_contradiction
from chain_client.relay.source_cursor import SourceCursor
from chain_client.spool import Position, SourceReader, keep_aside, list_sources
from chain_client.steps import step

_logger = logging.getLogger(__name__)

_ASK_AGAIN_FIRST_US = 250_000
_ASK_AGAIN_LAST_US = 5_000_000

READ_BYTES = 1 << 20
"""Most bytes of one source that one round reads; bounds memory and the length of a commit."""


@dataclass(slots=True)
class Round:
    """What one round did."""

    entries: int = 0
    """Entries that were added to the log."""
    records: int = 0
    """Records, and damaged places, that were read; 0 means that the spool's end was reached."""
    live_sources: int = 0
    in_doubt: int = 0
    unread: bool = False
    """Whether so much was read that more is likely there."""
    oldest_us: int | None = None
    """Claimed time of the oldest entry that was added."""
    problems: list[str] = field(default_factory=list)


class Ingester:
    """Moves settled events from every source of a home into its log.

    Guarantee: each event gets exactly one entry, however often a relay dies; a segment is
    removed only if the log holds its events, whatever the log's row of the source says; one
    damaged source stops no other.

    Args:
        log: where events go.
        spool_root: folder of the sources.
        resolver: asks the host about events in doubt.
        clock: gives the time of the relay's own events.
        alarm: called with (kind, subject, detail) for what a person should see.
        clear: called with (kind, subject) when that is over.
    """

    def __init__(
        self,
        log: Log,
        spool_root: Path,
        resolver: Resolver,
        clock: Clock,
        alarm: Callable[[str, str, str], None],
        clear: Callable[[str, str], None] = lambda kind, subject: None,
    ) -> None:
        self._log = log
        self._root = spool_root
        self._resolver = resolver
        self._clock = clock
        self._alarm = alarm
        self._clear = clear
        self._raised: set[tuple[str, bytes]] = set()
        self._ask_again: dict[bytes, tuple[int, int]] = {}
        self._cursors: dict[bytes, SourceCursor] = {}
        self._infos: dict[bytes, dict[str, object]] = {}

    def run_round(self, lease: Lease) -> Round:
        """Read what every source has, and commit it.

        Raises:
            AnotherRelay: the lease was taken over; nothing was written.
            LogUnavailable: nothing was written; the next round reads it again.
        """
        done = Round()
        for reader in list_sources(self._root):
            try:
                self._take_from(reader, lease, done)
            except SourceForked as exc:
                self._set_aside(reader, "forked", str(exc), done)
            except InvalidEvent as exc:
                self._set_aside(reader, "unreadable", str(exc), done)
            except (SchemaTooNew, SpoolUnavailable) as exc:
                self._raise_once("source_unreadable", reader.source_id, str(exc))
                done.problems.append(str(exc))
            else:
                self._clear_raised("source_unreadable", reader.source_id)
        return done

    def _take_from(self, reader: SourceReader, lease: Lease, done: Round) -> None:
        try:
            self._ingest(reader, lease, done)
        except BaseException:
            # The cursor has gone past records that were not committed: begin anew from the log.
            self._cursors.pop(reader.source_id, None)
            raise

    def _raise_once(self, kind: str, source_id: bytes, detail: str) -> None:
        """Raise an alarm that stands as long as its cause: not anew in each round."""
        if (kind, source_id) not in self._raised:
            self._alarm(kind, source_id.hex(), detail)
            self._raised.add((kind, source_id))

    def _clear_raised(self, kind: str, source_id: bytes) -> None:
        if (kind, source_id) in self._raised:
            self._clear(kind, source_id.hex())
            self._raised.discard((kind, source_id))

    def _ingest(self, reader: SourceReader, lease: Lease, done: Round) -> None:
        cursor = self._cursor(reader)
        was_live = reader.is_live()
        read = reader.read(cursor.position, READ_BYTES)
        for corruption in read.corruptions:
            kept = keep_aside(reader, corruption)
            detail = f"{corruption.reason} at byte {corruption.offset}; kept aside as {kept.name}"
            self._alarm("spool_corrupt", reader.source_id.hex(), detail)
            done.problems.append(f"source {reader.source_id.hex()}: {detail}")
        events = [event for record in read.records if (event := cursor.take(record)) is not None]
        cursor.position = read.next
        step("relay.records.read")
        at_end = not read.records and not read.corruptions
        if at_end and not was_live:
            cursor.owner_died()
        events += self._settle_doubtful(cursor, done)
        finished = at_end and not was_live and not cursor.doubtful
        abandoned = finished and not cursor.closed
        if abandoned:
            events.append(cursor.abandon(self._clock.time_us(), self._clock.monotonic_us()))
        self._commit(cursor, events, finished, abandoned, lease, done)
        if finished:
            reader.remove()
            self._cursors.pop(reader.source_id, None)
        else:
            reader.remove_segments_before(cursor.low_water.segment)
        done.records += len(read.records) + len(read.corruptions)
        done.unread |= sum(len(record.body) for record in read.records) > READ_BYTES // 2
        done.live_sources += was_live
        done.in_doubt += len(cursor.doubtful)

    def _cursor(self, reader: SourceReader) -> SourceCursor:
        cursor = self._cursors.get(reader.source_id)
        if cursor is None:
            state = self._log.source(reader.source_id)
            if state is None:
                cursor = SourceCursor(reader.source_id, Position(0, 0), 0)
            else:
                cursor = SourceCursor(
                    reader.source_id, self._resume_at(reader, state), state.next_sequence
                )
                cursor.closed = state.state in ("closed", "lost")
                self._infos[reader.source_id] = dict(state.info)
            self._cursors[reader.source_id] = cursor
        return cursor

    def _resume_at(self, reader: SourceReader, state: SourceState) -> Position:
        """Where to read on: where the log says, unless that would pass over what it lacks."""
        noted = Position(state.segment, state.offset)
        contradiction = find_contradiction(reader, self._log, noted)
        if contradiction is None:
            return noted
        self._raise_once(
            "source_changed", reader.source_id, f"{contradiction}: its spool is read again"
        )
        return Position(0, 0)

    def _settle_doubtful(self, cursor: SourceCursor, done: Round) -> list[Event]:
        source_id, now_us = cursor.source_id, self._clock.monotonic_us()
        ask_at_us, pause_us = self._ask_again.get(source_id, (0, _ASK_AGAIN_FIRST_US))
        if not cursor.doubtful or now_us < ask_at_us:
            return []
        waiting = {i.event.event_id: n for n, i in sorted(cursor.doubtful.items())}
        answers, trouble = self._resolver.resolve(
            [cursor.doubtful[n].event for n in waiting.values()]
        )
        if trouble is not None:
            self._ask_again[source_id] = now_us + pause_us, min(pause_us * 2, _ASK_AGAIN_LAST_US)
            self._raise_once("in_doubt", source_id, trouble)
            done.problems.append(trouble)
        else:
            self._ask_again.pop(source_id, None)
            # Also one that an earlier relay raised.
            self._raised.add(("in_doubt", source_id))
            self._clear_raised("in_doubt", source_id)
        events = [
            cursor.resolve(sequence, answers[event_id])
            for event_id, sequence in waiting.items()
            if event_id in answers
        ]
        step("relay.resolved")
        return events

    def _commit(
        self,
        cursor: SourceCursor,
        events: Iterable[Event],
        finished: bool,
        abandoned: bool,
        lease: Lease,
        done: Round,
    ) -> None:
        entries = []
        for event in events:
            if event.type == records.SOURCE_OPENED:
                self._infos[cursor.source_id] = dict(event.payload)
            if done.oldest_us is None or event.time_us < done.oldest_us:
                done.oldest_us = event.time_us
            entries.append(self._sealed(event, done))
        low_water = cursor.low_water
        # Known from the closing record on: a relay that follows reads on behind it.
        state = "closed" if cursor.closed else "open"
        if finished:
            state = "lost" if abandoned or self._was_lost(cursor) else "closed"
        progress = SourceProgress(
            source_id=cursor.source_id,
            info=self._infos.get(cursor.source_id, {}),
            segment=low_water.segment,
            offset=low_water.offset,
            next_sequence=cursor.next_sequence,
            state=state,
        )
        if not entries and self._is_known(progress):
            return
        self._log.append(entries, [progress], lease)
        done.entries += len(entries)

    def _sealed(self, event: Event, done: Round) -> NewEntry:
        seed = os.urandom(16)
        try:
            leaf_hash, stored = seal(event, seed), encode_event(event)
        except InvalidEvent as exc:
            # One event without canonical form must not hold up those behind it.
            detail = f"event {event.sequence} ({event.type}) has no canonical form: {exc}"
            self._alarm("event_unreadable", event.source_id.hex(), detail)
            done.problems.append(detail)
            event = replace(
                event,
                type=records.EVENT_UNREADABLE,
                status=OutcomeStatus.UNDETERMINED,
                subject=Subject("", records.SOURCE, event.source_id.hex()),
                actor=Actor(),
                payload={},
                result=None,
                error=None,
                detail=None,
            )
            leaf_hash, stored = seal(event, seed), encode_event(event)
        return NewEntry(
            leaf_hash, event.source_id, event.sequence, event.subject.to_key(), stored, seed
        )

    def _was_lost(self, cursor: SourceCursor) -> bool:
        known = self._log.source(cursor.source_id)
        return known is not None and known.state == "lost"

    def _is_known(self, progress: SourceProgress) -> bool:
        known = self._log.source(progress.source_id)
        return known is not None and (known.segment, known.offset, known.state) == (
            progress.segment,
            progress.offset,
            progress.state,
        )

    def _set_aside(self, reader: SourceReader, why: str, detail: str, done: Round) -> None:
        """Move a source that can't be read into ``<spool>/aside``: nothing of it is lost."""
        aside = self._root / "aside"
        aside.mkdir(mode=0o700, exist_ok=True)
        name = f"{reader.directory.name}.{why}"
        count = sum(1 for path in aside.iterdir() if path.name.startswith(name))
        reader.directory.rename(aside / (f"{name}.{count}" if count else name))
        self._cursors.pop(reader.source_id, None)
        self._alarm(f"source_{why}", reader.source_id.hex(), detail)
        done.problems.append(f"source {reader.source_id.hex()} was set aside: {detail}")
