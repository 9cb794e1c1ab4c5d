"""Aiming from outside: which process holds the write lock of an SQLite database, and lets it go.

A kill by the clock hits a call mostly while it waits or computes. The moment between a commit and
its outcome's record is short; the kernel's list of locks shows from outside when it begins.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path

_LOCKS = Path("/proc/locks")
_PENDING, _RESERVED = 0x40000000, 0x40000001
"""SQLite's bytes for who writes, and who is committing (https://www.sqlite.org/lockingv3.html)."""
_STEP_S, _COMMIT_STEP_S = 0.0003, 0.0001


class Moment(StrEnum):
    """When a process that writes is stopped."""

    COMMITTING = "while it commits"
    COMMITTED = "after its commit, or rollback"


def writer_of(locks: str, inode: int) -> tuple[int, bool] | None:
    """The process that writes to a file, and whether it is committing.

    Args:
        locks: content of ``/proc/locks``; the kernel joins neighbouring bytes to one range.
        inode: of the database.
    """
    for line in locks.splitlines():
        words = line.split()
        if len(words) < 8 or words[1] != "POSIX" or words[3] != "WRITE":
            continue
        first, last = int(words[6]), words[7]
        covers = first <= _RESERVED and (last == "EOF" or int(last) >= _RESERVED)
        if covers and int(words[5].rpartition(":")[2]) == inode:
            return int(words[4]), first <= _PENDING
    return None


def stop_at(
    moment: Moment, database: Path, among: Collection[int], patience_s: float
) -> int | None:
    """Stop one of the processes while it ends a transaction that wrote, or right behind that.

    It is let run in short steps while it holds the lock, so that a busy machine hits as well.

    Returns:
        that process, stopped by SIGSTOP; None if there was none in time, or this system does not
        show locks.
    """
    if not _LOCKS.exists():
        return None
    inode = database.stat().st_ino
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        found = writer_of(_LOCKS.read_text(), inode)
        if found and found[0] in among and _step_to(moment, found[0], inode, deadline):
            return found[0]
        time.sleep(_STEP_S)
    return None


def _step_to(moment: Moment, holder: int, inode: int, deadline: float) -> bool:
    """Whether it is stopped now at that moment; else it runs again."""
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(holder, signal.SIGSTOP)
            found = writer_of(_LOCKS.read_text(), inode)
            holds = found is not None and found[0] == holder
            if moment is Moment.COMMITTING and holds and found and found[1]:
                return True
            if moment is Moment.COMMITTED and not holds:
                return True
            os.kill(holder, signal.SIGCONT)
            if not holds:
                return False
            time.sleep(_COMMIT_STEP_S if found and found[1] else _STEP_S)
    return False
