"""Making a store record: its instance gets a class of its own, a subclass of the one it had.

So it stays what it was (`isinstance`, new methods, attributes), and only the methods in the
table are bracketed. Of calls that a store makes to itself, the outermost counts.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, TypeAlias

from chain_client.errors import ChainError
from chain_client.events import Subject
from chain_client.recorder import Intent
from mlflow_chain.stores.marker import mark_sessions
from mlflow_chain.stores.methods import REGISTRY, TRACKING, Recorded, Recovery, Table
from mlflow_chain.stores.recording import (
    Call,
    Recording,
    current_call,
    is_plain_refusal,
    unmapped,
)
from mlflow_chain.stores.remote import NotedCredentials, RemoteRecording, is_refusal_of_server
from mlflow_chain.stores.results import Minted
from mlflow_chain.stores.wishing import wish_for_files

_logger = logging.getLogger(__name__)

RECORDING = "_mlops_chain_recording"
"""Attribute of a wrapped store that holds its `RecordingSource`."""

RecordingSource: TypeAlias = Recording | RemoteRecording
"""Gives the recording of the call under way; None if somebody else records it."""

_classes: dict[type, type] = {}


def find_recording(store: object) -> RecordingSource | None:
    """Where a wrapped store records to; None for a plain one."""
    found: RecordingSource | None = getattr(store, RECORDING, None)
    return found


def is_tracking_store(store: object) -> bool:
    """Whether it is a tracking store (else it may be a registry store)."""
    from mlflow.store.tracking.abstract_store import AbstractStore

    return isinstance(store, AbstractStore)


def rewrap(store: Any, recording: RecordingSource) -> None:
    """Re-class ``store`` in place, and let its sessions, requests and queue go through us."""
    plain = type(store)
    setattr(store, RECORDING, recording)
    if hasattr(store, "ManagedSessionMaker"):
        store.ManagedSessionMaker = mark_sessions(store.ManagedSessionMaker)
    elif isinstance(recording, RemoteRecording):
        store.get_host_creds = NotedCredentials(store.get_host_creds)
    store.__class__ = recording_class(plain, TRACKING if is_tracking_store(store) else REGISTRY)
    queue = getattr(store, "_async_logging_queue", None)
    if queue is not None:
        # It was bound to the plain method while the store was built.
        queue._logging_func = store.log_batch


def recording_class(plain: type, table: Table) -> type:
    """The recording subclass of a store class; always the same one."""
    made = _classes.get(plain)
    if made is None:
        members: dict[str, Any] = {
            name: _recorded(method, getattr(plain, name))
            for name, method in table.items()
            if callable(getattr(plain, name, None))
        }
        members["__module__"] = plain.__module__
        members["__doc__"] = plain.__doc__
        members["__reduce_ex__"] = _reduce
        made = _classes.setdefault(plain, type(f"Chain{plain.__name__}", (plain,), members))
    return made


def _reduce(store: Any, protocol: Any) -> Any:
    """Pickle and copy as the plain class does, and record again where it arrives."""
    plain = type(store).__bases__[0]
    reduced: Any = object.__reduce_ex__(store, protocol)
    made, arguments, *rest = reduced
    return (_rebuilt, (plain, type(store).__name__, made, arguments[1:]), *rest)


def _rebuilt(plain: type, name: str, made: Any, arguments: tuple[Any, ...]) -> Any:
    from mlflow.store.tracking.abstract_store import AbstractStore

    table = TRACKING if issubclass(plain, AbstractStore) else REGISTRY
    return made(recording_class(plain, table), *arguments)


def _recorded(method: Recorded, original: Any) -> Any:
    marks = method.marks
    only_captured = method.recovery is Recovery.BOTH
    captures = method.captures
    mapping = method.mapping

    @functools.wraps(original)
    def call_recorded(store: Any, *args: Any, **kwargs: Any) -> Any:
        if current_call.get() is not None:
            return original(store, *args, **kwargs)
        source: RecordingSource = getattr(store, RECORDING)
        recording = source.current()
        if recording is None:
            return original(store, *args, **kwargs)
        try:
            kind, subject_id, payload = mapping(*args, **kwargs)
        except Exception as exc:
            # MLflow will most likely refuse these arguments; if it does not, the event says that
            # something happened that we could not read.
            kind, subject_id, payload = method.kind, "", unmapped(exc)
        recorder = recording.recorder
        try:
            intent = recorder.begin(
                method.type,
                Subject(recording.store_id, kind, subject_id),
                payload,
                actor=recording.actor,
            )
        except ChainError as exc:
            raise refused(exc) from exc
        wish_for_files(recording, intent, subject_id, payload)
        # Of a batch only the tags are overwritten; without them it needs no marker.
        needs_marker = marks and (not only_captured or "tags" in payload)
        call = Call(intent.event_id, needs_marker, only_captured, captures)
        token = current_call.set(call)
        try:
            value = original(store, *args, **kwargs)
        except BaseException as exc:
            recorder.failed(intent, exc, in_doubt=_is_in_doubt(recording, method, call, exc))
            raise
        finally:
            current_call.reset(token)
        if recording.is_remote:
            _settle(recording, intent, lambda: method.answer(value, payload))
        elif captures:
            _settle(recording, intent, lambda: method.result(call.rows, payload))
        else:
            recorder.done(intent)
        return value

    return call_recorded


def _is_in_doubt(recording: Recording, method: Recorded, call: Call, error: BaseException) -> bool:
    """Whether a call that raised may have changed something."""
    if not recording.is_remote:
        return method.multi_commit or call.commits > 0 or not is_plain_refusal(error)
    if call.requests == 0:
        return False
    return method.multi_commit or call.requests > 1 or not is_refusal_of_server(error)


def _settle(recording: Recording, intent: Intent, read: Callable[[], Minted]) -> None:
    try:
        minted = read()
    except Exception:
        # The call is done and must stay done; verification then accepts what the store minted.
        _logger.exception("what %s minted could not be read", intent.type)
        recording.recorder.done(intent)
        return
    recording.recorder.done(intent, subject_id=minted.subject_id, result=minted.result)


def refused(error: ChainError) -> Exception:
    """What MLflow's caller gets when an event must not be lost and can't be recorded."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import RESOURCE_CONFLICT

    # 409: the one kind of answer that MLflow's clients do not retry for minutes.
    return MlflowException(f"not recorded, so not done: {error}", error_code=RESOURCE_CONFLICT)
