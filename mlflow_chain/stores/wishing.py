"""Asking the relay to read files back: which calls make that necessary, and the asking itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from chain_client.errors import HomeNotWritable
from chain_client.events import Json
from chain_client.recorder import Intent
from chain_client.wishes import Wish, Wishes
from mlflow_chain.process import served_backend
from mlflow_chain.stores.recording import Recording

_logger = logging.getLogger(__name__)

_ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})
_FOLLOWED = ("models:", "runs:")
"""Sources that name a run or a model, whose files are compared as its own."""


def wanted_files(
    type_: str, subject_id: str, payload: Mapping[str, Json], *, serves: bool
) -> dict[str, str] | None:
    """Which files a call makes it necessary to read back; None if none. Pure.

    A server's clients may write files without it, so they are read when a run or model is
    complete. In a client's process files are hashed as they are logged. A registered version may
    have its files anywhere.

    Args:
        type_: of the call's event.
        subject_id: of its subject.
        payload: of its intent.
        serves: whether this process serves others.
    """
    if type_ == "model_version.created":
        source = payload.get("source")
        if not isinstance(source, str) or source.startswith(_FOLLOWED):
            return None
        if not source.startswith("/") and ":/" not in source:
            return None
        return {"source": source, "by": "server" if serves else "client"}
    if not serves:
        return None
    if type_ == "run.updated" and payload.get("status") in _ENDED:
        return {"run": subject_id}
    if type_ == "logged_model.finalized":
        return {"logged_model": subject_id}
    return None


def wish_for_files(
    recording: Recording,
    intent: Intent,
    subject_id: str,
    payload: Mapping[str, Json],
) -> Wish | None:
    """Before a store's call: remember what is to be read back once it is done.

    Returns:
        the wish; None if nothing is to be read.
    """
    if intent.type not in _TYPES:
        return None
    serves = served_backend() is not None
    wanted = wanted_files(intent.type, subject_id, payload, serves=serves)
    return None if wanted is None else wish(recording, intent, wanted)


def withdraw(recording: Recording, wished: Wish) -> None:
    """After a call that changed nothing: nothing is to be read back for it."""
    Wishes(recording.client.folder.read_back).remove(wished)


_TYPES = frozenset({"model_version.created", "run.updated", "logged_model.finalized"})


def wish(recording: Recording, intent: Intent | None, wanted: Mapping[str, str]) -> Wish:
    """Let the relay read files back, once the call's event is in the log.

    Guarantee: the wish is on disk when this returns. If it can't be written, that is logged and
    the call goes on: verification will then name the files as recorded by nobody.
    """
    recorder = recording.recorder
    source_id = recorder.source_id if intent is not None and intent.sequence is not None else None
    asked = Wish(
        recording.store_id,
        wanted,
        None if source_id is None else source_id.hex(),
        None if source_id is None or intent is None else intent.sequence,
    )
    try:
        Wishes(recording.client.folder.read_back).put(asked)
    except HomeNotWritable as exc:
        _logger.error("files will not be read back: %s", exc)  # noqa: TRY400
    return asked
