"""Where a wrapped store records to, and the call that is under way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from chain_client.config import to_words
from chain_client.events import Actor, Json
from chain_client.recorder import Recorder
from mlflow_chain.server.actor import current_actor
from mlflow_chain.stores.capture import Row

if TYPE_CHECKING:
    from chain_client.client import ChainClient


CarriesOut = Callable[[tuple[Any, ...], dict[str, Any]], Any]
"""Makes a call with these arguments, and records it."""


class Gate(Protocol):
    """Asked by the methods that are doors, before they record and write anything."""

    @property
    def doors(self) -> Container[str]:
        """Names of the methods that ask."""

    def pass_through(
        self,
        store: Any,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        carry_out: CarriesOut,
    ) -> Any:
        """What the call gives, if it may be made; calls that it makes itself are not asked again.

        Raises:
            MlflowException: it may not; nothing was written.
        """


@dataclass(frozen=True, slots=True)
class Recording:
    """The home and the store id under which a store's writes are recorded.

    Args:
        client: the home.
        store_id: minted when the database was adopted.
        is_remote: whether the store is behind a server: nothing can be read inside its
            transactions, so what a call minted is read off what it returns.
        gate: asked by its doors; None where a server asks, or nobody.
    """

    client: ChainClient
    store_id: str
    is_remote: bool = False
    gate: Gate | None = field(default=None, compare=False, repr=False)

    def current(self) -> Recording:
        """Where the call under way is recorded: here."""
        return self

    @property
    def extras(self) -> frozenset[str]:
        """Groups of methods that are recorded by setting."""
        return to_words(self.client.settings.mlflow_record)

    @property
    def actor(self) -> Actor:
        """Who acts in the call that is under way: ask before the host's call, in its thread."""
        return current_actor()

    @property
    def recorder(self) -> Recorder:
        """The recorder of the process that asks, which may be a fork of the one that wrapped."""
        return self.client.recorder


@dataclass(slots=True)
class Call:
    """One recorded call while it runs.

    Args:
        event_id: id of its intent.
        marks: whether its commits carry markers.
        only_captured: whether a commit is marked only if it wrote captured rows.
        captures: kinds of rows to capture.
        rows: what its committed transactions wrote.
        commits: how many markers are committed.
        requests: how many requests it sent to a server.
        is_extra: whether it is recorded by setting only; calls within it are recorded too.
        thread: the one that carries it out; None if its work is passed on to others.
        is_over: whether it has ended.
    """

    event_id: bytes
    marks: bool
    only_captured: bool = False
    captures: frozenset[str] = frozenset()
    rows: list[Row] = field(default_factory=list)
    commits: int = 0
    requests: int = 0
    is_extra: bool = False
    thread: int | None = None
    is_over: bool = False


current_call: ContextVar[Call | None] = ContextVar("mlflow_chain_call", default=None)
"""The outermost recorded call of this thread, or of one whose context was copied."""


def call_under_way() -> Call | None:
    """The recorded call around the one that asks: what a store calls of itself is no other call.

    A thread or task that was started within a call may go on with a copy of its context; what it
    does on its own is seen by nobody else.
    """
    call = current_call.get()
    if call is None or call.is_over or call.thread not in (None, threading.get_ident()):
        return None
    return call


@contextmanager
def during(call: Call) -> Iterator[None]:
    """The block is what ``call`` does."""
    token = current_call.set(call)
    try:
        yield
    finally:
        call.is_over = True
        current_call.reset(token)


UNMAPPED = "unmapped"
"""Payload part of a call whose arguments could not be read."""

UNDETERMINED = "undetermined"
"""Part of the detail of a partly applied call: what nobody can know of."""


def unmapped(error: Exception) -> dict[str, Json]:
    """Payload of a call whose arguments could not be read: nobody can know what it changed."""
    return {UNMAPPED: type(error).__name__}


def is_plain_refusal(error: BaseException) -> bool:
    """Whether MLflow refused a call before it wrote anything."""
    code: Any = getattr(error, "error_code", None)
    return code in _REFUSALS


_REFUSALS = frozenset(
    {
        "INVALID_PARAMETER_VALUE",
        "INVALID_STATE",
        "PERMISSION_DENIED",
        "RESOURCE_ALREADY_EXISTS",
        "RESOURCE_DOES_NOT_EXIST",
        "RESOURCE_LIMIT_EXCEEDED",
    }
)
