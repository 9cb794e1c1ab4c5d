"""Digests of files, at the speed of SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


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
    """Read one file.

    Args:
        file: where it is.
        path: what it is called below its root.
    """
    with file.open("rb") as stream:
        before = os.fstat(stream.fileno())
        digest = hashlib.file_digest(stream, "sha256")
        size = stream.tell()
    return FileDigest(path, size, digest.hexdigest(), _version(before))


def digest_folder(folder: Path, path: str) -> Iterator[tuple[Path, FileDigest]]:
    """Read every file below a folder, in the order of their paths.

    Args:
        folder: where it is.
        path: what it is called below its root; empty for the root itself.
    """
    for file in sorted(_files(folder)):
        below = file.relative_to(folder).as_posix()
        yield file, digest_file(file, f"{path}/{below}" if path else below)


def is_unchanged(file: Path, digest: FileDigest) -> bool:
    """Whether the file seems to be the one that was read."""
    try:
        return _version(file.stat()) == digest.version
    except OSError:
        return False


def _files(folder: Path) -> Iterator[Path]:
    # As MLflow walks: into folders, but not through symbolic links to folders.
    for where, _, names in os.walk(folder):
        for name in names:
            yield Path(where, name)


def _version(stat: os.stat_result) -> tuple[int, int, int]:
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)
