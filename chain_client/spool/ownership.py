"""Who owns a source: its folder's name and the lock its owner holds while it lives.

The lock is flock(2) on ``owner.lock``. The owner takes it once, while the folder still has a
temporary name, so nobody ever sees a source that has no owner yet. The kernel lets go of it when
the last descriptor closes, however the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import threading
import time
from pathlib import Path

from chain_client.spool.opening import open_plain
from chain_client.types import SourceId

LOCK_NAME = "owner.lock"
_UNBORN_PREFIX = ".new-"
_TRIES = 3
_PAUSE_S = 0.002

# A forked child shares the open file, and with it the lock: it must close its copy, or its parent
# would seem to live for as long as the child does. So that fork sees every copy, a descriptor is
# opened and noted under `_noting`, which fork takes first. `lifetime` closes the copies.
_noting = threading.RLock()
_held: dict[int, int] = {}  # descriptor to the process that took the lock


class UnbornTakenError(Exception):
    """A sweep took the unborn folder away: take another source id."""


def unborn_path(root: Path, source_id: SourceId) -> Path:
    """Where a source is built before it has its name."""
    return root / f"{_UNBORN_PREFIX}{source_id.hex()}"


def take_lock(directory: Path) -> int:
    """Own an unborn source; returns the descriptor that holds the lock.

    Raises:
        UnbornTakenError: `remove_unborn` was faster.
        OSError: the disk refuses.
    """
    with _noting:
        try:
            fd = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError as exc:
            raise UnbornTakenError from exc
        _held[fd] = os.getpid()
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        drop_lock(fd)
        raise UnbornTakenError from exc
    except BaseException:
        drop_lock(fd)
        raise
    return fd


def seize_lock(directory: Path) -> int | None:
    """Take over a source whose owner is dead; None if it lives, or another has seized it.

    Raises:
        FileNotFoundError: the source is gone.
        OSError: the disk refuses.
    """
    with _noting:
        fd = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        _held[fd] = os.getpid()
    try:
        is_ours = _lock_patiently(fd)
        is_here = is_ours and is_named(directory, fd)
    except BaseException:
        drop_lock(fd)
        raise
    if is_here:
        return fd
    drop_lock(fd)
    if is_ours:
        raise FileNotFoundError(f"{directory} was removed")
    return None


def _lock_patiently(fd: int) -> bool:
    """Whether the lock is ours. Whoever only looks whether there is an owner holds it briefly."""
    for number in range(_TRIES):
        if number:
            time.sleep(_PAUSE_S)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


def is_named(directory: Path, fd: int) -> bool:
    """Whether the lock that is held is still the one of the folder with this name.

    Opened and not only looked at, so that a network file system asks its server.
    """
    try:
        other = os.open(directory / LOCK_NAME, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return os.path.sameopenfile(fd, other)
    finally:
        os.close(other)


def drop_lock(fd: int) -> None:
    """Let go, by closing only: in a forked child this leaves the parent's lock alone."""
    with _noting:
        _held.pop(fd, None)
        os.close(fd)


def forget_inherited() -> None:
    """In a forked child: close every copy of the parent's locks."""
    global _noting
    _noting = threading.RLock()
    for fd in [fd for fd, pid in _held.items() if pid != os.getpid()]:
        del _held[fd]
        os.close(fd)


def is_owned(directory: Path) -> bool:
    """True while the owner of a source lives. Never waits, and never keeps the owner waiting.

    Raises:
        OSError: the lock file can't be opened.
    """
    try:
        fd = open_plain(directory / LOCK_NAME)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def remove_unborn(root: Path) -> int:
    """Clear away what processes left that died while they made a source; returns how many.

    Safe at any time: an unborn source whose maker lives is left alone, or its maker takes
    another name. Nothing was ever recorded in what is removed.
    """
    removed = 0
    for directory in root.glob(f"{_UNBORN_PREFIX}*"):
        try:
            directory.rmdir()  # its maker died before it had a lock
        except FileNotFoundError:
            continue
        except OSError:
            if not _remove_unowned(directory):
                continue
        removed += 1
    return removed


def _remove_unowned(directory: Path) -> bool:
    try:
        fd = os.open(directory / LOCK_NAME, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(directory)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


os.register_at_fork(before=_noting.acquire, after_in_parent=_noting.release)
