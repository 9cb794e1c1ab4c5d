"""From spool to log: idempotent, in order, with bounded memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from chain_client import records
from chain_client.clock import Clock
from chain_client.errors import (
    ChainError,
    DamagedParcel,
    ForeignSource,
    InvalidEvent,
    InvalidInput,
    SchemaTooNew,
    SourceForked,
    SpoolUnavailable,
)
from chain_client.events import Event, Json
from chain_client.log import Lease, Log, SourceProgress, SourceState
from chain_client.owners import Owners
from chain_client.relay.belonging import check_deployment_of
from chain_client.relay.doubts import Doubts
from chain_client.relay.leftovers import is_left_behind, says_nothing_new, was_given_up
from chain_client.relay.lineage import GIVING, Lineage, find_lineage
from chain_client.relay.noted import concluded, is_noted, was_lost
from chain_client.relay.parcels import check_parcel, check_plain
from chain_client.relay.resolving import Resolver
from chain_client.relay.resuming import find_contradiction
from chain_client.relay.round import Round
from chain_client.relay.sealing import seal_entry
from chain_client.relay.seeds import Seeds
from chain_client.relay.source_cursor import SourceCursor, abandoned, forked
from chain_client.relay.standing_alarms import StandingAlarms
from chain_client.spool import Position, Record, SourceReader, keep_aside, list_sources
from chain_client.spool.opening import move_into
from chain_client.steps import step

_logger = logging.getLogger(__name__)

READ_BYTES = 1 << 20
"""Most bytes of one source that one round reads; bounds memory and the length of a commit."""
READ_BYTES_OUTSIDE = 1 << 18
"""The same where a payload store has to take each event before the commit."""


class Ingester:
    """Moves settled events from every source of a home into its log.

    Guarantee: each event gets exactly one entry, however often a relay dies; a segment is
    removed only if ``may_remove`` says so and the log holds its events, whatever the log's row of
    the source says; a spool that was copied and went on becomes a source of its own; one damaged
    source stops no other.

    Args:
        log: where events go.
        spool_root: folder of the sources.
        resolver: asks the host about events in doubt.
        clock: gives the time of the relay's own events.
        alarm: called with (kind, subject, detail) for what a person should see.
        clear: called with (kind, subject) when that is over.
        deployment_id: sources of another deployment are set aside; None takes them all.
        lease_s: how long a spool of another machine, whose locks may not show here, must have
            been silent before its owner counts as dead.
        may_remove: whether what the log holds may leave the spool now; else it does so later.
        keep: called about once a second while a payload store is waited for.
        parcels: the folder holds sources that were handed over: their owners are gone, each is
            there whole or not at all, and is checked as a whole before anything is taken from it.
    """

    def __init__(
        self,
        log: Log,
        spool_root: Path,
        resolver: Resolver,
        clock: Clock,
        alarm: Callable[[str, str, str], None],
        clear: Callable[[str, str], None] = lambda kind, subject: None,
        *,
        deployment_id: str | None = None,
        lease_s: float = 0.0,
        may_remove: Callable[[], bool] = lambda: True,
        keep: Callable[[], None] = lambda: None,
        parcels: bool = False,
    ) -> None:
        self._log = log
        self._seeds = Seeds(log.payloads.place)
        self._read_bytes = READ_BYTES if log.payloads.place is None else READ_BYTES_OUTSIDE
        self._keep = keep
        self._root = spool_root
        self._clock = clock
        self._alarm = alarm
        self._alarms = StandingAlarms(alarm, clear)
        self._doubts = Doubts(resolver, clock, self._alarms)
        self._deployment_id = deployment_id
        self._owners = Owners(spool_root, clock, lease_s)
        self._may_remove = may_remove
        self._parcels = parcels
        self._kept: set[bytes] = set()
        self._cursors: dict[bytes, SourceCursor] = {}
        self._infos: dict[bytes, dict[str, Json]] = {}
        self._folders: dict[bytes, tuple[int, int] | None] = {}

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
            except ForeignSource as exc:
                self._set_aside(reader, "foreign", str(exc), done)
            except InvalidEvent as exc:
                self._set_aside(reader, "unreadable", str(exc), done)
            except DamagedParcel as exc:
                self._set_aside(reader, "damaged", str(exc), done)
            except (SchemaTooNew, SpoolUnavailable, InvalidInput) as exc:
                self._note_unreadable(reader, str(exc), done)
            except ChainError:
                raise  # it concerns more than this source
            except Exception as exc:
                # What it holds may be anybody's: it must not end the relay of all others.
                if not self._alarms.stands("source_unreadable", reader.source_id):
                    _logger.exception("can't take from source %s", reader.source_id.hex())
                if self._parcels:
                    self._set_aside(reader, "unreadable", f"unexpected {type(exc).__name__}", done)
                else:
                    self._note_unreadable(reader, f"unexpected {type(exc).__name__}", done)
            else:
                self._alarms.clear("source_unreadable", reader.source_id)
        return done

    def _note_unreadable(self, reader: SourceReader, text: str, done: Round) -> None:
        self._alarms.raise_once("source_unreadable", reader.source_id, text)
        done.problems.append(text)

    def _take_from(self, reader: SourceReader, lease: Lease, done: Round) -> None:
        if self._parcels:
            check_plain(reader)
        elif reader.directory.is_symlink():
            raise SpoolUnavailable(f"{reader.directory} is a link, and so nobody's spool")
        folder = reader.identity()
        if self._folders.get(reader.source_id, folder) != folder:
            self._forget(reader)
        self._folders[reader.source_id] = folder
        if reader.source_id in self._kept and not self._may_remove():
            return
        is_met = reader.source_id in self._cursors
        if self._parcels and not is_met and says_nothing_new(reader, self._log):
            if self._may_remove():
                reader.take_away()
                self._forget(reader)
            return
        try:
            try:
                self._ingest(reader, lease, done)
            except SourceForked:
                # Another folder was put in its place since it was last compared with the log.
                self._cursors.pop(reader.source_id, None)
                self._ingest(reader, lease, done)
        except BaseException:
            # The cursor has gone past records that were not committed: begin anew from the log.
            self._cursors.pop(reader.source_id, None)
            raise

    def _ingest(self, reader: SourceReader, lease: Lease, done: Round) -> None:
        cursor = self._cursor(reader)
        was_live = reader.is_live() or not self._may_be_gone(reader, cursor)
        read = reader.read(cursor.position, self._read_bytes)
        for corruption in read.corruptions:
            kept = keep_aside(reader, corruption)
            detail = f"{corruption.reason} at byte {corruption.offset}; kept aside as {kept.name}"
            self._alarm("spool_corrupt", reader.source_id.hex(), detail)
            done.problems.append(f"source {reader.source_id.hex()}: {detail}")
        notes = self._fork_notes(cursor)
        events = self._events(cursor, read.records)
        cursor.position = read.next
        step("relay.records.read")
        at_end = not read.records and not read.corruptions
        if at_end and not was_live:
            cursor.owner_died()
        settled, trouble = self._doubts.settle(cursor)
        events += settled
        if trouble is not None:
            done.problems.append(trouble)
        finished = at_end and not was_live and not cursor.doubtful
        abandoned = finished and not cursor.closed
        if abandoned:
            events.append(cursor.abandon(self._clock.time_us(), self._clock.monotonic_us()))
        self._commit(cursor, [*notes, *events], finished, abandoned, lease, done)
        self._let_go(reader, cursor, finished)
        done.records += len(read.records) + len(read.corruptions)
        done.unread |= sum(len(r.body) for r in read.records) > self._read_bytes // 2
        done.live_sources += was_live
        done.in_doubt += len(cursor.doubtful)

    def _let_go(self, reader: SourceReader, cursor: SourceCursor, finished: bool) -> None:
        """Remove what the log holds, once that is allowed."""
        if not self._may_remove():
            if finished:
                self._kept.add(reader.source_id)
        elif finished:
            if not cursor.lineage.is_forked and self._is_ours_alone(reader):
                reader.remove()
            elif not reader.read(cursor.position, 1).records:
                reader.take_away()
            self._forget(reader)
        elif not cursor.lineage.is_forked and not self._parcels:
            # A copy keeps all of it: what it has in common with its origin tells where it belongs.
            reader.remove_segments_before(cursor.low_water.segment)

    def _is_ours_alone(self, reader: SourceReader) -> bool:
        """Whether nobody else is met by a source of which a part is gone: a sender that brings it
        again, or an owner on another machine that was only silent.
        """
        opening = self._infos.get(reader.source_id, {})
        return not self._parcels and self._owners.is_lock_conclusive(opening)

    def _forget(self, reader: SourceReader) -> None:
        self._owners.forget(reader.source_id)
        self._kept.discard(reader.source_id)
        self._cursors.pop(reader.source_id, None)
        self._folders.pop(reader.source_id, None)

    def _cursor(self, reader: SourceReader) -> SourceCursor:
        cursor = self._cursors.get(reader.source_id)
        if cursor is None:
            cursor = self._cursors[reader.source_id] = self._new_cursor(reader)
        return cursor

    def _new_cursor(self, reader: SourceReader) -> SourceCursor:
        is_new = self._log.source(reader.source_id) is None
        if is_new:
            check_deployment_of(reader, self._deployment_id)
        if self._parcels:
            check_parcel(reader, self._log, is_new=is_new)
        if is_new:
            return SourceCursor(reader.source_id, Position(0, 0), 0)
        lineage = find_lineage(reader, self._log)
        state = self._log.source(lineage.source_id)
        if state is None:  # a fork that the log has not met
            return SourceCursor(lineage.source_id, Position(0, 0), 1, lineage)
        cursor = SourceCursor(
            lineage.source_id,
            self._resume_at(reader, state, lineage),
            state.next_sequence,
            lineage,
        )
        cursor.closed = state.state in ("closed", "lost")
        self._infos[lineage.source_id] = dict(state.info)
        return cursor

    def _resume_at(self, reader: SourceReader, state: SourceState, lineage: Lineage) -> Position:
        """Where to read on: where the log says, unless that would pass over what it lacks."""
        noted = Position(state.segment, state.offset)
        contradiction = find_contradiction(reader, self._log, noted, lineage)
        if contradiction is None:
            return noted
        is_left = is_left_behind(reader, self._log, lineage, state)
        if not lineage.is_forked and not is_left:
            self._alarms.raise_once(
                "source_changed", reader.source_id, f"{contradiction}: its spool is read again"
            )
        return Position(0, 0)

    def _may_be_gone(self, reader: SourceReader, cursor: SourceCursor) -> bool:
        """Whether a free lock means a dead owner: the locks of other machines may not show."""
        if cursor.closed or self._parcels:
            return True
        return self._owners.may_be_gone(reader, self._infos.get(cursor.source_id, {}))

    def _events(self, cursor: SourceCursor, found: list[Record]) -> list[Event]:
        """The events that these records complete and the log does not hold."""
        known = cursor.lineage.known(self._log, found) if cursor.rereads else set()
        events = []
        for record in found:
            if record.kind in GIVING and record.sequence in known:
                self._note_opening(cursor, cursor.pass_over(record))
            elif (event := cursor.take(record)) is not None:
                events.append(event)
        return events

    def _note_opening(self, cursor: SourceCursor, event: Event | None) -> None:
        if event is None or event.type != records.SOURCE_OPENED:
            return
        if event.source_id == cursor.source_id:
            self._infos[cursor.source_id] = dict(event.payload)

    def _fork_notes(self, cursor: SourceCursor) -> list[Event]:
        """What the log must say of a copied spool before it takes what is new in it."""
        lineage = cursor.lineage
        if not lineage.is_forked or self._log.known(lineage.source_id, [0]):
            return []
        time_us, monotonic_us = self._clock.time_us(), self._clock.monotonic_us()
        origin = self._log.source(lineage.origin.source_id)
        info: dict[str, Json] = dict(origin.info) if origin is not None else {}
        info.pop("forked_at", None)
        self._infos[lineage.source_id] = {**info, "forked_at": lineage.forked_at}
        notes = [forked(lineage, info, time_us, monotonic_us)]
        if origin is not None and origin.state == "open":
            # Its spool is gone, or the copy has taken its place: nobody goes on with it here.
            notes.append(abandoned(origin.source_id, origin.next_sequence, time_us, monotonic_us))
        if was_given_up(self._log, lineage):
            _logger.warning(
                "source %s was taken for one whose owner is dead, and went on: what came later is "
                "source %s",
                lineage.origin.source_id.hex(),
                lineage.source_id.hex(),
            )
            return notes
        self._alarm(
            "source_forked",
            lineage.source_id.hex(),
            f"the spool of source {lineage.origin.source_id.hex()} was put back from a snapshot, "
            f"or copied, and went on: from its event {lineage.forked_at} on it has other events "
            f"than the log. They are source {lineage.source_id.hex()} now, and nothing is lost of "
            "what is in the spool",
        )
        return notes

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
        rows = []
        for event in events:
            self._note_opening(cursor, event)
            if event.type == records.SOURCE_ABANDONED and event.source_id != cursor.source_id:
                rows.append(concluded(self._log, event))
            entry, problem = seal_entry(event, self._alarm, self._seeds)
            entries.append(entry)
            if done.oldest_us is None or event.time_us < done.oldest_us:
                done.oldest_us = event.time_us
            if problem is not None:
                done.problems.append(problem)
        low_water = cursor.low_water
        # Known from the closing record on: a relay that follows reads on behind it.
        state = "closed" if cursor.closed else "open"
        if finished:
            state = "lost" if abandoned or was_lost(self._log, cursor.source_id) else "closed"
        lineage = cursor.lineage
        progress = SourceProgress(
            source_id=cursor.source_id,
            info=self._infos.get(cursor.source_id, {}),
            segment=low_water.segment,
            offset=low_water.offset,
            next_sequence=cursor.next_sequence,
            state=state,
            forked_from=lineage.origin.source_id if lineage.is_forked else None,
        )
        if not entries and is_noted(self._log, progress):
            return
        done.entries += self._log.append(entries, [*rows, progress], lease, on_wait=self._keep)
        self._seeds.forget(entries)

    def _set_aside(self, reader: SourceReader, why: str, detail: str, done: Round) -> None:
        """Move a source that is not taken into ``<spool>/aside``: nothing of it is lost."""
        # Before it is moved: a relay that dies in between raises it once more.
        self._alarms.raise_once(f"source_{why}", reader.source_id, detail)
        try:
            move_into(reader.directory, self._root / "aside", f"{reader.directory.name}.{why}")
        except OSError as exc:
            text = f"source {reader.source_id.hex()} can't be set aside: {exc.strerror}"
            self._note_unreadable(reader, text, done)
            return
        self._alarms.forget(f"source_{why}", reader.source_id)
        self._alarms.clear("source_unreadable", reader.source_id)
        self._forget(reader)
        done.problems.append(f"source {reader.source_id.hex()} was set aside: {detail}")
