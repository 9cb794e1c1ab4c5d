"""Spools for tests: writers, whole readings, and disks that fail or take note."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

from chain_client.spool import (
    SEGMENT_BYTES,
    Corruption,
    Durability,
    Kind,
    Position,
    Record,
    SourceReader,
    SpoolWriter,
    list_sources,
)
from chain_client.spool.disk import REAL_DISK, Disk
from chain_client.spool.frames import (
    FRAME_BYTES,
    HEADER_BYTES,
    encode_frame,
    encode_header,
    frame_seed,
)
from chain_client.types import SourceId

OPENING = b"opening"
SOURCE_ID = SourceId(bytes(range(16)))
"""Of sources that a test writes byte by byte."""


def make_writer(
    root: Path,
    *,
    durability: Durability = Durability.PROCESS,
    segment_bytes: int = SEGMENT_BYTES,
    disk: Disk = REAL_DISK,
) -> SpoolWriter:
    """A writer whose first and last note can be told."""
    return SpoolWriter(
        root,
        opening=lambda: OPENING,
        closing=lambda count: b"closing %d" % count,
        durability=durability,
        segment_bytes=segment_bytes,
        disk=disk,
    )


def only_source(root: Path) -> SourceReader:
    """The one source below ``root``."""
    (source,) = list_sources(root)
    return source


def read_all(
    source: SourceReader, max_bytes: int = 1 << 20
) -> tuple[list[Record], list[Corruption]]:
    """Everything that can be read, through as many reads as it takes."""
    records: list[Record] = []
    corruptions: list[Corruption] = []
    position = Position(0, 0)
    while True:
        found = source.read(position, max_bytes)
        records += found.records
        corruptions += found.corruptions
        if found.next == position:
            return records, corruptions
        position = found.next


def said(records: list[Record]) -> list[tuple[Kind, int, bytes]]:
    """Kind, sequence and body of each."""
    return [(record.kind, record.sequence, record.body) for record in records]


def acknowledged(records: list[Record]) -> list[bytes]:
    """Bodies of the intents that were not taken back."""
    aborted = {record.sequence for record in records if record.kind is Kind.ABORT}
    return [
        record.body
        for record in records
        if record.kind is Kind.INTENT and record.sequence not in aborted
    ]


def make_source(
    root: Path, *segments: list[tuple[Kind, int, int, bytes]], source_id: SourceId = SOURCE_ID
) -> SourceReader:
    """A dead source, written byte by byte."""
    folder = root / source_id.hex()
    folder.mkdir(parents=True)
    for number, frames in enumerate(segments):
        first = frames[0][1] if frames else 0
        content = encode_header(source_id, number, first)
        content += b"".join(encode_frame(*frame, frame_seed(source_id, number)) for frame in frames)
        (folder / f"{number:08d}.spool").write_bytes(content)
    return SourceReader(folder)


class NotingDisk(Disk):
    """Notes which bodies a successful sync has covered: what would survive a loss of power."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._written: dict[int, list[bytes]] = {}
        self._durable: set[bytes] = set()
        self.syncs = 0

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:  # type: ignore[override]
        written = os.pwrite(fd, data, offset)
        if offset >= HEADER_BYTES:
            with self._guard:
                self._written.setdefault(os.fstat(fd).st_ino, []).append(data[FRAME_BYTES:])
        return written

    def fdatasync(self, fd: int) -> None:  # type: ignore[override]
        with self._guard:
            covered = list(self._written.get(os.fstat(fd).st_ino, ()))
        self._sync(fd)
        with self._guard:
            self._durable.update(covered)
            self.syncs += 1

    def _sync(self, fd: int) -> None:
        REAL_DISK.fdatasync(fd)

    def is_durable(self, body: bytes) -> bool:
        """Whether a sync that began after the body's frame was written has succeeded."""
        with self._guard:
            return body in self._durable


class FaultyDisk(Disk):
    """Fails when it is told to.

    Args:
        short_bytes: how many bytes of a failing write reach the file before it fails.
    """

    def __init__(self, short_bytes: int = 0) -> None:
        self.failing: dict[str, int] = {}
        self.short_bytes = short_bytes

    def fail(self, *calls: str, error: int = errno.EIO) -> None:
        """From now on these calls fail."""
        self.failing.update(dict.fromkeys(calls, error))

    def heal(self) -> None:
        """From now on nothing fails."""
        self.failing.clear()

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:  # type: ignore[override]
        if "pwrite" not in self.failing:
            return os.pwrite(fd, data, offset)
        if 0 < self.short_bytes < len(data):
            # a full disk takes what it can, and refuses the rest when it is asked again
            written = os.pwrite(fd, data[: self.short_bytes], offset)
            self.short_bytes = 0
            return written
        self._may_fail("pwrite")
        raise AssertionError("unreachable")

    def ftruncate(self, fd: int, length: int) -> None:
        self._may_fail("ftruncate")
        os.ftruncate(fd, length)

    def fdatasync(self, fd: int) -> None:  # type: ignore[override]
        self._may_fail("fdatasync")
        REAL_DISK.fdatasync(fd)

    def fsync(self, fd: int) -> None:  # type: ignore[override]
        self._may_fail("fsync")
        REAL_DISK.fsync(fd)

    def _may_fail(self, call: str) -> None:
        if call in self.failing:
            raise OSError(self.failing[call], os.strerror(self.failing[call]))


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run ``work(0)`` to ``work(count - 1)`` at once; the first error is raised."""
    errors: list[BaseException] = []
    ready = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            ready.wait()
            work(number)
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
