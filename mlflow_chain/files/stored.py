"""Reading stored files back, through MLflow's own artifact repositories or a plugin's store."""

from __future__ import annotations

import os
import posixpath
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chain_client.artifact_stores import ArtifactStore
from chain_client.errors import HostUnavailable
from chain_client.shown_uri import to_shown_uri
from mlflow_chain.files.hashing import digest_regular, open_regular
from mlflow_chain.files.locations import Spot, is_path, join
from mlflow_chain.files.storages import find_store, find_told, list_told, read_told

Stored = tuple[int, str]
"""Size and SHA-256."""

_STAGING: Final = re.compile(r"\.artifact\.uploading\.[a-z0-9_]{8}")
"""How MLflow names a file that is being uploaded; it refuses such names to its clients."""

_LONGEST_UPLOAD_S: Final = 86_400
_CLOCK_S: Final = 300
"""How far the clock of a network's storage may be ahead."""

NO_FILE: Final[Stored] = (0, "no regular file")
"""A symbolic link, a pipe or a device stands where a file may be."""


class FileUnreadable(HostUnavailable):
    """One file can't be read; others may well be."""


@dataclass(slots=True)
class Listing:
    """What is below a root.

    Args:
        paths: of every file, and of whatever else is no folder: symbolic links are not followed.
        unreadable: folders that can't be listed.
        unfinished: files named and as young as those in which MLflow hides an upload until it is
            whole; it is under way, or its server died.
        leftover: files named so and older.
        sizes: in bytes, of files that are on no file system, where the storage tells.
        versions: which version of each file is current, where the storage keeps versions.
    """

    paths: set[str] = field(default_factory=set)
    unreadable: list[str] = field(default_factory=list)
    unfinished: set[str] = field(default_factory=set)
    leftover: set[str] = field(default_factory=set)
    sizes: dict[str, int | None] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


class StoredFiles:
    """What is kept below one root; threads may share it.

    Args:
        spot: where it is read, as `Storage.find` gives it.
        tracking_uri: the server to ask, if it is behind one.

    Attributes:
        told: how many digests the storage told of files that were not read.
    """

    def __init__(self, spot: Spot, tracking_uri: str | None = None) -> None:
        self.spot = spot
        self.root = join(spot.root, spot.below)
        # MLflow takes a repository's root for a URI, and would cut these off.
        is_cut = not is_path(self.root) and not {"?", "#"}.isdisjoint(spot.below)
        self._base, self._below = (spot.root, spot.below) if is_cut else (self.root, "")
        self._tracking_uri = tracking_uri
        self.told = 0
        self._made: Any = None
        self._store: tuple[ArtifactStore | None] | None = None
        self._lock = threading.Lock()

    @property
    def store(self) -> ArtifactStore | None:
        """What asks the storage itself; None if there is only MLflow's own client.

        Raises:
            HostUnavailable: as `storages.find_store`.
        """
        with self._lock:
            if self._store is None:
                self._store = (find_store(self.spot),)
            return self._store[0]

    def find(self, path: str, version: str | None = None) -> Stored | None:
        """Size and digest of one file; None if it is not there.

        Args:
            path: of the file.
            version: of it, as `list` gives it; None: the current one.

        Raises:
            FileUnreadable: it can't be read.
        """
        store = self._asked()
        if store is None:
            with self._at_hand(path) as file:
                return None if file is None else _digest(file)
        try:
            found = find_told(store, path, version)
        except HostUnavailable as exc:
            raise FileUnreadable(f"it can't be read: {exc}") from exc
        if found is None:
            return None
        size, sha256, is_told = found
        with self._lock:
            self.told += is_told
        return size, sha256

    def read(self, path: str, longest: int, version: str | None = None) -> bytes | None:
        """The bytes of one file; None if there are more, or it is no regular file.

        Args:
            path: of the file.
            longest: how many bytes it may have.
            version: as in `find`.

        Raises:
            FileUnreadable: it can't be read.
        """
        store = self._asked()
        if store is not None:
            try:
                return read_told(store, path, longest, version)
            except HostUnavailable as exc:
                raise FileUnreadable(f"it can't be read: {exc}") from exc
        with self._at_hand(path) as file:
            return None if file is None else _read(file, longest)

    def _asked(self) -> ArtifactStore | None:
        try:
            return self.store
        except HostUnavailable as exc:
            raise FileUnreadable(str(exc)) from exc

    @contextmanager
    def _at_hand(self, path: str) -> Iterator[Path | None]:
        """A file on this machine, which may be a copy; None if it is not there."""
        if is_path(self.root):
            yield Path(join(self.root, path))
            return
        with tempfile.TemporaryDirectory() as folder:
            yield self._download(path, folder)

    def _download(self, path: str, folder: str) -> Path | None:
        place = posixpath.join(self._below, path)
        try:
            return Path(self._repository().download_artifacts(place, folder))
        except Exception as exc:
            if _is_missing(exc):
                return None
            raise FileUnreadable(f"it can't be read ({type(exc).__name__})") from exc

    def list(self) -> Listing:
        """What is below the root; the root itself may be, or lie below, a symbolic link.

        Raises:
            HostUnavailable: the storage does not answer.
        """
        listing = Listing()
        if is_path(self.root):
            _list_folder(self.root, listing)
            return listing
        store = self.store
        if store is not None:
            for found in list_told(store, self.root):
                listing.paths.add(found.path)
                listing.sizes[found.path] = found.size
                if found.version is not None:
                    listing.versions[found.path] = found.version
            return listing
        try:
            for path, size in _walk(self._repository(), self._below or None):
                name = posixpath.relpath(path, self._below or ".")
                listing.paths.add(name)
                listing.sizes[name] = size
        except Exception as exc:
            if not _is_missing(exc):
                raise _unavailable(self.root, exc) from exc
        return listing

    def _repository(self) -> Any:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        with self._lock:
            if self._made is None:
                self._made = get_artifact_repository(self._base, self._tracking_uri)
            return self._made

    def is_loading_note(self, path: str) -> bool:
        """Whether a file is MLflow's note of a load: it says a model's name and version."""
        if path.rpartition("/")[2] != LOADING_NOTE or not is_path(self.root):
            return False
        return _is_loading_note(Path(join(self.root, path)))


