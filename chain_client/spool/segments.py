"""Reading one segment file: frames, torn tails, damage.

Zeros up to the end of the file, behind the last whole frame, are room that the owner made for the
next ones: nothing is written there yet, or never was.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from chain_client.spool.frames import (
    FRAME_BYTES,
    HEADER_BYTES,
    Corruption,
    Frame,
    Position,
    Record,
    Unfinished,
    check_header,
    decode_frame,
    find_frame,
    frame_seed,
)
from chain_client.spool.opening import open_plain_file
from chain_client.types import SourceId

_ROOM_BYTES = 1 << 20


@dataclass(slots=True)
class Scan:
    """What a read has found so far.

    Args:
        budget_bytes: bytes of frames that may still be read.
    """

    budget_bytes: int
    records: list[Record] = field(default_factory=list)
    corruptions: list[Corruption] = field(default_factory=list)


class SegmentReader:
    """Reads a segment on from an offset.

    Args:
        path: the file.
        source_id: its source.
        number: its place in the source.
        complete: a later segment exists, so its owner has left this one in order.
        final: complete, or its owner is dead: no byte is written any more.
    """

    def __init__(
        self, path: Path, source_id: SourceId, number: int, *, complete: bool, final: bool
    ) -> None:
        self._path = path
        self._source_id = source_id
        self._number = number
        self._seed = frame_seed(source_id, number)
        self._complete = complete
        self._final = final

    def read(self, offset: int, scan: Scan) -> tuple[Position, bool]:
        """Add to ``scan`` what follows ``offset``.

        Returns:
            where it ended, and whether that is the segment's end.

        Raises:
            OSError: the disk refuses.
            SchemaTooNew: the segment was written by a later version.
        """
        with open_plain_file(self._path) as file:
            fd = file.fileno()
            if offset < HEADER_BYTES:
                offset, ended = self._pass_header(fd, scan)
                if not ended:
                    return Position(self._number, offset), self._final
            wanted_bytes = scan.budget_bytes
            while True:
                size_bytes = os.fstat(fd).st_size
                if offset >= size_bytes:
                    return Position(self._number, offset), True
                if scan.budget_bytes <= 0 and scan.records:
                    return Position(self._number, offset), False
                data = os.pread(fd, max(wanted_bytes, FRAME_BYTES), offset)
                used_bytes, unfinished = self._take(data, offset, scan)
                offset += used_bytes
                scan.budget_bytes -= used_bytes
                wanted_bytes = scan.budget_bytes
                if used_bytes == len(data):
                    continue
                if not data[used_bytes] and self._is_room(fd, offset):
                    return Position(self._number, offset), True
                if unfinished is not None and offset + unfinished.needed_bytes <= size_bytes:
                    if scan.records:
                        return Position(self._number, offset), False
                    wanted_bytes = unfinished.needed_bytes  # one is read, even over the budget
                    continue
                behind = self._pass_damage(fd, offset, scan)
                if behind is None:
                    return Position(self._number, offset), False
                offset = behind

    def _pass_header(self, fd: int, scan: Scan) -> tuple[int, bool]:
        """Where the frames begin, and whether the header is all there."""
        header = os.pread(fd, HEADER_BYTES, 0)
        if len(header) < HEADER_BYTES:
            if self._complete:
                scan.corruptions.append(
                    Corruption(self._number, 0, len(header), "segment header is cut off")
                )
            return 0, False
        reason = check_header(header, self._source_id, self._number)
        if reason is not None and (self._complete or any(header)):
            scan.corruptions.append(Corruption(self._number, 0, HEADER_BYTES, reason))
        return HEADER_BYTES, True

    def _take(self, data: bytes, offset: int, scan: Scan) -> tuple[int, Unfinished | None]:
        """Add the whole frames at the front of ``data``; returns the bytes they take, and the
        frame that stopped it if that one goes beyond ``data``."""
        view, at, number, seed = memoryview(data), 0, self._number, self._seed
        while at < len(data):
            found = decode_frame(view, at, seed)
            if not isinstance(found, Frame):
                return at, found
            kind, sequence, mark, body, end = found
            scan.records.append(
                Record(
                    kind,
                    sequence,
                    mark,
                    body,
                    Position(number, offset + at),
                    Position(number, offset + end),
                )
            )
            at = end
        return at, None

    def _is_room(self, fd: int, offset: int) -> bool:
        """Whether nothing but zeros follows."""
        while data := os.pread(fd, _ROOM_BYTES, offset):
            if data.count(0) != len(data):
                return False
            offset += len(data)
        return True

    def _pass_damage(self, fd: int, offset: int, scan: Scan) -> int | None:
        """The offset to go on from, behind what is not valid at ``offset``.

        Returns:
            None if its owner may still be writing it.
        """
        rest = os.pread(fd, os.fstat(fd).st_size - offset, offset)
        behind = find_frame(rest, 0, self._seed)
        if behind == 0:
            return offset  # its owner has finished it since it was first looked at
        if not self._final:
            if behind is None:
                return None
            if os.pread(fd, len(rest), offset) != rest:
                return offset  # its owner has written on, or has just cut off a torn frame
        if behind is None:
            behind = len(rest)
            written = memoryview(rest.rstrip(b"\0"))  # of a torn frame in the owner's room
            if not self._complete and isinstance(decode_frame(written, 0, self._seed), Unfinished):
                return offset + behind
        scan.corruptions.append(
            Corruption(self._number, offset, behind, "no valid frame in these bytes")
        )
        return offset + behind
