"""Making a store record: its instance gets a class of its own, a subclass of the one it had.

So it stays what it was (`isinstance`, new methods, attributes), and only the methods in the
table are bracketed. Of calls that a store makes to itself, the outermost counts.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from typing import Any

from chain_client.errors import ChainError
from chain_client.events import Subject
from chain_client.recorder import Intent
from mlflow_chain.mapping.workspaces import in_workspace
from mlflow_chain.stores.extras import extra_methods
from mlflow_chain.stores.marker import mark_sessions
from mlflow_chain.stores.methods import (
    REGISTRY,
    TRACKING,
    WORKSPACES,
    Recorded,
    Recovery,
    Table,
)
from mlflow_chain.stores.reclassing import (
    RecordingSource,
    find_recording,
    reclass,
    subclass_of,
)
from mlflow_chain.stores.recording import (
    Call,
    Recording,
    call_under_way,
    during,
    is_plain_refusal,
    unmapped,
)
from mlflow_chain.stores.remote import NotedCredentials, RemoteRecording, is_refusal_of_server
from mlflow_chain.stores.results import Minted
from mlflow_chain.stores.wishing import wish_for_files, withdraw

_logger = logging.getLogger(__name__)

_EXTRAS = "_mlops_chain_extras"
"""Attribute of a recording class: the groups that it records besides, by setting."""


def is_tracking_store(store: object) -> bool:
    """Whether it is a tracking store (else it may be a registry store)."""
    from mlflow.store.tracking.abstract_store import AbstractStore

    return isinstance(store, AbstractStore)


def rewrap(store: Any, recording: RecordingSource) -> None:
    """Re-class ``store`` in place, and let its sessions, requests and queue go through us."""
    if hasattr(store, "ManagedSessionMaker"):
        store.ManagedSessionMaker = mark_sessions(store.ManagedSessionMaker)
    elif isinstance(recording, RemoteRecording):
        store.get_host_creds = NotedCredentials(store.get_host_creds)
    reclass(store, recording, recording_class(type(store), recording.extras))
    queue = getattr(store, "_async_logging_queue", None)
    if queue is not None:
        # It was bound to the plain method while the store was built.
        queue._logging_func = store.log_batch


def recording_class(plain: type, extras: frozenset[str] = frozenset()) -> type:
    """The recording subclass of a store class; always the same one for the same extras."""
    return subclass_of(plain, lambda: _members(plain, extras), extras)


def _members(plain: type, extras: frozenset[str]) -> dict[str, Any]:
    recorded = {
        name: _recorded(method, plain, name)
        for name, method in _table_of(plain, extras).items()
        if callable(getattr(plain, name, None))
    }
    return {**recorded, _EXTRAS: extras, "__reduce_ex__": _reduce}


def _reduce(store: Any, protocol: Any) -> Any:
    """Pickle and copy as the plain class does, and record again where it arrives."""
    plain = type(store).__bases__[0]
    reduced: Any = object.__reduce_ex__(store, protocol)
    made, arguments, *rest = reduced
    return (_rebuilt, (plain, getattr(store, _EXTRAS), made, arguments[1:]), *rest)


def _rebuilt(plain: type, extras: frozenset[str], made: Any, arguments: tuple[Any, ...]) -> Any:
    return made(recording_class(plain, extras), *arguments)


def _table_of(plain: type, extras: frozenset[str]) -> Table:
    """What is recorded of a class of stores."""
    from mlflow.store.tracking.abstract_store import AbstractStore

    if issubclass(plain, AbstractStore):
        return TRACKING | extra_methods(plain, extras)
    if hasattr(plain, "create_workspace"):
        return WORKSPACES
    return REGISTRY | extra_methods(plain, extras)


def _active_workspace(store: Any) -> str | None:
    """The workspace in which a SQL store carries a call out; a server's is none of ours."""
    active = getattr(store, "_get_active_workspace", None)
    return None if active is None else active()


def _recorded(method: Recorded, plain: type, name: str) -> Any:
    marks = method.marks
    only_captured = method.recovery is Recovery.BOTH
    captures = method.captures
    mapping = method.mapping
    is_extra = method.is_extra

    @functools.wraps(getattr(plain, name))
    def call_recorded(store: Any, *args: Any, **kwargs: Any) -> Any:
        # Looked up by every call: somebody may have put another one into the plain class.
        original = getattr(plain, name)
        outer = call_under_way()
        is_inner = outer is not None and (is_extra or not outer.is_extra)
        source = find_recording(store)
        gate = None if source is None else source.gate
        if gate is not None and name not in gate.doors:
            gate = None
        if is_inner and gate is None:
            return original(store, *args, **kwargs)
        # None: built by the recording class itself, and wrapped by nobody.
        recording = None if source is None or is_inner else source.current()
        if gate is None:
            if recording is None:
                return original(store, *args, **kwargs)
            return record(store, recording, args, kwargs)

        def carry_out(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if recording is None:
                return original(store, *args, **kwargs)
            return record(store, recording, args, kwargs)

        return gate.pass_through(store, name, args, kwargs, carry_out)

    def record(
        store: Any, recording: Recording, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        original = getattr(plain, name)
        shown = args
        if any(hasattr(value, "__next__") for value in args):
            # What is read of an iterator here, MLflow would miss.
            shown, args = _twice(args)
        try:
            mapped = mapping(*shown, **kwargs)
            kind, subject_id, payload = in_workspace(_active_workspace(store), mapped)
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
        # Of a batch only the tags are overwritten; without them it needs no marker.
        needs_marker = marks and (not only_captured or "tags" in payload)
        call = Call(
            intent.event_id,
            needs_marker,
            only_captured,
            captures,
            is_extra=is_extra,
            thread=threading.get_ident(),
        )
        has_begun = False
        wished = None
        # From here on there is an intent, which whatever is raised must settle.
        try:
            wished = wish_for_files(recording, intent, subject_id, payload)
            with during(call):
                has_begun = True
                value = original(store, *args, **kwargs)
        except BaseException as exc:
            in_doubt = has_begun and _is_in_doubt(recording, method, call, exc)
            recorder.failed(intent, exc, in_doubt=in_doubt)
            if wished is not None and not in_doubt:
                withdraw(recording, wished)
            raise
        if recording.is_remote:
            _settle(recording, intent, lambda: method.answer(value, payload))
        elif captures:
            _settle(recording, intent, lambda: method.result(call.rows, payload))
        else:
            recorder.done(intent)
        return value

    return call_recorded


def _twice(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Arguments for us to read, and as good as new for MLflow."""
    read = tuple(list(value) if hasattr(value, "__next__") else value for value in args)
    fresh = (iter(r) if hasattr(value, "__next__") else value for r, value in zip(read, args))
    return read, tuple(fresh)


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
