"""Fingerprints: whether stored files were changed since, told without reading them."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import Any

import rfc8785

from chain_client.errors import HostUnavailable
from chain_client.events import Json
from mlflow_chain.attesting.locating import files_at
from mlflow_chain.files.locations import Storage, is_path
from mlflow_chain.files.stored import LOADING_NOTE, StoredFiles

LOCAL = "stat"
"""Way of a file system: path, size, times of change, and inode of every entry."""

LISTED = "listing"
"""Way of any other storage: paths and sizes, which is all that MLflow's listing tells. Equal bytes
it does not prove: a second reading, and verified load, do."""


def fingerprint_of(location: str, storage: Storage) -> Json:
    """What changes with any change of the files at a canonical location: a stat walk.

    Returns:
        ``[way, hex]``; equal only if both are.

    Raises:
        HostUnavailable: the storage does not answer.
        InvalidInput: nobody knows where it is.
    """
    return fingerprint(files_at(location, storage))


def fingerprint(files: StoredFiles) -> Json:
    """As `fingerprint_of`, of files that are found already."""
    if is_path(files.root):
        return [LOCAL, _hash(_entries(files))]
    listing = files.list()
    return [LISTED, _hash([[path, listing.sizes.get(path)] for path in sorted(listing.paths)])]


def proves(fingerprint: Json) -> bool:
    """Whether files of an equal fingerprint were not changed."""
    return isinstance(fingerprint, list) and fingerprint[:1] == [LOCAL]


def _entries(files: StoredFiles) -> list[list[Any]]:
    found: list[list[Any]] = []
    waiting = [""]
    try:
        while waiting:
            folder = waiting.pop()
            with os.scandir(f"{files.root}/{folder}") as entries:
                for entry in entries:
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        waiting.append(path)
                    elif path != LOADING_NOTE or not files.is_loading_note(path):
                        times = (str(status.st_mtime_ns), str(status.st_ctime_ns))
                        kind = stat.S_IFMT(status.st_mode)
                        found.append([path, kind, status.st_size, str(status.st_ino), *times])
    except OSError as exc:
        raise HostUnavailable(
            f"the files below {files.root} can't be looked at ({exc.strerror or exc})"
        ) from exc
    return sorted(found)


def _hash(value: list[list[Any]]) -> str:
    text = rfc8785.dumps(
        [[os.fsencode(v).hex() if i == 0 else v for i, v in enumerate(row)] for row in value]
    )
    return hashlib.sha256(text).hexdigest()
