"""The system calls by which a journal reaches its disk.

This is the seam for faults: `SpoolWriter` takes a `Disk`, and a test hands in a subclass that
fails, or notes what was made durable. Nothing else of the spool is ever replaced by a test.
"""

from __future__ import annotations

import os
import sys

if sys.platform == "darwin":
    import fcntl

    def _to_disk(fd: int) -> None:
        """fsync(2) there only reaches the drive's cache."""
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)

    _data_to_disk = _to_disk
else:
    _to_disk = os.fsync
    _data_to_disk = os.fdatasync


class Disk:
    """The real system calls; each raises OSError."""

    __slots__ = ()

    pwrite = staticmethod(os.pwrite)
    ftruncate = staticmethod(os.ftruncate)
    fdatasync = staticmethod(_data_to_disk)
    fsync = staticmethod(_to_disk)


REAL_DISK = Disk()
