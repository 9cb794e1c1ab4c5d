"""One source while it is written: its folder, its segments, and what of it is durable.

`Journal` knows files and frames. Threads, forks and the end of the process are `writer`'s.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
from pathlib import Path

from chain_client.errors import SpoolUnavailable
from chain_client.spool import ownership
from chain_client.spool.disk import Disk
from chain_client.spool.frames import (
    ABORT_BODY,
    FRAME_BYTES,
    HEADER_BYTES,
    Kind,
    encode_frame,
    encode_header,
    frame_seed,
)
from chain_client.spool.heartbeat import Heartbeat
from chain_client.spool.room import Room
from chain_client.steps import step
from chain_client.types import SourceId

logger = logging.getLogger(__name__)

_CREATE = os.O_RDWR | os.O_CREAT | os.O_TRUNC


def segment_name(segment: int) -> str:
    """File name of a segment."""
    return f"{segment:08d}.spool"


class Number(int):
    """Sequence of an intent, as `SpoolWriter.append_intent` gives it.

    An int, but each is an object of its own: an intent of another source (begun before a fork)
    is told from one of this source with the same number.
    """

    __slots__ = ()


class Batch:
    """Frames that one sync makes durable together; all lie in one segment."""

    __slots__ = ("error", "filled", "settled")

    def __init__(self) -> None:
        self.filled = False
        self.settled = False
        self.error: BaseException | None = None


class Journal:
    """A source of this process, open for writing. Made by `create`.

    The caller holds a lock of its own around everything but `sync` and `sync_all`, which may run
    in any thread beside it.
    """

    def __init__(
        self, source_id: SourceId, lock_fd: int, directory_fd: int, root: Path, disk: Disk
    ) -> None:
        self.source_id = source_id
        self.open_intents: dict[int, Number] = {}
        self.refused_outcomes: set[int] = set()  # of open intents; they may be given again
        self.next_sequence = 0
        self._lock_fd = lock_fd
        self._directory_fd = directory_fd
        self._root = root
        self._disk = disk
        self._fd = -1
        self._segment = -1
        self._offset = 0
        self._room = Room(disk, 0)
        self._seed = 0
        self._durable = False
        self._segment_bytes = 0
        self._batch = Batch()
        self._sync_lock = threading.RLock()  # inner to the caller's lock, never the other way
        self._folder_unsynced = True  # a name in the folder is not durable yet
        self._unsound = False  # a sync failed: what this segment held may be lost
        self._uncut = False  # a part of a frame could not be cut off yet
        self._aborted: list[int] = []  # intents to be marked with Kind.ABORT
        self._mending = False  # one of the three above

    @classmethod
    def create(
        cls,
        root: Path,
        *,
        opening: bytes,
        durable: bool,
        segment_bytes: int,
        disk: Disk,
        makes_root: bool = True,
    ) -> Journal:
        """A new source whose first record is the note ``opening``.

        Args:
            root: the spool's folder.
            makes_root: make that folder if it is missing.
            durable: sync each segment's header before the segment gets its name. The folder's own
                name becomes durable with the first sync.

        Raises:
            OSError, SpoolUnavailable: the disk refuses; nothing is left behind.
        """
        if makes_root:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            with contextlib.suppress(ownership.UnbornTakenError):
                return cls._create(root, opening, durable, segment_bytes, disk)

    @classmethod
    def _create(
        cls, root: Path, opening: bytes, durable: bool, segment_bytes: int, disk: Disk
    ) -> Journal:
        source_id = SourceId(os.urandom(16))
        unborn = ownership.unborn_path(root, source_id)
        unborn.mkdir(mode=0o700)
        journal: Journal | None = None
        try:
            lock_fd = ownership.take_lock(unborn)
            journal = cls(source_id, lock_fd, -1, root, disk)
            journal._directory_fd = os.open(unborn, os.O_RDONLY | os.O_DIRECTORY)
            journal._durable = durable
            journal._segment_bytes = segment_bytes
            journal._start_segment(0)
            journal.append(Kind.NOTE, 0, opening)
            unborn.rename(root / source_id.hex())
        except BaseException:
            if journal is not None:
                journal.release()
            shutil.rmtree(unborn, ignore_errors=True)
            raise
        step("spool.opened")
        return journal

    def append(self, kind: Kind, sequence: int, body: bytes) -> Batch:
        """Write a frame, whole or not at all.

        Returns:
            what to hand to `sync` to make it durable.

        Raises:
            SpoolUnavailable: the disk refuses; the source ends with its last whole frame, and
                no sequence is taken.
        """
        if self._mending:
            self._mend()
        length = FRAME_BYTES + len(body)
        if self._offset + length > self._segment_bytes and self._offset > HEADER_BYTES:
            self._rotate()
        if kind is Kind.OUTCOME:
            mark = self.next_sequence
        else:
            mark = sequence + 1 if kind is Kind.NOTE else 0
        frame = encode_frame(kind, sequence, mark, body, self._seed)
        end = self._offset + length
        self._room.make(self._fd, self._offset, end)
        taken = sequence + 1 if kind is Kind.INTENT or kind is Kind.NOTE else self.next_sequence
        try:
            written = self._disk.pwrite(self._fd, frame, self._offset)
            if written != length:
                self._write_rest(frame, written)
        except OSError as exc:
            self._cut_off()
            raise SpoolUnavailable(f"the spool can't be written: {exc.strerror}") from exc
        except BaseException:  # an interrupt, before or after the bytes were written
            if os.pread(self._fd, length, self._offset) == frame:
                self._offset, self.next_sequence = end, taken
                self._batch.filled = True
            else:
                self._cut_off()
            raise
        # no call between the write and these lines: an interrupt can't part them
        self._offset = end
        self.next_sequence = taken
        batch = self._batch
        batch.filled = True
        return batch

    def is_idle(self) -> bool:
        """True if no call of the host is under way."""
        return self.open_intents.keys() <= self.refused_outcomes

    def abort(self, sequence: int) -> None:
        """Mark an intent whose caller is about to be told that it is not recorded.

        Written now if the disk lets us, else before the next frame.
        """
        self.open_intents.pop(sequence, None)
        self._aborted.append(sequence)
        self._mending = True
        with contextlib.suppress(SpoolUnavailable):
            self._mend()

    def sync(self, batch: Batch) -> None:
        """Return when the frames of ``batch`` are durable. Threads that wait share one sync.

        Raises:
            SpoolUnavailable: they may not be durable.
        """
        with self._sync_lock:
            if not batch.settled:
                self._settle(batch)
        if batch.error is not None:
            raise SpoolUnavailable("the spool can't be made durable") from batch.error

    def sync_all(self) -> None:
        """Return when everything appended so far is durable.

        Raises:
            SpoolUnavailable: something may not be durable.
        """
        with self._sync_lock:
            if self._fd < 0:
                return
            batch = self._batch
            if batch.filled or self._folder_unsynced:
                self.sync(batch)
            elif self._unsound:
                raise SpoolUnavailable("the spool could not be made durable earlier")

    def trim(self) -> None:
        """Give back the room behind the last frame: no other follows."""
        self._room.cut(self._fd, self._offset)

    def heartbeat(self) -> Heartbeat:
        """Signs of life of this source's owner; not yet started."""
        return Heartbeat(self._root / self.source_id.hex(), self._lock_fd)

    def release(self) -> None:
        """Close all files, and with them the lock. Idempotent; writes no record."""
        with self._sync_lock:
            self.forget()
            if self._lock_fd >= 0:
                ownership.drop_lock(self._lock_fd)
                self._lock_fd = -1

    def forget(self) -> None:
        """Close what a forked child inherited, except the lock, which `ownership` has closed."""
        for fd in (self._fd, self._directory_fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self._directory_fd = -1

    def _settle(self, batch: Batch) -> None:
        """Sync the segment for ``batch``. Called with the sync lock held.

        A frame is written before its batch is read, and the batch is replaced before the sync
        begins: so a sync covers every frame of the batch it settles.
        """
        self._batch = Batch()
        try:
            self._disk.fdatasync(self._fd)
            if self._folder_unsynced:
                self._sync_folder()
        except BaseException as exc:
            # The kernel reports a failed write-back once and then forgets the pages: a later
            # sync of this segment would succeed without them. So it is left for good.
            batch.error = exc
            self._unsound = self._mending = True
            if not isinstance(exc, OSError):
                raise
            logger.warning("spool sync failed for source %s: %s", self.source_id.hex(), exc)
        finally:
            batch.settled = True

    def _sync_folder(self) -> None:
        self._disk.fsync(self._directory_fd)
        for folder in (self._root, self._root.parent):
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                self._disk.fsync(fd)
            finally:
                os.close(fd)
        self._folder_unsynced = False

    def _write_rest(self, frame: bytes, written: int) -> None:
        """After a short write: the next one brings the rest, or the reason."""
        while written < len(frame):
            written += self._disk.pwrite(self._fd, frame[written:], self._offset + written)

    def _cut_off(self) -> None:
        """Remove a part of a frame. No reader has gone past it, for it was never whole."""
        try:
            self._cut()
        except OSError as exc:
            self._uncut = self._mending = True
            logger.warning("spool of source %s keeps a torn frame: %s", self.source_id.hex(), exc)

    def _cut(self) -> None:
        self._disk.ftruncate(self._fd, self._offset)
        self._room.was_cut(self._offset)

    def _mend(self) -> None:
        """Undo what a fault left: a torn frame, an unsound segment, intents to be aborted."""
        self._mending = False
        try:
            if self._uncut:
                self._cut()
                self._uncut = False
            if self._unsound:
                self._rotate()
            while self._aborted:
                self.append(Kind.ABORT, self._aborted[0], ABORT_BODY)
                self._aborted.pop(0)
        except OSError as exc:
            raise SpoolUnavailable(f"the spool can't be mended: {exc.strerror}") from exc
        finally:
            # looked at after the flag was cleared: a sync that fails meanwhile sets it again
            if self._uncut or self._unsound or self._aborted:
                self._mending = True

    def _rotate(self) -> None:
        """Go on in a new segment. The old one is durable first, whatever the durability."""
        with self._sync_lock:
            self.trim()
            batch = self._batch
            if self._unsound:
                self._batch = Batch()
                batch.error = OSError("an earlier sync of this segment failed")
                batch.settled = True
            elif batch.filled:
                self._settle(batch)
            left = self._fd
            try:
                self._start_segment(self._segment + 1)
            except OSError as exc:
                raise SpoolUnavailable(f"no new spool segment: {exc.strerror}") from exc
            self._unsound = False
            os.close(left)
        step("spool.segment.rotated")

    def _start_segment(self, segment: int) -> None:
        """Make a segment, and write there from now on.

        It gets its name when its header stands: to a reader the new name means that the segment
        before it is complete.
        """
        name, unnamed = segment_name(segment), segment_name(segment) + ".new"
        fd = os.open(unnamed, _CREATE, 0o600, dir_fd=self._directory_fd)
        try:
            header = encode_header(self.source_id, segment, self.next_sequence)
            if self._disk.pwrite(fd, header, 0) != HEADER_BYTES:
                raise OSError("short write of a segment header")
            if self._durable:
                self._disk.fdatasync(fd)
            self._folder_unsynced = True
            os.rename(unnamed, name, src_dir_fd=self._directory_fd, dst_dir_fd=self._directory_fd)
        except BaseException:
            os.close(fd)
            with contextlib.suppress(OSError):
                os.unlink(unnamed, dir_fd=self._directory_fd)
            raise
        self._fd, self._segment, self._offset = fd, segment, HEADER_BYTES
        self._seed = frame_seed(self.source_id, segment)
        self._room = Room(self._disk, self._segment_bytes if self._durable else 0)
