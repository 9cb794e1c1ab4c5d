"""Reading stored files back, through MLflow's own artifact repositories."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chain_client.errors import HostUnavailable
from mlflow_chain.hashing import digest_file
from mlflow_chain.locations import join, to_location

Stored = tuple[int, str]
"""Size and SHA-256."""


def is_local(root: str) -> bool:
    """Whether a root lies on this machine's file system."""
    return to_location(root).startswith("/")


def find_stored_file(root: str, path: str) -> Stored | None:
    """Size and digest of one file below a root; None if it is not there.

    Raises:
        HostUnavailable: the storage does not answer.
    """
    if is_local(root):
        return _digest(Path(join(to_location(root), path)))
    with tempfile.TemporaryDirectory() as folder:
        try:
            local = _repository(root).download_artifacts(path, folder)
        except Exception as exc:
            if _is_missing(exc):
                return None
            raise _unavailable(root, exc) from exc
        return _digest(Path(local))


LOADING_NOTE = "registered_model_meta"
"""MLflow writes this file beside a local model each time it is loaded through the registry."""


def is_loading_note(root: str, path: str) -> bool:
    """Whether a file is MLflow's note of a load: it says a model's name and version, no more."""
    if path.rpartition("/")[2] != LOADING_NOTE or not is_local(root):
        return False
    import yaml

    try:
        with Path(join(to_location(root), path)).open("rb") as stream:
            content = yaml.safe_load(stream.read(10_000))
    except (OSError, yaml.YAMLError, ValueError):
        return False
    return isinstance(content, dict) and content.keys() == {"model_name", "model_version"}


def list_stored_files(root: str) -> Iterator[str]:
    """The path of every file below a root.

    Raises:
        HostUnavailable: the storage does not answer.
    """
    if is_local(root):
        base = Path(to_location(root))
        for where, _, names in os.walk(base):
            for name in names:
                yield Path(where, name).relative_to(base).as_posix()
        return
    try:
        yield from _walk(_repository(root), None)
    except Exception as exc:
        if not _is_missing(exc):
            raise _unavailable(root, exc) from exc


def _walk(repository: Any, folder: str | None) -> Iterator[str]:
    for found in repository.list_artifacts(folder):
        if found.is_dir:
            yield from _walk(repository, found.path)
        else:
            yield found.path


def _digest(file: Path) -> Stored | None:
    try:
        digest = digest_file(file, "")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as exc:
        raise HostUnavailable(f"{file} can't be read ({exc.strerror or exc})") from exc
    return digest.size, digest.sha256


def _repository(root: str) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(root)


def _is_missing(error: Exception) -> bool:
    return getattr(error, "error_code", None) == "RESOURCE_DOES_NOT_EXIST" or isinstance(
        error, FileNotFoundError
    )


def _unavailable(root: str, error: Exception) -> HostUnavailable:
    return HostUnavailable(f"the files below {root} can't be read ({type(error).__name__})")
