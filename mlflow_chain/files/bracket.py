"""Bracketing what a repository does with files: intent before, outcome after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from chain_client.errors import ChainError
from chain_client.events import Json, Subject
from chain_client.recorder import Intent
from mlflow_chain.stores.reclassing import find_recording
from mlflow_chain.stores.recording import (
    Call,
    Recording,
    call_under_way,
    during,
    is_plain_refusal,
)
from mlflow_chain.stores.wrapping import refused

LOGGED = "artifacts.logged"
"""Files were given to a repository by path; the intent has their digests."""
UPLOADED = "artifacts.uploaded"
"""A server took a file as a stream, or was told that its parts are there; the outcome has the
digest, if the bytes passed."""
DELETED = "artifacts.deleted"
READ_BACK = "artifacts.read_back"
"""Files were read where they are kept, by a relay: the outcome has what was there then."""
UNVERIFIED = "artifacts.unverified"
"""Files, or all below a root, could not be read."""
KIND = "artifacts"


def find_recording_of(repository: Any) -> Recording | None:
    """The recording of a repository; None if somebody else records what it does now.

    That is the call around it, or the server, if it says so.
    """
    if call_under_way() is not None:
        return None
    found = find_recording(repository)
    return None if found is None else found.current()


def begin(recording: Recording, type_: str, root: str, payload: dict[str, Json]) -> Intent:
    """Record what is about to happen.

    Raises:
        MlflowException: it must not be lost, and can't be recorded.
    """
    subject = Subject(recording.store_id, KIND, root)
    try:
        return recording.recorder.begin(type_, subject, payload, actor=recording.actor)
    except ChainError as exc:
        raise refused(exc) from exc


@contextmanager
def under_way(
    recording: Recording, intent: Intent, is_untouched: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """While the repository works; if it raises, that is the outcome.

    Args:
        recording: takes the outcome.
        intent: of the call.
        is_untouched: whether it can be seen, right after an error, that nothing was changed.
    """
    try:
        with during(Call(intent.event_id, marks=False)):
            yield
    except BaseException as exc:
        doubt = not is_plain_refusal(exc) and not is_untouched()
        recording.recorder.failed(intent, exc, in_doubt=doubt)
        raise


def bracket(
    recording: Recording,
    type_: str,
    root: str,
    payload: dict[str, Json],
    act: Callable[[], Any],
    read_result: Callable[[], dict[str, Json] | None] = lambda: None,
) -> Any:
    """Record a call of a repository, and give its value."""
    intent = begin(recording, type_, root, payload)
    with under_way(recording, intent):
        value = act()
    recording.recorder.done(intent, result=read_result())
    return value
