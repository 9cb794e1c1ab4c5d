"""Counting how often a process asks the disk to be durable, SQLite's own calls included.

With a C compiler: a library that counts and passes on (`fsyncs.c`), loaded by LD_PRELOAD. Without
one: only the spool's calls are counted, at its `Disk`; the table says which.
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

from chain_client.spool.disk import Disk

_FILE = "BENCH_FSYNCS"
_PRELOAD = "LD_PRELOAD"
_SOURCE = Path(__file__).with_name("fsyncs.c")


def build_library(folder: Path) -> Path | None:
    """The counting library, compiled into ``folder``; None where that can't be done."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return None
    library = folder / "fsyncs.so"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(_SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, check=False)
    return library if done.returncode == 0 else None


def counting_environment(library: Path | None, counter: Path) -> dict[str, str]:
    """What a process to be counted must find in its environment.

    Args:
        library: from `build_library`.
        counter: a file of the process's own; made here.
    """
    if library is None:
        return {}
    counter.write_bytes(bytes(8))
    return {_PRELOAD: str(library), _FILE: str(counter)}


class FsyncCount:
    """Running count of this process's fsyncs. Make one, and before any process is started."""

    def __init__(self) -> None:
        path = os.environ.pop(_FILE, None)
        os.environ.pop(_PRELOAD, None)  # what we start counts for itself
        self._page: mmap.mmap | None = None
        self._spooled = 0
        if path is None:
            self._count_spool()
        else:
            with Path(path).open("r+b") as file:
                self._page = mmap.mmap(file.fileno(), 8)

    @property
    def covers(self) -> str:
        """Whose calls are counted."""
        return "process" if self._page is not None else "spool"

    def read(self) -> int:
        """How many there were so far."""
        if self._page is None:
            return self._spooled
        count: int = struct.unpack("q", self._page[:8])[0]
        return count

    def _count_spool(self) -> None:
        def counted(real: Any) -> Any:
            def call(fd: int) -> None:
                self._spooled += 1
                real(fd)

            return staticmethod(call)

        Disk.fdatasync = counted(Disk.fdatasync)
        Disk.fsync = counted(Disk.fsync)
