"""The recorder: what an adapter calls around each write of its host.

It writes to the process's spool and to nothing else: no network, no database, no chain.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chain_client import records
from chain_client.clock import Clock, SystemClock
from chain_client.errors import ChainError, InvalidEvent
from chain_client.events import (
    RESERVED_FIELDS,
    Actor,
    Json,
    OutcomeStatus,
    Subject,
    new_event_id,
)
from chain_client.forking import tell_of_forks
from chain_client.spool import SpoolWriter
from chain_client.types import EventId, SourceId

_logger = logging.getLogger(__name__)

_NOBODY = Actor()


@dataclass(frozen=True, slots=True)
class Intent:
    """A recorded intent, to be given back with its outcome.

    Args:
        event_id: id of the event; a host may commit it in a marker row.
        sequence: its place in the source; None if it could not be recorded.
        type: the event's type.
    """

    event_id: EventId
    sequence: int | None
    type: str


class Recorder:
    """Brackets the host's calls with records in the spool.

    Guarantee: when `begin` returns, the intent is in the spool with the durability that was
    configured, or it raised, or (``refuse=False`` and ``required=False``) the loss was counted
    and logged. `done` and `failed` never raise.

    Args:
        spool: the process's journal.
        refuse: raise when the journal can't be written, instead of counting the loss.
        after_append: called after each intent, such as to see that a relay runs; must be fast.
    """

    def __init__(
        self,
        spool: SpoolWriter,
        *,
        refuse: bool = False,
        after_append: Callable[[], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._spool = spool
        self._refuse = refuse
        self._after_append = after_append
        self._clock = clock or SystemClock()
        self._lost_lock = threading.Lock()
        self._lost = 0
        self._lost_total = 0
        tell_of_forks(self)

    def renew_locks(self) -> None:
        """In a forked child: another lock, and no losses, for its parent notes its own."""
        self._lost_lock = threading.Lock()
        self._lost = 0
        self._lost_total = 0

    @property
    def lost_count(self) -> int:
        """Events of this process that could not be recorded."""
        return self._lost_total

    @property
    def source_id(self) -> SourceId | None:
        """The source that the latest records are in; None if nothing was recorded yet."""
        return self._spool.source_id

    def begin(
        self,
        type: str,
        subject: Subject,
        payload: Mapping[str, Json],
        *,
        actor: Actor = _NOBODY,
        event_id: EventId | None = None,
        required: bool = False,
    ) -> Intent:
        """Record what is about to happen.

        Args:
            type: past-tense name of the event.
            subject: the entity; its id is empty where the host's call mints it.
            payload: parts of the change by name.
            actor: who acts.
            event_id: given when the caller needs it before; else minted here.
            required: governance: raise even if losses are allowed.

        Raises:
            SpoolUnavailable: the journal can't be written, and the event must not be lost.
            InvalidEvent: likewise, and the payload is not JSON or uses a reserved name.
        """
        minted = event_id or new_event_id()
        try:
            body = self._encode(type, subject, payload, actor, minted)
            if self._lost:
                self._note_losses()
            sequence = self._spool.append_intent(body)
        except ChainError as exc:
            if required or self._refuse:
                raise
            self._count_loss(type, exc)
            return Intent(minted, None, type)
        if self._after_append is not None:
            self._after_append()
        return Intent(minted, sequence, type)

    def done(
        self,
        intent: Intent,
        *,
        subject_id: str | None = None,
        result: Mapping[str, Json] | None = None,
    ) -> None:
        """Record that the call returned.

        Args:
            intent: what `begin` gave.
            subject_id: the id the call minted, if the intent had none.
            result: what the call minted or the host filled in.
        """
        self._settle(
            intent,
            records.Outcome(OutcomeStatus.DONE, self._clock.monotonic_us(), subject_id, result),
        )

    def failed(self, intent: Intent, error: BaseException, *, in_doubt: bool) -> None:
        """Record that the call raised.

        Args:
            intent: what `begin` gave.
            error: only its class is recorded, never its text.
            in_doubt: whether part of the work may be committed; the relay then asks the host.
        """
        self._settle(
            intent,
            records.Outcome(
                OutcomeStatus.FAILED,
                self._clock.monotonic_us(),
                error=type(error).__name__,
                in_doubt=in_doubt,
            ),
        )

    def note(
        self,
        type: str,
        subject: Subject,
        payload: Mapping[str, Json],
        *,
        actor: Actor = _NOBODY,
        required: bool = False,
    ) -> None:
        """Record something that needs no bracket, such as a baseline.

        Raises:
            SpoolUnavailable: as `begin`.
            InvalidEvent: as `begin`.
        """
        try:
            body = self._encode(type, subject, payload, actor, new_event_id())
            if self._lost:
                self._note_losses()
            self._spool.append_note(body, sync=required)
        except ChainError as exc:
            if required or self._refuse:
                raise
            self._count_loss(type, exc)
            return
        if self._after_append is not None:
            self._after_append()

    def close(self) -> None:
        """Close the source; a later record opens a new one.

        Raises:
            SpoolUnavailable: its closing record, or the count of what was lost, could not be
                written.
        """
        try:
            if self._lost:
                self._note_losses()
        finally:
            self._spool.close()

    def _encode(
        self,
        type_: str,
        subject: Subject,
        payload: Mapping[str, Json],
        actor: Actor,
        event_id: EventId,
    ) -> bytes:
        for name in payload:
            if name in RESERVED_FIELDS or not name or "/" in name:
                raise InvalidEvent(
                    f"{type_}: a part of a payload can't be named {name!r}: the names "
                    f"{', '.join(sorted(RESERVED_FIELDS))} are reserved, and none is empty or "
                    "holds a slash"
                )
        return records.encode_intent(
            event_id,
            type_,
            self._clock.time_us(),
            self._clock.monotonic_us(),
            subject,
            actor,
            payload,
        )

    def _settle(self, intent: Intent, outcome: records.Outcome) -> None:
        if intent.sequence is None:
            return
        try:
            self._spool.append_outcome(intent.sequence, records.encode_outcome(outcome))
        except ChainError as exc:
            # The intent stays in doubt: the relay will ask the host, so nothing is lost.
            _logger.warning("the outcome of %s was not written: %s", intent.type, exc)

    def _count_loss(self, type_: str, exc: ChainError) -> None:
        with self._lost_lock:
            self._lost += 1
            self._lost_total += 1
            first = self._lost == 1
        if first:
            _logger.error(
                "%s could not be recorded (%s); training goes on, and what is not recorded "
                "is counted. Mend the cause, then run: mlops-chain doctor",
                type_,
                exc,
            )

    def _note_losses(self) -> None:
        with self._lost_lock:
            count, self._lost = self._lost, 0
        if not count:
            return
        body = records.encode_intent(
            new_event_id(),
            records.RECORDS_LOST,
            self._clock.time_us(),
            self._clock.monotonic_us(),
            Subject("", records.SOURCE, ""),
            _NOBODY,
            {"count": count},
        )
        try:
            self._spool.append_note(body)
        except ChainError:
            with self._lost_lock:
                self._lost += count
            raise
