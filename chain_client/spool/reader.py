"""`SourceReader`: the relay's side of a spool. It never writes to a source, only removes it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chain_client.errors import InvalidInput, SpoolUnavailable
from chain_client.spool import ownership
from chain_client.spool.frames import (
    Corruption,
    Position,
    Record,
)
from chain_client.spool.journal import segment_name
from chain_client.spool.opening import open_plain_file, remove_folder, write_into
from chain_client.spool.segments import Scan, SegmentReader
from chain_client.steps import step
from chain_client.types import SourceId

CORRUPT_FOLDER = "corrupt"
TAKEN_PREFIX = ".taken-"
_SOURCE_NAME = re.compile(r"[0-9a-f]{32}")
SEGMENT_NAME = re.compile(r"([0-9]{8,})\.spool", re.ASCII)
"""What a segment's file is called; the group is its number."""


@dataclass(frozen=True, slots=True)
class SpoolRead:
    """What one `SourceReader.read` found.

    Args:
        records: whole frames, in order.
        next: where to read on; unchanged if there is nothing new.
        corruptions: ranges between them that hold no valid frame, each reported by the read that
            passes over it.
    """

    records: list[Record]
    next: Position
    corruptions: list[Corruption]


class SourceReader:
    """Reads one source while its owner writes it, or after.

    Every method raises SpoolUnavailable when the disk refuses.

    Args:
        directory: the source's folder, named by its id in hex.
    """

    def __init__(self, directory: Path) -> None:
        if not _SOURCE_NAME.fullmatch(directory.name):
            raise InvalidInput(f"expected a folder named by a source id, got {directory.name!r}")
        self.directory = directory
        self.source_id = SourceId(bytes.fromhex(directory.name))

    def is_live(self) -> bool:
        """True while the owner lives (or a process that it forked has not yet noticed).

        Never waits and never disturbs the owner. A source once dead never lives again.
        """
        with _disk_errors("can't look at the owner of"):
            return ownership.is_owned(self.directory)

    def read(self, start: Position, max_bytes: int) -> SpoolRead:
        """The records from ``start`` on, to at most ``max_bytes``; one at least, if there is one.

        Only whole, valid frames are returned. What is not valid is passed over up to the next
        valid frame and reported. Not reported is the end of the last segment while its owner
        lives, for it may be in the middle of a frame; nor, once the owner is dead, a frame it
        did not finish. A segment that the relay removes meanwhile is passed over.

        Args:
            start: where the last read ended, or ``Position(0, 0)``.
            max_bytes: bound of the frames' bytes, and so of the memory used, as long as no
                damage has to be searched (then: the size of a segment).

        Raises:
            SchemaTooNew: a segment was written by a later version.
        """
        with _disk_errors("can't read"):
            # Asked before any byte is read: what is read then of a dead source, or of a segment
            # that has a successor, is final.
            live = self.is_live()
            numbers = self.segment_numbers()
            found = Scan(max_bytes)
            position = start
            while True:
                later = [number for number in numbers if number > position.segment]
                if position.segment in numbers:
                    segment = SegmentReader(
                        self.directory / segment_name(position.segment),
                        self.source_id,
                        position.segment,
                        complete=bool(later),
                        final=bool(later) or not live,
                    )
                    try:
                        position, ended = segment.read(position.offset, found)
                    except FileNotFoundError:
                        # The relay removed it since it was listed: the log has it.
                        listed, numbers = numbers, self.segment_numbers()
                        if numbers == listed:
                            raise
                        continue
                    if not ended:
                        break
                if not later:
                    break
                position = Position(later[0], 0)
            return SpoolRead(found.records, position, found.corruptions)

    def is_empty(self) -> bool:
        """Whether no segment is left of it."""
        with _disk_errors("can't list"):
            return not self.segment_numbers()

    def fsync(self) -> None:
        """Make durable what can be read now, so that it may be sequenced."""
        with _disk_errors("can't sync"):
            for number in self.segment_numbers():
                _sync_path(self.directory / segment_name(number))
            _sync_path(self.directory)
            _sync_path(self.directory.parent)

    def remove_segments_before(self, segment: int) -> None:
        """Remove the segments below ``segment``, whose records the log holds.

        The newest segment always stays. Removing again what is gone is no error.
        """
        with _disk_errors("can't remove segments of"):
            for number in self.segment_numbers()[:-1]:
                if number < segment:
                    step("spool.segment.before_remove")
                    (self.directory / segment_name(number)).unlink(missing_ok=True)
                    step("spool.segment.removed")

    def remove(self) -> None:
        """Remove a dead source, whose records the log holds. Removing it again is no error.

        Raises:
            InvalidInput: its owner lives.
        """
        if self.is_live():
            raise InvalidInput(f"source {self.source_id.hex()} has a live owner")
        with _disk_errors("can't remove"):
            for number in self.segment_numbers():
                step("spool.segment.before_remove")
                (self.directory / segment_name(number)).unlink(missing_ok=True)
                step("spool.segment.removed")
            with contextlib.suppress(FileNotFoundError):
                for path in list(self.directory.iterdir()):
                    path.unlink(missing_ok=True)
                self.directory.rmdir()

    def take_away(self) -> None:
        """Remove a dead source whose records the log holds, so that it is there whole or gone.

        Of a copied spool the whole content tells where it belongs: it must never be met in part.

        Raises:
            InvalidInput: its owner lives.
        """
        if self.is_live():
            raise InvalidInput(f"source {self.source_id.hex()} has a live owner")
        with _disk_errors("can't remove"):
            target = self.directory.with_name(f"{TAKEN_PREFIX}{self.directory.name}")
            remove_folder(target)
            try:
                self.directory.rename(target)
            except FileNotFoundError:
                return  # another one was faster
            step("spool.fork.taken")
            remove_folder(target)

    def identity(self) -> tuple[int, int] | None:
        """Changes when another folder is put in the place of this one; None if that can't show."""
        try:
            found = (self.directory / ownership.LOCK_NAME).lstat()
        except OSError:
            return None
        return found.st_ino, found.st_ctime_ns

    def quiet_since_us(self) -> int:
        """Wall time at which its owner last gave a sign of life; 0 if it never did."""
        return max(self.signs_of_life()[:2]) // 1000

    def signs_of_life(self) -> tuple[int, int, int]:
        """What changes as long as its owner lives, in a folder that machines share: when its lock
        was last touched, when its newest segment was written, in ns, and that one's size."""
        with _disk_errors("can't look at"):
            touched_ns = 0
            with contextlib.suppress(FileNotFoundError):
                touched_ns = (self.directory / ownership.LOCK_NAME).stat().st_mtime_ns
            for number in reversed(self.segment_numbers()):
                try:
                    found = (self.directory / segment_name(number)).stat()
                except FileNotFoundError:
                    continue
                return touched_ns, found.st_mtime_ns, found.st_size
            return touched_ns, 0, 0

    def segment_numbers(self) -> list[int]:
        """Numbers of the segments that are there, in order."""
        try:
            names = [path.name for path in self.directory.iterdir()]
        except FileNotFoundError:
            return []
        found = (SEGMENT_NAME.fullmatch(name) for name in names)
        return sorted(int(match[1]) for match in found if match)


