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
from mlflow_chain.files.stored import LOADING_NOTE, Listing, StoredFiles

LOCAL = "stat"
"""Way of a file system: path, size, times of change, and inode of every entry."""

VERSIONS = "versions"
"""Way of a storage that keeps versions of every file, and is asked by a plugin: which are current.
A version's bytes never change, so equal ones prove equal bytes."""

LISTED = "listing"
"""Way of any other storage: paths and sizes, which is all that MLflow's listing tells. Equal bytes
it does not prove: a second reading, and verified load, do."""


def fingerprint_of(location: str, storage: Storage, like: Json = None) -> Json:
    """What changes with any change of the files at a canonical location: a stat walk.

    Args:
        location: of the files.
        storage: where files are kept.
        like: an earlier one, to be compared with: what it can't tell is left out. So one that was
            made without a plugin is still good where there is one now.

    Returns:
        ``[way, hex]``; equal only if both are.

    Raises:
        HostUnavailable: the storage does not answer, or nobody here can ask it as ``like`` wants.
        InvalidInput: nobody knows where it is.
    """
    files = files_at(location, storage)
    if is_path(files.root):
        return fingerprint(files)
    way = like[0] if isinstance(like, list) and like else None
    if way == VERSIONS and files.store is None:
        raise HostUnavailable(
            f"the files at {location} were attested by their versions in the storage, and no "
            "plugin here can ask for these; mlops-chain plugins list shows which are loaded"
        )
    listing = files.list()
    return _listed(listing) if way == LISTED else fingerprint_listed(listing)


def fingerprint(files: StoredFiles) -> Json:
    """As `fingerprint_of`, of files that are found already."""
    if is_path(files.root):
        return [LOCAL, _hash(_entries(files))]
    return fingerprint_listed(files.list())


def fingerprint_listed(listing: Listing) -> Json:
    """As `fingerprint_of`, of files that are on no file system and were listed already."""
    if not listing.paths or listing.versions.keys() != listing.paths:
        return _listed(listing)
    return [VERSIONS, _hash([[path, listing.versions[path]] for path in sorted(listing.paths)])]


def proves(fingerprint: Json) -> bool:
    """Whether files of an equal fingerprint were not changed."""
    return isinstance(fingerprint, list) and fingerprint[:1] in ([LOCAL], [VERSIONS])


def _listed(listing: Listing) -> Json:
    return [LISTED, _hash([[path, listing.sizes.get(path)] for path in sorted(listing.paths)])]


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
