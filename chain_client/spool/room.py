"""The zeros that lie ahead of a segment's frames, so that syncing a frame is cheap.

A frame that makes its file longer is durable only with the file system's own journal. One that is
written over zeros is durable with its own block.
"""

from __future__ import annotations

import contextlib
import logging
import os

from chain_client.spool.disk import Disk
from chain_client.steps import step

logger = logging.getLogger(__name__)

LEAST_BYTES = 16 * 1024
MOST_BYTES = 256 * 1024
"""Longest row of zeros that is written at once: what one caller now and then waits for."""
_PAGE_BYTES = 4096


class Room:
    """Room of one segment. It never holds anything but zeros, and no zero ever hits a frame.

    Guarantee: nothing here raises OSError. Where the disk gives no room, frames make the file
    longer as they are written, and the disk's refusal is met there.

    The zeros need no sync of their own: the one that makes a frame durable makes durable what
    that frame needs of them.

    Args:
        disk: the system calls.
        limit_bytes: no zero is written beyond this size of the segment; 0 makes no room at all.
    """

    __slots__ = ("_disk", "_end", "_limit_bytes")

    def __init__(self, disk: Disk, limit_bytes: int) -> None:
        self._disk = disk
        self._limit_bytes = limit_bytes
        self._end = 0

    def make(self, fd: int, offset: int, end: int) -> None:
        """See that the bytes from ``offset``, where the frames end, to ``end`` exist, and more.

        As much again as the segment holds, so that a source of few records takes little.
        """
        if end <= self._end or end >= self._limit_bytes:
            return
        more_bytes = min(max(offset, LEAST_BYTES), MOST_BYTES)
        wanted = -(-(end + more_bytes) // _PAGE_BYTES) * _PAGE_BYTES
        wanted = min(wanted, self._limit_bytes)
        start = max(self._end, offset)
        try:
            while start < wanted:
                start += self._disk.pwrite(fd, bytes(wanted - start), start)
        except OSError as exc:
            logger.debug("no room ahead in a spool segment: %s", exc)
            self._limit_bytes = 0
            self.cut(fd, offset)
        else:
            self._end = wanted
            step("spool.room.made")

    def cut(self, fd: int, offset: int) -> None:
        """Give back what lies behind the frames. What can't be given back is harmless."""
        self.was_cut(offset)
        with contextlib.suppress(OSError):
            if os.fstat(fd).st_size > offset:
                self._disk.ftruncate(fd, offset)

    def was_cut(self, offset: int) -> None:
        """The segment was cut off at ``offset``."""
        self._end = offset
