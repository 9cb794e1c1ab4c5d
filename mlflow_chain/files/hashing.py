"""Digests of files, at the speed of SHA-256."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

# Windows has neither.
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class FileDigest:
    """A file as it was when it was read.

    Args:
        path: below its root, with ``/``.
        size: in bytes.
        sha256: in hex.
        version: modification time and inode, to see whether it was changed since.
    """

    path: str
    size: int
    sha256: str
    version: tuple[int, int, int]


def digest_file(file: Path, path: str) -> FileDigest:
    """Read one file, also behind symbolic links; waits for nobody.

    Args:
        file: where it is.
        path: what it is called below its root.

    Raises:
        OSError: it can't be read, or is a pipe, a device, a socket or a folder.
    """
    stream = open_regular(Path(os.path.realpath(file)))
    if stream is None:
        raise OSError(errno.EINVAL, "it is no regular file")
    with stream:
        return _digest(stream, path)


def open_regular(file: Path) -> IO[bytes] | None:
    """Open a file that must be a plain one, without waiting for anybody.

    Returns:
        None if it is a symbolic link, a pipe, a device, a socket or a folder.
    """
    try:
        if not stat.S_ISREG(os.lstat(file).st_mode):
            return None
        # Between the two calls it may have been exchanged: then neither follow it nor wait.
        opened = os.open(file, os.O_RDONLY | _NO_FOLLOW | _NO_WAIT)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.ENXIO):
            return None
        raise
    stream = os.fdopen(opened, "rb")
    if stat.S_ISREG(os.fstat(opened).st_mode):
        return stream
    stream.close()
    return None


def digest_regular(file: Path) -> FileDigest | None:
    """Read one file, as `open_regular`."""
    stream = open_regular(file)
    if stream is None:
        return None
    with stream:
        return _digest(stream, "")


def digest_folder(folder: Path, path: str) -> Iterator[tuple[Path, FileDigest | str]]:
    """Read every file below a folder, in the order of their paths.

    Args:
        folder: where it is.
        path: what it is called below its root; empty for the root itself.

    Yields:
        each file with its digest; with its path, if it can't be read.
    """
    for file in sorted(_files(folder)):
        below = file.relative_to(folder).as_posix()
        name = f"{path}/{below}" if path else below
        try:
            found: FileDigest | str = digest_file(file, name)
        except OSError:
            found = name
        yield file, found


def version_of(file: Path) -> tuple[int, int, int] | None:
    """What tells a file from the one that was there before; None if there is none."""
    try:
        return _version(file.stat())
    except OSError:
        return None


def is_unchanged(file: Path, digest: FileDigest) -> bool:
    """Whether the file seems to be the one that was read."""
    return version_of(file) == digest.version


def _files(folder: Path) -> Iterator[Path]:
    # As MLflow walks: into folders, but not through symbolic links to folders.
    for where, _, names in os.walk(folder):
        for name in names:
            yield Path(where, name)


def _digest(stream: Any, path: str) -> FileDigest:
    before = os.fstat(stream.fileno())
    digest = hashlib.file_digest(stream, "sha256")
    return FileDigest(path, stream.tell(), digest.hexdigest(), _version(before))


def _version(status: os.stat_result) -> tuple[int, int, int]:
    return (status.st_mtime_ns, status.st_size, status.st_ino)