LOADING_NOTE = "registered_model_meta"
"""MLflow writes this file beside a local model each time it is loaded through the registry."""

_LARGEST_NOTE = 1_024


def _is_loading_note(file: Path) -> bool:
    import yaml

    try:
        stream = open_regular(file)
        if stream is None:
            return False
        with stream:
            text = stream.read(_LARGEST_NOTE + 1).decode()
        content = yaml.safe_load(text) if len(text) <= _LARGEST_NOTE else None
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        return False
    if not isinstance(content, dict) or content.keys() != {"model_name", "model_version"}:
        return False
    # As MLflow writes it, by whichever of the two; anything more would be somebody's own.
    dumpers = (yaml.SafeDumper, getattr(yaml, "CSafeDumper", yaml.SafeDumper))
    return all(type(value) in (str, int) for value in content.values()) and any(
        text == yaml.dump(content, None, dumper, default_flow_style=False, allow_unicode=True)
        for dumper in dumpers
    )


def _list_folder(base: str, listing: Listing) -> None:
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(f"{base}/{folder}") as entries:
                for entry in entries:
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(path)
                    elif _STAGING.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                        age_s = time.time() - entry.stat(follow_symlinks=False).st_mtime
                        is_old = not 0 <= age_s + _CLOCK_S <= _LONGEST_UPLOAD_S
                        (listing.leftover if is_old else listing.unfinished).add(path)
                    else:
                        listing.paths.add(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            listing.unreadable.append(folder)


def _walk(repository: Any, folder: str | None) -> Iterator[tuple[str, int | None]]:
    for found in repository.list_artifacts(folder):
        if found.is_dir and found.path != folder:
            yield from _walk(repository, found.path)
        elif not found.is_dir:
            yield found.path, found.file_size


def _digest(file: Path) -> Stored | None:
    try:
        if file.is_dir() and not file.is_symlink():
            return None
        digest = digest_regular(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise FileUnreadable(f"{file} can't be read ({exc.strerror or exc})") from exc
    return NO_FILE if digest is None else (digest.size, digest.sha256)


def _read(file: Path, longest: int) -> bytes | None:
    try:
        stream = open_regular(file)
        if stream is None:
            return None
        with stream:
            content = stream.read(longest + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise FileUnreadable(f"{file} can't be read ({exc.strerror or exc})") from exc
    return content if len(content) <= longest else None


def _is_missing(error: Exception) -> bool:
    return getattr(error, "error_code", None) == "RESOURCE_DOES_NOT_EXIST" or isinstance(
        error, FileNotFoundError
    )


def _unavailable(root: str, error: Exception) -> HostUnavailable:
    return HostUnavailable(
        f"the files below {to_shown_uri(root)} can't be read ({type(error).__name__})"
    )
