"""Aiming from outside: which process holds the write lock of an SQLite database, and lets it go.

A kill by the clock hits a call mostly while it waits or computes. The moment between a commit and
its outcome's record is short; the kernel's list of locks shows from outside when it begins.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

_LOCKS = Path("/proc/locks")
_RESERVED = 0x40000001
"""SQLite's byte for the one connection that writes (https://www.sqlite.org/lockingv3.html)."""


def writer_of(locks: str, inode: int) -> int | None:
    """The process that writes to a file.

    Args:
        locks: content of ``/proc/locks``.
        inode: of the database.
    """
    for line in locks.splitlines():
        words = line.split()
        if len(words) < 8 or words[1] != "POSIX" or words[3] != "WRITE":
            continue
        if int(words[5].rpartition(":")[2]) == inode and words[6] == str(_RESERVED):
            return int(words[4])
    return None


def wait_for_commit(database: Path, among: Collection[int], patience_s: float) -> int | None:
    """Wait until one of the processes has just ended a transaction that wrote.

    Returns:
        that process; None if there was none in time, or this system does not show locks.
    """
    if not _LOCKS.exists():
        return None
    inode = database.stat().st_ino
    deadline = time.monotonic() + patience_s
    holder: int | None = None
    while time.monotonic() < deadline:
        now = writer_of(_LOCKS.read_text(), inode)
        if holder is not None and now != holder:
            return holder
        holder = now if now in among else None
    return None
