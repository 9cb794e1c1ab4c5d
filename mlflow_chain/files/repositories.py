"""Recording files: MLflow's clients give them straight to an artifact repository.

So the repositories that MLflow builds for a recorded tracking URI, and those with which a recorded
server keeps its clients' files, are re-classed like stores: each file is hashed where it passes.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

from chain_client.errors import ChainError
from chain_client.forking import ForkableLock
from mlflow_chain.files.logged import one_file, recorded_delete, recorded_log, whole_folder
from mlflow_chain.files.places import kept_location
from mlflow_chain.files.uploads import recorded_async_stream, recorded_completion, recorded_stream
from mlflow_chain.files.write_once import ASYNC, WRITES, async_once, once
from mlflow_chain.process import served_backend, served_registry
from mlflow_chain.recorded_uris import find_recorded_uri, is_recorded_uri
from mlflow_chain.stores.reclassing import (
    RecordingSource,
    find_recording,
    reclass,
    subclass_of,
)
from mlflow_chain.uri import is_chain_uri, to_inner_uri

_logger = logging.getLogger(__name__)

_DELEGATING = frozenset({"runs", "models", "chain+models"})
"""Schemes whose repositories build the real one by themselves, with the URI they are given."""

_WRAPPED = "_mlops_chain_wrapped"

_recordings: dict[str, RecordingSource] = {}
_lock = ForkableLock()


def record_artifacts(store_uri: str, recording: RecordingSource | None) -> None:
    """Record the files of every repository built for ``store_uri`` from now on."""
    if recording is None:
        return
    with _lock.held():
        _recordings[store_uri] = recording
    watch_repositories()
    if served_backend() is not None:
        _serve(recording)


def _serve(source: RecordingSource) -> None:
    """In a server's worker: let the home know it, and record what was built before the store."""
    tell_home(source)
    handlers = sys.modules.get("mlflow.server.handlers")
    repository = getattr(handlers, "_artifact_repo", None)
    if repository is not None and find_recording(repository) is None:
        _record(repository, source)


def tell_home(source: RecordingSource | None) -> None:
    """In a server's worker: tell the home where files of a store's runs or versions are kept.

    Elsewhere it does nothing.
    """
    if source is None or served_backend() is None:
        return
    try:
        recording = source.current()
        if recording is not None:
            recording.client.folder.put_served(recording.store_id, kept_location())
    except ChainError as exc:
        _logger.warning("the home was not told where this server keeps files: %s", exc)


def watch_repositories() -> None:
    """See every repository that is built from now on; recorded are those of a recorded URI."""
    from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry

    with _lock.held():
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
            tracking_uri=_inner(tracking_uri or _own_chain_uri()),
            registry_uri=_inner(registry_uri),
        )
        if recording is not None:
            _record(repository, recording)
        elif (guard := _find_guard()) is not None:
            plain = type(repository)
            reclass(repository, guard, subclass_of(plain, lambda: _guarded(plain, {}), "guarded"))
        return repository

    setattr(build, _WRAPPED, builder)
    return build


def _own_chain_uri() -> str | None:
    """The process's tracking URI, if a repository that falls back on it could not read it."""
    from mlflow.tracking._tracking_service.utils import get_tracking_uri

    uri = get_tracking_uri()
    return uri if is_chain_uri(uri) else None


def _inner(uri: str | None) -> str | None:
    return to_inner_uri(uri) if is_chain_uri(uri) and uri is not None else uri


def _find_recording(tracking_uri: str | None) -> RecordingSource | None:
    from mlflow.tracking._tracking_service.utils import _get_store

    uri = find_recorded_uri(tracking_uri)
    if uri is None:
        return None
    found = _recordings.get(uri)
    return found if found is not None else find_recording(_get_store(uri))


def _find_guard() -> RecordingSource | None:
    """In a worker of a server that records its registry only: that, for it has attested files."""
    if served_backend() is None or is_recorded_uri(served_backend()):
        return None
    if not is_recorded_uri(served_registry()):
        return None
    handlers: Any = sys.modules["mlflow.server.handlers"]
    return find_recording(handlers._get_model_registry_store())


def _record(repository: Any, recording: RecordingSource) -> None:
    plain = type(repository)
    reclass(repository, recording, subclass_of(plain, lambda: _members(plain)))


_UPLOADS = {
    "log_artifact_from_stream": recorded_stream,
    "log_artifact_from_async_stream": recorded_async_stream,
    "complete_multipart_upload": recorded_completion,
}
"""Methods that some repositories have, in some versions of MLflow."""


def _members(plain: type) -> dict[str, Any]:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

    members: dict[str, Any] = {
        "log_artifact": recorded_log(getattr(plain, "log_artifact"), one_file),  # noqa: B009
        "log_artifacts": recorded_log(getattr(plain, "log_artifacts"), whole_folder),  # noqa: B009
    }
    for name, recorded in _UPLOADS.items():
        method = getattr(plain, name, None)
        if method is not None:
            members[name] = recorded(method)
    delete = getattr(plain, "delete_artifacts", None)
    # MLflow tells by this method's identity whether a repository can delete.
    if delete is not None and delete is not ArtifactRepository.delete_artifacts:
        members["delete_artifacts"] = recorded_delete(delete)
    return members | _guarded(plain, members)


def _guarded(plain: type, members: Mapping[str, Any]) -> dict[str, Any]:
    """Every method that changes files, asking first: the plain class's, or those in its place."""
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

    guarded = {}
    for name, targets in WRITES.items():
        method = members.get(name) or getattr(plain, name, None)
        if method is not None and method is not getattr(ArtifactRepository, name, None):
            guarded[name] = (async_once if name in ASYNC else once)(method, targets)
    return guarded