def list_sources(root: Path) -> list[SourceReader]:
    """Every source below ``root``, in the order of their ids; none if there is no such folder."""
    with _disk_errors("can't list"):
        try:
            names = sorted(path.name for path in root.iterdir())
        except FileNotFoundError:
            return []
        return [SourceReader(root / name) for name in names if _SOURCE_NAME.fullmatch(name)]


def keep_aside(source: SourceReader, corruption: Corruption) -> Path:
    """Copy damaged bytes to ``<spool>/corrupt/``, durably, before their segment is removed.

    Doing it again writes the same file again.

    Returns:
        the copy, named by source, segment and offset.
    """
    folder = source.directory.parent / CORRUPT_FOLDER
    name = f"{source.source_id.hex()}-{corruption.segment:08d}-{corruption.offset}.bin"
    with _disk_errors("can't keep the damaged bytes of"):
        with open_plain_file(source.directory / segment_name(corruption.segment)) as segment:
            segment.seek(corruption.offset)
            data = segment.read(corruption.length)
        write_into(folder, name, data)
    return folder / name


def remove_unborn(root: Path) -> int:
    """Clear away what is left of sources whose makers died before they recorded anything.

    Safe at any time, beside any writer.

    Returns:
        how many were removed.
    """
    with _disk_errors("can't clear"):
        return ownership.remove_unborn(root)


def remove_taken(root: Path) -> None:
    """Clear away what a relay left that died in `SourceReader.take_away`; the log holds it."""
    with _disk_errors("can't clear"):
        for folder in root.glob(f"{TAKEN_PREFIX}*"):
            # What a relay can't have left there stops nothing.
            with contextlib.suppress(OSError):
                remove_folder(folder)


def _sync_path(path: Path) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:  # removed meanwhile, so it is in the log
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _disk_errors(what: str) -> Iterator[None]:
    """Let no OSError out."""
    try:
        yield
    except OSError as exc:
        raise SpoolUnavailable(f"{what} the spool: {exc.strerror} ({exc.filename})") from exc
