"""Recording files that are given to a repository by path, and their removal."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chain_client.events import Json
from mlflow_chain.files.bracket import (
    DELETED,
    LOGGED,
    begin,
    bracket,
    find_recording_of,
    under_way,
)
from mlflow_chain.files.hashing import FileDigest, digest_file, digest_folder, is_unchanged
from mlflow_chain.files.places import Place
from mlflow_chain.stores.recording import Recording
from mlflow_chain.stores.wishing import wish

Sources = list[tuple[Path, FileDigest | str]]
"""Files with their digests; with their paths, where they can't be read."""

_MAX_PATHS_WISHED = 1_000
"""More files than these that change while they are logged are not followed one by one."""


def one_file(local: str, folder: str) -> Sources:
    """What `log_artifact` copies."""
    file = Path(local)
    return [(file, digest_file(file, f"{folder}/{file.name}" if folder else file.name))]


def whole_folder(local: str, folder: str) -> Sources:
    """What `log_artifacts` copies: links to files, and nothing behind links to folders.

    Raises:
        OSError: there is no such folder.
    """
    base = Path(local)
    if not base.is_dir():
        raise NotADirectoryError(local)
    return list(digest_folder(base, folder))


def recorded_log(
    original: Callable[..., Any], read: Callable[[str, str], Sources]
) -> Callable[..., Any]:
    """`log_artifact` or `log_artifacts`, recorded."""

    @functools.wraps(original)
    def log(repository: Any, *args: Any, **kwargs: Any) -> Any:
        recording = find_recording_of(repository)
        if recording is None:
            return original(repository, *args, **kwargs)
        local: Any = args[0] if args else kwargs.get("local_file", kwargs.get("local_dir"))
        artifact_path = args[1] if len(args) > 1 else kwargs.get("artifact_path")
        place = Place.of(repository, artifact_path)
        try:
            sources = read(local, place.below)
        except (OSError, TypeError):
            # What can't be read can't be logged either; MLflow says so in its own words.
            sources = []
        if not sources:
            return original(repository, *args, **kwargs)
        digests = [(file, digest) for file, digest in sources if isinstance(digest, FileDigest)]
        unread = [path for _, path in sources if isinstance(path, str)]
        files: list[Json] = [[d.path, d.size, d.sha256] for _, d in digests]
        payload = place.to_payload(files=files)
        if unread:
            # Of a folder MLflow may log the rest, and then say what it could not.
            payload["unreadable"] = [*unread]
        intent = begin(recording, LOGGED, place.root, payload)
        with under_way(recording, intent):
            value = original(repository, *args, **kwargs)
        changed = [digest.path for file, digest in digests if not is_unchanged(file, digest)]
        recording.recorder.done(intent, result={"changed_meanwhile": True} if changed else None)
        _look_again(recording, place, changed + unread)
        return value

    return log


def _look_again(recording: Recording, place: Place, changed: list[str]) -> None:
    for path in changed[:_MAX_PATHS_WISHED]:
        wish(recording, None, place.to_wish(path))


def recorded_delete(original: Callable[..., Any]) -> Callable[..., Any]:
    """`delete_artifacts`, recorded."""

    @functools.wraps(original)
    def delete(repository: Any, artifact_path: str | None = None) -> Any:
        recording = find_recording_of(repository)
        if recording is None:
            return original(repository, artifact_path)
        place = Place.of(repository, artifact_path)
        return bracket(
            recording,
            DELETED,
            place.root,
            place.to_payload(path=place.below),
            lambda: original(repository, artifact_path),
        )

    return delete
