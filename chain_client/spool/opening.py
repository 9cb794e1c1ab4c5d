"""Opening what lies in a folder into which others may write: plain files only, and without waiting.

Whoever may put a spool there may put a pipe there, a device, or a link to anything else.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from io import FileIO
from pathlib import Path

_CAREFUL = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotPlainError(OSError):
    """It is no plain file: a link, a pipe, a device, a folder."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, "it is no plain file", str(path))


def open_plain(path: Path, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a plain file; never waits, and follows no link.

    Raises:
        NotPlainError: it is something else.
        OSError: it can't be opened.
    """
    try:
        fd = os.open(path, flags | _CAREFUL, 0o600)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise NotPlainError(path) from None
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise NotPlainError(path)


def open_plain_file(path: Path) -> FileIO:
    """The same for reading, as a file without a buffer."""
    return FileIO(open_plain(path), "rb")


def find_odd(folder: Path, *, at_most_bytes: int, in_all_bytes: int) -> str | None:
    """What in a folder is no plain file, or longer than that; None if nothing is.

    Args:
        folder: which.
        at_most_bytes: bound of each file.
        in_all_bytes: bound of all files together.

    A folder that is itself a link is odd.

    Raises:
        OSError: it can't be looked at.
    """
    if not stat.S_ISDIR(folder.lstat().st_mode):
        return "it is no folder"
    total_bytes = 0
    for path in folder.iterdir():
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            return f"{path.name[:80]!a} in it is no plain file"
        if found.st_size > at_most_bytes:
            return f"{path.name[:80]!a} in it has {found.st_size:,} bytes"
        total_bytes += found.st_size
        if total_bytes > in_all_bytes:
            return f"it has more than {in_all_bytes:,} bytes"
    return None


def remove_folder(folder: Path) -> None:
    """Remove a folder that holds files only; of a link, the link. Two may do so at once.

    Raises:
        OSError: the disk refuses, or it holds a folder.
    """
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _CAREFUL)
    except FileNotFoundError:
        return
    except OSError as exc:
        if exc.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        folder.unlink(missing_ok=True)
        return
    try:
        for name in os.listdir(fd):  # noqa: PTH208 - of the descriptor
            try:
                os.unlink(name, dir_fd=fd)
            except FileNotFoundError:
                continue
    finally:
        os.close(fd)
    try:
        folder.rmdir()
    except FileNotFoundError:
        return


def write_into(folder: Path, name: str, data: bytes) -> None:
    """Write a file durably, whole or not at all, into a folder that is made if it is missing.

    What has the name is replaced, and not followed.

    Raises:
        OSError: the disk refuses, or the folder is a link or no folder.
    """
    folder_fd = _open_folder(folder)
    try:
        unnamed = f"{name}.{os.getpid()}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unnamed, dir_fd=folder_fd)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CAREFUL
        fd = os.open(unnamed, flags, 0o600, dir_fd=folder_fd)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        os.rename(unnamed, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        os.fsync(folder_fd)
    finally:
        os.close(folder_fd)


def _open_folder(folder: Path) -> int:
    folder.mkdir(mode=0o700, exist_ok=True)
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _CAREFUL)


def move_into(source: Path, folder: Path, name: str) -> None:
    """Move a folder into another one that is made if it is missing, under a name that is free.

    Raises:
        OSError: the disk refuses, or the other one is a link or no folder.
    """
    fd = _open_folder(folder)
    try:
        taken, chosen = set(os.listdir(fd)), name  # noqa: PTH208 - likewise
        for number in range(1, len(taken) + 1):
            if chosen not in taken:
                break
            chosen = f"{name}.{number}"
        os.rename(source, chosen, dst_dir_fd=fd)
    finally:
        os.close(fd)
