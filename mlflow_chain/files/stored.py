"""Reading stored files back, through MLflow's own artifact repositories."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chain_client.errors import HostUnavailable
from mlflow_chain.files.hashing import digest_regular, open_regular
from mlflow_chain.files.locations import join, to_location

Stored = tuple[int, str]
"""Size and SHA-256."""

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
    """

    paths: set[str] = field(default_factory=set)
    unreadable: list[str] = field(default_factory=list)


def is_local(root: str) -> bool:
    """Whether a root lies on this machine's file system."""
    return to_location(root).startswith("/")


def find_stored_file(root: str, path: str) -> Stored | None:
    """Size and digest of one file below a root; None if it is not there.

    Raises:
        FileUnreadable: it can't be read.
    """
    if is_local(root):
        return _digest(Path(join(to_location(root), path)))
    with tempfile.TemporaryDirectory() as folder:
        try:
            local = _repository(root).download_artifacts(path, folder)
        except Exception as exc:
            if _is_missing(exc):
                return None
            raise FileUnreadable(f"it can't be read ({type(exc).__name__})") from exc
        return _digest(Path(local))


LOADING_NOTE = "registered_model_meta"
"""MLflow writes this file beside a local model each time it is loaded through the registry."""

_LARGEST_NOTE = 1_024


def is_loading_note(root: str, path: str) -> bool:
    """Whether a file is MLflow's note of a load: it says a model's name and version, no more."""
    if path.rpartition("/")[2] != LOADING_NOTE or not is_local(root):
        return False
    import yaml

    try:
        stream = open_regular(Path(join(to_location(root), path)))
        if stream is None:
            return False
        with stream:
            text = stream.read(_LARGEST_NOTE + 1)
        content = yaml.safe_load(text) if len(text) <= _LARGEST_NOTE else None
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        return False
    return (
        isinstance(content, dict)
        and content.keys() == {"model_name", "model_version"}
        and all(type(value) in (str, int) for value in content.values())
    )


def list_stored_files(root: str) -> Listing:
    """What is below a root; the root itself may be, or lie below, a symbolic link.

    Raises:
        HostUnavailable: the storage does not answer.
    """
    listing = Listing()
    if is_local(root):
        _list_folder(to_location(root), listing)
        return listing
    try:
        listing.paths.update(_walk(_repository(root), None))
    except Exception as exc:
        if not _is_missing(exc):
            raise _unavailable(root, exc) from exc
    return listing


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
                    else:
                        listing.paths.add(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            listing.unreadable.append(folder)


def _walk(repository: Any, folder: str | None) -> Iterator[str]:
    for found in repository.list_artifacts(folder):
        if found.is_dir:
            yield from _walk(repository, found.path)
        else:
            yield found.path


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


def _repository(root: str) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(root)


def _is_missing(error: Exception) -> bool:
    return getattr(error, "error_code", None) == "RESOURCE_DOES_NOT_EXIST" or isinstance(
        error, FileNotFoundError
    )


def _unavailable(root: str, error: Exception) -> HostUnavailable:
    return HostUnavailable(f"the files below {root} can't be read ({type(error).__name__})")
