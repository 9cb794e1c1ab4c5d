"""`SpoolWriter`: the recording side. Threads, forks and the end of the process are met here."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from chain_client.errors import SpoolUnavailable
from chain_client.spool import lifetime, ownership
from chain_client.spool.disk import REAL_DISK, Disk
from chain_client.spool.flusher import Flusher
from chain_client.spool.frames import Kind
from chain_client.spool.heartbeat import Heartbeat
from chain_client.spool.journal import Batch, Journal, Number
from chain_client.steps import step
from chain_client.types import SourceId

logger = logging.getLogger(__name__)

SEGMENT_BYTES = 16 * 1024 * 1024


class Durability(StrEnum):
    """What an acknowledged intent survives."""

    POWER = "power"
    """Loss of power: an intent is synced before it returns, the rest within 200 ms."""
    PROCESS = "process"
    """The end of the process, however it ends."""


class SpoolWriter:
    """Journal of this process: append-only, for any thread, written before the host is.

    The first append opens a source of its own below ``root``; making the object touches nothing.

    *Fork.* A child never writes to its parent's source: it drops what it inherited and opens a
    source of its own at its next append. An outcome given in the child for an intent begun before
    the fork is not written, for the parent gives it too. `os.fork`, `multiprocessing` and forks
    from C are alike.

    *Exit.* An open source is closed when the interpreter exits (also in a `multiprocessing`
    child). What is recorded later still, by other exit handlers, goes to a source that is closed
    again with its last outcome. A process that is killed or calls `os._exit` leaves its source
    without a closing note, as a crash does.

    *Signals.* A signal handler that appends while it has interrupted an append of its own thread
    gets SpoolUnavailable instead of waiting for itself.

    *Faults.* When the disk refuses, the append raises SpoolUnavailable, takes no sequence and
    leaves no torn frame behind; the next append tries again. When the sync of an intent fails,
    its frame may be in the file: it is then followed by a `Kind.ABORT` for its sequence, and the
    journal goes on in a new segment. Should the process die before the disk takes that mark, the
    intent is in doubt like any other whose owner died.

    Args:
        root: the spool's folder.
        opening: gives the body of a new source's first note (sequence 0).
        closing: gives the body of its last note, from that note's own sequence, which is the
            number of records with a sequence before it.
        durability: what an acknowledged intent survives.
        segment_bytes: a segment is left before it grows beyond this size.
        is_shared: other machines may read and remove what is in the folder. Then it is not made,
            and the owner gives signs of life; one that finds that its source was taken goes on in
            another.
        disk: the system calls; replaced only to inject faults.
    """

    def __init__(
        self,
        root: Path,
        *,
        opening: Callable[[], bytes],
        closing: Callable[[int], bytes],
        durability: Durability,
        segment_bytes: int = SEGMENT_BYTES,
        is_shared: bool = False,
        disk: Disk = REAL_DISK,
    ) -> None:
        self._root = root.absolute()
        self._opening = opening
        self._closing = closing
        self._durable = durability is Durability.POWER
        self._segment_bytes = segment_bytes
        self._is_shared = is_shared
        self._heartbeat: Heartbeat | None = None
        self._disk = disk
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._busy = False
        self._journal: Journal | None = None
        self._flusher = Flusher(self.sync)

    @property
    def source_id(self) -> SourceId | None:
        """Identity of the source that is open now, or None."""
        journal = self._journal
        if journal is None or self._pid != os.getpid():
            return None
        return journal.source_id

    def append_intent(self, body: bytes) -> int:
        """Record what is about to happen. On return it survives what `Durability` says.

        Returns:
            the sequence, to be handed to `append_outcome` as it is.

        Raises:
            SpoolUnavailable: nothing is recorded.
            InvalidInput: the body is too long.
        """
        number, journal, batch = self._append(Kind.INTENT, body)
        try:
            step("spool.intent.written")
            if self._durable:
                journal.sync(batch)
            step("spool.intent.synced")
        except BaseException:
            self._abort(journal, number)
            raise
        return number

    def append_outcome(self, sequence: int, body: bytes) -> None:
        """Record how the call of an intent ended.

        Nothing is written if ``sequence`` is no open intent of this process's source: it was
        begun before a fork, or has its outcome, or its source was closed meanwhile.

        Raises:
            SpoolUnavailable: the outcome is not recorded; it may be given again.
            InvalidInput: the body is too long.
        """
        self._notice_fork()
        step("spool.outcome.before_write")
        with self._lock:
            self._take_turn()
            try:
                journal = self._own_journal()
                if journal is None:
                    return
                held = journal.open_intents.get(sequence)
                if held is None or (isinstance(sequence, Number) and held is not sequence):
                    return
                journal.refused_outcomes.add(held)
                journal.append(Kind.OUTCOME, held, body)
                journal.refused_outcomes.discard(held)
                del journal.open_intents[held]
                if self._durable and not lifetime.exiting:
                    self._flusher.touch()
            finally:
                self._busy = False
        step("spool.outcome.written")
        if lifetime.exiting:
            self._close_when_idle()

    def append_note(self, body: bytes, *, sync: bool = False) -> int:
        """Record an event that needs no bracket.

        Args:
            body: bytes of the event.
            sync: return when it is on the disk, whatever the durability.

        Returns:
            its sequence.

        Raises:
            SpoolUnavailable: it is not recorded, or, with ``sync``, may not be durable.
            InvalidInput: the body is too long.
        """
        number, journal, batch = self._append(Kind.NOTE, body)
        if sync:
            journal.sync(batch)
        if lifetime.exiting:
            self._close_when_idle()
        return number

    def sync(self) -> None:
        """Return when everything appended so far is on the disk.

        Raises:
            SpoolUnavailable: something may not be.
        """
        journal = self._journal
        if journal is not None and self._pid == os.getpid():
            journal.sync_all()

    def close(self) -> None:
        """End the source: closing note, sync, lock released. A later append opens another one.

        Raises:
            SpoolUnavailable: the closing note could not be written; the files are closed all the
                same, and the source looks like one whose owner died.
        """
        self._notice_fork()
        with self._lock:
            self._take_turn()
            flusher = self._flusher
            try:
                journal = self._own_journal()
                if journal is None:
                    return
                try:
                    last = journal.next_sequence
                    journal.append(Kind.NOTE, last, self._closing(last))
                    journal.trim()
                    journal.sync_all()
                finally:
                    self._flusher = Flusher(self.sync)
                    self._leave(journal)
            finally:
                self._busy = False
        flusher.stop()
        step("spool.closed")

    def _append(self, kind: Kind, body: bytes) -> tuple[int, Journal, Batch]:
        """Append what takes a sequence of its own."""
        self._notice_fork()
        with self._lock:
            self._take_turn()
            try:
                journal = self._own_journal() or self._open()
                number = Number(journal.next_sequence)
                if kind is Kind.INTENT:
                    step("spool.intent.before_write")
                try:
                    batch = journal.append(kind, number, body)
                except BaseException:
                    if kind is Kind.INTENT and journal.next_sequence > number:
                        journal.abort(number)  # interrupted behind the write
                    raise
                if kind is Kind.INTENT:
                    journal.open_intents[number] = number
                elif self._durable and not lifetime.exiting:
                    self._flusher.touch()
                return number, journal, batch
            finally:
                self._busy = False

    def _own_journal(self) -> Journal | None:
        """The open source, unless another machine has taken it."""
        journal, heartbeat = self._journal, self._heartbeat
        if journal is None or heartbeat is None or not heartbeat.is_lost():
            return journal
        logger.warning(
            "this process gave no sign of life for so long that its source %s was taken for one "
            "whose owner is dead; it records on in another",
            journal.source_id.hex(),
        )
        self._leave(journal)
        return None

    def _leave(self, journal: Journal) -> None:
        """Let go of the source."""
        heartbeat, self._heartbeat, self._journal = self._heartbeat, None, None
        lifetime.closed(self)
        if heartbeat is not None:
            heartbeat.stop()
        journal.release()

    def _take_turn(self) -> None:
        """Called with the lock held: refuse a handler that has interrupted its own thread."""
        if self._busy:
            raise SpoolUnavailable("a signal handler interrupted an append of its own thread")
        self._busy = True

    def _abort(self, journal: Journal, number: int) -> None:
        with self._lock:
            if journal is self._journal:
                journal.abort(number)

    def _open(self) -> Journal:
        try:
            journal = Journal.create(
                self._root,
                opening=self._opening(),
                durable=self._durable,
                segment_bytes=self._segment_bytes,
                disk=self._disk,
                makes_root=not self._is_shared,
            )
        except OSError as exc:
            raise SpoolUnavailable(f"no spool can be opened: {exc.strerror}") from exc
        self._journal = journal
        if self._is_shared:
            self._heartbeat = journal.heartbeat()
            self._heartbeat.start()
        lifetime.opened(self)
        return journal

    def end(self) -> None:
        """At exit: close, or let the last outcome do it if a call is still under way."""
        try:
            self._close_when_idle()
        except Exception as exc:
            logger.warning("the spool was not closed in order: %s", exc)

    def start_over(self) -> None:
        """In a forked child: drop what was inherited; the next append opens another source."""
        inherited, self._journal = self._journal, None
        self._heartbeat = None
        self._pid = os.getpid()
        self._lock = threading.RLock()  # a thread that does not exist here may hold the old one
        self._busy = False
        self._flusher = Flusher(self.sync)
        if inherited is not None:
            inherited.forget()

    def _notice_fork(self) -> None:
        """A fork from C may have run none of Python's hooks."""
        if self._pid != os.getpid():
            ownership.forget_inherited()
            self.start_over()

    def _close_when_idle(self) -> None:
        journal = self._journal
        if journal is not None and not journal.is_idle():
            self.sync()
        else:
            self.close()
