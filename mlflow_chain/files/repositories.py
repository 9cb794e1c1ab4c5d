"""Recording files: MLflow's clients give them straight to an artifact repository.

So the repositories that MLflow builds for a recorded tracking URI are re-classed like stores.
Each file is hashed as it is read, and its path, size and SHA-256 are recorded.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chain_client.errors import ChainError
from chain_client.events import Json, Subject
from chain_client.recorder import Intent
from mlflow_chain.files.hashing import FileDigest, digest_file, digest_folder, is_unchanged
from mlflow_chain.files.locations import to_location
from mlflow_chain.recorded_uris import find_recorded_uri
from mlflow_chain.stores.recording import Recording, current_call, is_plain_refusal
from mlflow_chain.stores.wrapping import find_recording, refused
from mlflow_chain.uri import is_chain_uri, to_inner_uri

_logger = logging.getLogger(__name__)

LOGGED = "artifacts.logged"
DELETED = "artifacts.deleted"
KIND = "artifacts"

_DELEGATING = frozenset({"runs", "models"})
"""Schemes whose repositories build the real one by themselves, with the URI they are given."""

_RECORDING = "_mlops_chain_recording"
_WRAPPED = "_mlops_chain_wrapped"

_recordings: dict[str, Recording] = {}
_classes: dict[type, type] = {}
_lock = threading.Lock()


def _forget_lock() -> None:
    # A thread that does not exist in the child may hold the old one.
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_lock)


def record_artifacts(store_uri: str, recording: Recording | None) -> None:
    """Record the files of every repository built for ``store_uri`` from now on."""
    if recording is None:
        return
    with _lock:
        _recordings[store_uri] = recording
    watch_repositories()


def watch_repositories() -> None:
    """See every repository that is built from now on; recorded are those of a recorded URI."""
    from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry

    with _lock:
        registry = _artifact_repository_registry._registry
        for scheme, builder in list(registry.items()):
            if scheme not in _DELEGATING and not hasattr(builder, _WRAPPED):
                registry[scheme] = _recording_builder(builder)


def _recording_builder(builder: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(builder, updated=())
    def build(
        artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> Any:
        recording = _find_recording(tracking_uri)
        repository = builder(
            artifact_uri,
            tracking_uri=_inner(tracking_uri),
            registry_uri=_inner(registry_uri),
        )
        if recording is not None:
            _record(repository, recording)
        return repository

    setattr(build, _WRAPPED, builder)
    return build


def _inner(uri: str | None) -> str | None:
    return to_inner_uri(uri) if is_chain_uri(uri) and uri is not None else uri


def _find_recording(tracking_uri: str | None) -> Recording | None:
    from mlflow.tracking._tracking_service.utils import _get_store

    uri = find_recorded_uri(tracking_uri)
    if uri is None:
        return None
    found = _recordings.get(uri)
    return found if found is not None else find_recording(_get_store(uri))


def _record(repository: Any, recording: Recording) -> None:
    plain = type(repository)
    setattr(repository, _RECORDING, recording)
    made = _classes.get(plain)
    if made is None:
        made = _classes.setdefault(plain, _repository_class(plain))
    repository.__class__ = made


def _repository_class(plain: type) -> type:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

    members: dict[str, Any] = {
        "__module__": plain.__module__,
        "__doc__": plain.__doc__,
        "log_artifact": _recorded_log(getattr(plain, "log_artifact"), _one_file),  # noqa: B009
        "log_artifacts": _recorded_log(getattr(plain, "log_artifacts"), _whole_folder),  # noqa: B009
    }
    delete = getattr(plain, "delete_artifacts", None)
    # MLflow tells by this method's identity whether a repository can delete.
    if delete is not None and delete is not ArtifactRepository.delete_artifacts:
        members["delete_artifacts"] = _recorded_delete(delete)
    return type(f"Chain{plain.__name__}", (plain,), members)


_Sources = list[tuple[Path, FileDigest]]


def _one_file(local: str, artifact_path: str | None) -> _Sources:
    file = Path(local)
    path = f"{artifact_path}/{file.name}" if artifact_path else file.name
    return [(file, digest_file(file, path))]


def _whole_folder(local: str, artifact_path: str | None) -> _Sources:
    return list(digest_folder(Path(local), artifact_path or ""))


def _recorded_log(original: Any, read: Callable[[str, str | None], _Sources]) -> Any:
    @functools.wraps(original)
    def log(repository: Any, *args: Any, **kwargs: Any) -> Any:
        if current_call.get() is not None:
            return original(repository, *args, **kwargs)
        local: Any = args[0] if args else kwargs.get("local_file", kwargs.get("local_dir"))
        path = args[1] if len(args) > 1 else kwargs.get("artifact_path")
        try:
            sources = read(local, path)
        except (OSError, TypeError):
            # What can't be read can't be logged either; MLflow says so in its own words.
            sources = []
        if not sources:
            return original(repository, *args, **kwargs)
        files: list[Json] = [[d.path, d.size, d.sha256] for _, d in sources]

        def changed() -> dict[str, Json] | None:
            if all(is_unchanged(file, digest) for file, digest in sources):
                return None
            return {"changed_meanwhile": True}

        return _bracket(
            repository,
            LOGGED,
            {"files": files},
            lambda: original(repository, *args, **kwargs),
            changed,
        )

    return log


def _recorded_delete(original: Any) -> Any:
    @functools.wraps(original)
    def delete(repository: Any, artifact_path: str | None = None) -> Any:
        if current_call.get() is not None:
            return original(repository, artifact_path)
        return _bracket(
            repository,
            DELETED,
            {"path": artifact_path or ""},
            lambda: original(repository, artifact_path),
            lambda: None,
        )

    return delete


def _bracket(
    repository: Any,
    type_: str,
    payload: dict[str, Json],
    act: Callable[[], Any],
    read_result: Callable[[], dict[str, Json] | None],
) -> Any:
    from mlflow_chain.stores.recording import Call

    recording: Recording = getattr(repository, _RECORDING)
    recorder = recording.recorder
    subject = Subject(recording.store_id, KIND, to_location(repository.artifact_uri))
    try:
        intent: Intent = recorder.begin(type_, subject, payload, actor=recording.actor)
    except ChainError as exc:
        raise refused(exc) from exc
    token = current_call.set(Call(intent.event_id, marks=False))
    try:
        value = act()
    except BaseException as exc:
        recorder.failed(intent, exc, in_doubt=not is_plain_refusal(exc))
        raise
    finally:
        current_call.reset(token)
    recorder.done(intent, result=read_result())
    return value
