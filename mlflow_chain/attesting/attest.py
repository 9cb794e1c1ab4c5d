"""Attesting the files of a version: reading all of them, once, while nobody changes them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from typing import Any

from chain_client.errors import HostUnavailable, InvalidInput
from chain_client.events import Event, Json
from chain_client.hosts import AttestedFiles, Recorded, Scope
from chain_client.manifests import FileEntry, ModelManifest, model_digest, openssf_root
from mlflow_chain.attesting.descriptions import check_descriptions
from mlflow_chain.attesting.fingerprints import fingerprint, fingerprint_listed, proves
from mlflow_chain.attesting.locating import files_at
from mlflow_chain.files.bracket import DELETED, KIND, LOGGED, UPLOADED
from mlflow_chain.files.locations import Storage, is_path, relative, upwards
from mlflow_chain.files.stored import LOADING_NOTE, NO_FILE, Listing, Stored, StoredFiles
from mlflow_chain.verifying.on_all_cores import on_all_cores
from mlflow_chain.verifying.order import ABSENT, UNKNOWN, Register
from mlflow_chain.verifying.replay import replay

MAX_FILES = 100_000
_TRIES = 3
_PASSED = frozenset({DELETED, LOGGED, UPLOADED})


class FilesChanged(InvalidInput):
    """The files are not those that were recorded, or are being changed while they are read."""


def attest(location: str, storage: Storage, recorded: Recorded) -> AttestedFiles:
    """What the files at a canonical location are.

    Guarantee: every file below it was read, and none was changed between the first look and the
    last; where the log has a file's digest, it is that one. No ``MLmodel`` leads MLflow to any
    other file (`descriptions`). MLflow's own note of a load at the top
    (``registered_model_meta``), which it writes anew with every load, is no file of the version.

    Args:
        location: as `locating.resolve_location` gives it.
        storage: where files are kept.
        recorded: gives what the log has of a subject.

    Raises:
        FilesChanged: they are not those that were recorded, or change all the time.
        InvalidInput: no file is there, or one that can't be attested, such as a symbolic link or
            an ``MLmodel`` that names what lies elsewhere.
        HostUnavailable: a file or folder can't be read.
    """
    files = files_at(location, storage)
    if is_path(files.root) and not stat.S_ISDIR(_mode(files.root)):
        raise InvalidInput(f"{files.root} is no folder; a version's files lie in one")
    expected = _recorded_files(location, recorded)
    for _ in range(_TRIES):
        before, listing = _look(files)
        manifest = read_manifest(files, listing)
        if fingerprint(files) == before:
            break
    else:
        raise FilesChanged(
            f"the files at {location} were changed while they were read; try again when nobody "
            "writes there"
        )
    _check_recorded(location, manifest, expected)
    check_descriptions(files, manifest, listing.versions)
    return AttestedFiles(
        location,
        model_digest(manifest),
        manifest.to_json(),
        openssf_root(manifest.files),
        before,
        versions=_versions(manifest, listing),
        tells_changes=proves(before),
    )


def read_manifest(files: StoredFiles, listing: Listing | None = None) -> ModelManifest:
    """Read every file, on all cores; where the storage tells digests, it is asked for them.

    Args:
        files: where they are kept.
        listing: of them; where it names versions, exactly these are read. None: they are listed.

    Raises:
        InvalidInput: no file is there, or one that can't be attested.
        HostUnavailable: a file or folder can't be read.
    """
    shown = files.root
    listing = listing or files.list()
    versions = listing.versions
    if listing.unreadable:
        raise HostUnavailable(f"folders below {shown} can't be read: {_some(listing.unreadable)}")
    unfinished = listing.unfinished | listing.leftover
    if unfinished:
        raise InvalidInput(
            f"uploads below {shown} are not finished: {_some(unfinished)}; wait for them, or "
            "remove the files if their server died"
        )
    paths = sorted(path for path in listing.paths if not _is_note(files, path))
    if not paths:
        raise InvalidInput(f"there is no file below {shown}, so there is nothing to attest")
    if len(paths) > MAX_FILES:
        raise InvalidInput(f"more than {MAX_FILES} files below {shown}; pack them")
    with on_all_cores() as cores:
        return ModelManifest.of(
            _entry(shown, path, found)
            for path, found in cores.in_order(
                lambda path: files.find(path, versions.get(path)), paths
            )
        )


def _look(files: StoredFiles) -> tuple[Json, Listing]:
    """The fingerprint, and what is there; nothing is listed that it does not cover."""
    if is_path(files.root):
        before = fingerprint(files)
        return before, files.list()
    listing = files.list()
    return fingerprint_listed(listing), listing


def _versions(manifest: ModelManifest, listing: Listing) -> tuple[str, ...]:
    found = tuple(listing.versions.get(entry.path, "") for entry in manifest.files)
    return found if all(found) else ()


def _mode(folder: str) -> int:
    try:
        return os.lstat(os.path.realpath(folder)).st_mode
    except FileNotFoundError:
        raise InvalidInput(f"there is no folder {folder}: the version's files are gone") from None
    except OSError as exc:
        raise HostUnavailable(f"{folder} can't be read ({exc.strerror or exc})") from exc


def _is_note(files: StoredFiles, path: str) -> bool:
    return path == LOADING_NOTE and files.is_loading_note(path)


def _entry(shown: str, path: str, found: Stored | None) -> FileEntry:
    if found == NO_FILE:
        raise InvalidInput(
            f"{path!r} below {shown} is a symbolic link, a pipe or a device; put the file itself "
            "in its place"
        )
    if found is None:
        raise FilesChanged(f"{path!r} below {shown} vanished while the files were read")
    return FileEntry(path, *found)


def _recorded_files(location: str, recorded: Recorded) -> dict[str, Register]:
    """What passed us of the files at a location, by path: not what was only read back."""
    events: list[Event] = list(recorded(KIND, location, True))
    for folder in list(upwards(location))[1:]:
        events.extend(recorded(KIND, folder, False))
    state = replay((event for event in events if event.type in _PASSED), Scope())
    found = {}
    for where, register in state.files.items():
        path = relative(location, where)
        if path is not None:
            found[path] = register
    return found


def _check_recorded(
    location: str, manifest: ModelManifest, expected: Mapping[str, Register]
) -> None:
    there = {entry.path: (entry.size, entry.sha256) for entry in manifest.files}
    differing = [
        path for path, register in expected.items() if not _allows(register, there.get(path))
    ]
    differing = [path for path in differing if path != LOADING_NOTE]
    if differing:
        raise FilesChanged(
            f"files at {location} are not those that were recorded when they were logged: "
            f"{_some(differing)}; run mlops-chain verify, and register a version of untouched files"
        )


def _allows(register: Register, stored: Any) -> bool:
    values = register.values()
    if not values or UNKNOWN in values:
        return True
    return stored in values or (stored is None and ABSENT in values)


def _some(paths: Iterable[str]) -> str:
    named = sorted(paths)
    shown = ", ".join(repr(path) for path in named[:5])
    return shown if len(named) <= 5 else f"{shown} and {len(named) - 5} more"


__all__ = ["FilesChanged", "attest", "read_manifest"]
