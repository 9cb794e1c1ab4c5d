"""Write-once: nobody writes, replaces or deletes the files of an attested version here.

The version may be one of any database of the home: a registry in a database of its own has the
files that runs in another one logged.
Every method of a repository that changes files asks before it does; an upload that takes its time
asks again before its file gets its name. Every method asks once more when it has changed them: what
was attested meanwhile raises an alarm. It is off with ``gate.mode = off``, and only told with
``warn``.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import posixpath
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from chain_client.client import ChainClient
from chain_client.errors import ChainError
from mlflow_chain.files.attested import Attested
from mlflow_chain.files.bindings import bindings_of
from mlflow_chain.files.locations import join
from mlflow_chain.files.places import absolute
from mlflow_chain.stores.reclassing import find_recording
from mlflow_chain.stores.recording import Recording
from mlflow_chain.stores.wrapping import refused

_logger = logging.getLogger(__name__)

_known: dict[tuple[int, Path, str, bool], Attested] = {}

CHANGED_ALARM: Final = "attested_files_written"
"""Kind of the alarm when files were attested while a call changed them; its subject is where."""

Targets = Callable[..., Iterator[tuple[str, bool]]]
"""Called with the repository and the call's arguments; gives each location that would be changed,
and whether all below it would be."""


def once(original: Callable[..., Any], targets: Targets) -> Callable[..., Any]:
    """A method that changes files, and refuses to change attested ones."""

    @functools.wraps(original)
    def act(repository: Any, *args: Any, **kwargs: Any) -> Any:
        _check(repository, targets, args, kwargs)
        value = original(repository, *args, **kwargs)
        _check(repository, targets, args, kwargs, is_done=True)
        return value

    return act


def async_once(original: Callable[..., Any], targets: Targets) -> Callable[..., Any]:
    """The same for a coroutine; asked in a thread."""

    @functools.wraps(original)
    async def act(repository: Any, *args: Any, **kwargs: Any) -> Any:
        await asyncio.to_thread(_check, repository, targets, args, kwargs)
        value = await original(repository, *args, **kwargs)
        await asyncio.to_thread(_check, repository, targets, args, kwargs, is_done=True)
        return value

    return act


def refuse_to_change(recording: Recording, targets: Iterable[tuple[str, bool]]) -> None:
    """Refuse to change attested files.

    Args:
        recording: of the store whose files they may be.
        targets: each location that would be changed, and whether all below it would be.

    Raises:
        MlflowException: attested files are there, or nobody can tell.
    """
    known = list(targets)
    _refuse_attested(recording, lambda attested: known)


def _check(
    repository: Any, targets: Targets, args: Any, kwargs: Any, *, is_done: bool = False
) -> None:
    recording = _recording_of(repository)
    if recording is not None:
        _refuse_attested(
            recording, lambda attested: targets(repository, attested, *args, **kwargs), is_done
        )


def _refuse_attested(
    recording: Recording,
    targets: Callable[[Attested], Iterable[tuple[str, bool]]],
    is_done: bool = False,
) -> None:
    if recording.client.settings.gate_mode == "off":
        return
    try:
        # One question for all databases; if it is not answered, each says what holds then.
        size = _size_of_log(recording.client)
        for attested in _every_attested(recording):
            for target, is_whole in targets(attested):
                found = attested.find_inside(target, size)
                if found is None and is_whole:
                    found = attested.find_below(target, size)
                if found is not None and is_done:
                    _raise_alarm(recording, attested, target, found)
                elif found is not None:
                    _refuse(recording, attested, target, found)
    except ChainError as exc:
        if is_done:
            _logger.warning("whether what was written was attested meanwhile is unknown: %s", exc)
            return
        raise refused(exc) from exc


def _recording_of(repository: Any) -> Recording | None:
    source = find_recording(repository)
    recording = None if source is None else source.current()
    # What lies behind a server, the server itself keeps.
    return None if recording is None or recording.is_remote else recording


def _size_of_log(client: ChainClient) -> int | None:
    try:
        return client.log.size()
    except ChainError:
        return None


def _every_attested(recording: Recording) -> Iterator[Attested]:
    """What is attested in each database of the home, the own one first."""
    client, own = recording.client, recording.store_id
    yield _attested(client, own, is_own=True)
    for binding in bindings_of(client):
        if binding.store_id != own:
            yield _attested(client, binding.store_id, is_own=False)


def _attested(client: ChainClient, store_id: str, *, is_own: bool) -> Attested:
    key = (os.getpid(), client.home, store_id, is_own)
    found = _known.get(key)
    if found is None:
        found = _known[key] = Attested(client, store_id, is_own=is_own)
    return found


def _refuse(recording: Recording, attested: Attested, target: str, location: str) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

    name = attested.name_of(location)
    if recording.client.settings.gate_mode == "warn":
        _logger.warning("would have refused to change %s: the files of %s", target, name)
        return
    _logger.info("refused to change %s: the files of %s", target, name)
    raise MlflowException(
        f"the files at {location} are those of {name}, which were attested for approval: they "
        "can't be written, replaced or deleted any more. Log the model again and register that as "
        "a new version; what is approved shows: mlops-chain model list",
        error_code=PERMISSION_DENIED,
    )


def _raise_alarm(recording: Recording, attested: Attested, target: str, location: str) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

    name = attested.name_of(location)
    detail = (
        f"{target} was attested, with the files of {name}, while it was being changed: they may "
        "not be what is proposed. `mlops-chain verify` compares them with the chain; register "
        "what is meant as a new version"
    )
    recording.client.log.raise_alarm(CHANGED_ALARM, location, detail)
    _logger.error("%s", detail)
    if recording.client.settings.gate_mode != "warn":
        raise MlflowException(detail, error_code=PERMISSION_DENIED)


def _root(repository: Any) -> str:
    folder = getattr(repository, "artifact_dir", None)
    if isinstance(folder, str) and folder:
        # Of its URI the repository may have decoded something.
        return os.path.realpath(folder)
    return absolute(str(repository.artifact_uri))


def _one_file(
    repository: Any, attested: Attested, local_file: Any, artifact_path: Any = None, **_: Any
) -> Iterator[tuple[str, bool]]:
    folder = join(_root(repository), str(artifact_path or ""))
    yield join(folder, posixpath.basename(str(local_file))), True


def _stream(
    repository: Any,
    attested: Attested,
    stream: Any,
    artifact_file_name: Any,
    artifact_path: Any = None,
) -> Iterator[tuple[str, bool]]:
    return _one_file(repository, attested, artifact_file_name, artifact_path)


def _folder(
    repository: Any, attested: Attested, local_dir: Any, artifact_path: Any = None, **_: Any
) -> Iterator[tuple[str, bool]]:
    folder = join(_root(repository), str(artifact_path or ""))
    yield folder, False
    if attested.find_below(folder) is None:
        return
    for where, folders, names in os.walk(local_dir):
        for name in (*folders, *names):
            below = Path(where, name)
            is_file = name in names or below.is_symlink()
            yield join(folder, below.relative_to(local_dir).as_posix()), is_file


def _deleted(
    repository: Any, attested: Attested, artifact_path: Any = None
) -> Iterator[tuple[str, bool]]:
    root = _root(repository)
    yield join(root, str(artifact_path or "")), True
    if root.startswith("/"):
        from mlflow.utils.file_utils import local_file_uri_to_path

        # What MLflow's repository of local files makes of the path that it removes.
        yield local_file_uri_to_path(join(root, str(artifact_path or ""))), True


def _parts_created(
    repository: Any,
    attested: Attested,
    local_file: Any,
    num_parts: Any = 1,
    artifact_path: Any = None,
) -> Iterator[tuple[str, bool]]:
    return _one_file(repository, attested, local_file, artifact_path)


def _parts_completed(
    repository: Any,
    attested: Attested,
    local_file: Any,
    upload_id: Any,
    parts: Any,
    artifact_path: Any = None,
) -> Iterator[tuple[str, bool]]:
    return _one_file(repository, attested, local_file, artifact_path)


def _presigned(
    repository: Any, attested: Attested, artifact_path: Any, *_: Any, **__: Any
) -> Iterator[tuple[str, bool]]:
    yield join(_root(repository), str(artifact_path)), True


def _published(
    repository: Any,
    attested: Attested,
    temp_file_path: Any,
    destination_file_path: Any,
    *_: Any,
    **__: Any,
) -> Iterator[tuple[str, bool]]:
    yield os.path.realpath(str(destination_file_path)), True


WRITES: Final[dict[str, Targets]] = {
    "log_artifact": _one_file,
    "log_artifacts": _folder,
    "delete_artifacts": _deleted,
    "log_artifact_from_stream": _stream,
    "log_artifact_from_async_stream": _stream,
    "create_multipart_upload": _parts_created,
    "complete_multipart_upload": _parts_completed,
    "create_presigned_upload_url": _presigned,
    "_publish_staged_artifact": _published,
}
"""Methods of repositories that change files, or let others change them; some have only some."""

ASYNC: Final = frozenset({"log_artifact_from_async_stream"})
