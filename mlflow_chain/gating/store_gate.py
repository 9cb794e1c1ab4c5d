"""The gate of one store: lock, ask, write, look again."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from chain_client.errors import ChainError
from chain_client.gate.question import (
    Action,
    Allowed,
    Decision,
    FilesCheck,
    Mode,
    Refused,
    WouldBlock,
)
from chain_client.registry.documents import NameBook
from mlflow_chain.gating.attested import SeenAttestations, check_files, find_attested
from mlflow_chain.gating.demands import Attempt, Demand, Destroyed, Forbidden
from mlflow_chain.gating.doors import DOORS, Door
from mlflow_chain.gating.locks import ModelLocks, lock_key
from mlflow_chain.gating.refusing import (
    forbidden,
    note_forbidden,
    note_refused,
    refusal,
    to_exception,
)
from mlflow_chain.gating.repairing import repair
from mlflow_chain.gating.view import RegistryView
from mlflow_chain.server.actor import current_actor
from mlflow_chain.stores.recording import CarriesOut

if TYPE_CHECKING:
    from chain_client.client import ChainClient
    from chain_client.gate.signed_text import SignedText
    from chain_client.registry.texts import TextVerdict

_logger = logging.getLogger(__name__)

_passing = threading.local()
"""Whether this thread is within a call that was let through; a copy of its context is not."""


class StoreGate:
    """Asked by every door of one store.

    Guarantee: while the gate enforces, a call at a door writes only if the chain agreed with it
    under the lock of its model, and if the chain moved on meanwhile, MLflow follows before the
    lock is given back. Whatever can't be read, locked or asked is refused.

    Args:
        client: the home.
        store_id: of the store's database.
    """

    doors: ClassVar[dict[str, Door]] = DOORS

    def __init__(self, client: ChainClient, store_id: str) -> None:
        self._client = client
        self._store_id = store_id
        self._attestations = SeenAttestations()

    def open(self) -> None:
        """See, before the store is used, that it may be opened in the mode that is configured.

        Raises:
            ConfigurationError: it is told to enforce, and there is no default policy.
            SpoolUnavailable: the mode can't be recorded.
        """
        setting = self._client.settings.gate_mode
        if setting == "auto":
            return
        self._client.gate.check_start()
        self._client.gate.note_mode(self._client.recorder, self._store_id)

    def pass_through(
        self,
        store: Any,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        carry_out: CarriesOut,
    ) -> Any:
        """See `mlflow_chain.stores.recording.Gate`."""
        if getattr(_passing, "is_inside", False):
            return carry_out(args, kwargs)
        if self._client.settings.gate_mode == "off":
            return carry_out(args, kwargs)
        door = DOORS[name]
        if not door.is_cheap and self._mode() is Mode.OFF:
            return carry_out(args, kwargs)
        call = _Shown(store, name, args, kwargs, carry_out)
        if not call.is_possible():
            return carry_out(args, kwargs)
        if door.is_cheap:
            return self._pass_cheaply(door, call)
        with _mapped_errors():
            view = RegistryView(store, self._store_id, self._known_aliases)
            places = door.locks(view, *call.args, **call.kwargs)
            keys = [
                lock_key(self._store_id, place or view.workspace, model) for place, model in places
            ]
            locks = ModelLocks(view.engine, self._client.folder.path / "gate" / "locks")
        with _locked(locks, keys):
            return self._pass_locked(door, view, call)

    def _pass_cheaply(self, door: Door, call: _Shown) -> Any:
        """A door that only looks at the arguments: the chain is asked only if it matters."""
        with _mapped_errors():
            view = RegistryView(call.store, self._store_id)
            attempt = door.read(view, *call.args, **call.kwargs)
            self._ask(attempt)
        return call.carry_out(attempt.arguments)

    def _pass_locked(self, door: Door, view: RegistryView, call: _Shown) -> Any:
        with _mapped_errors():
            attempt = door.read(view, *call.args, **call.kwargs)
            followed = self._ask(attempt)
        with _inside():
            value = call.carry_out(attempt.arguments)
            for demand, sequence in followed:
                repair(self._client.gate, view, demand, sequence, self._decide)
        return value

    def _ask(self, attempt: Attempt) -> list[tuple[Demand, int]]:
        """The gated targets that change, with the sequences at which the chain agreed.

        Raises:
            MlflowException: the chain does not agree.
        """
        followed = []
        for wish in attempt.wishes:
            if isinstance(wish, Forbidden):
                self._refuse_forbidden(wish)
            elif isinstance(wish, Destroyed):
                self._refuse_destroyed(wish)
            else:
                decision = self._decide(wish)
                if isinstance(decision, Allowed):
                    if decision.is_gated and wish.change.action in (Action.SET, Action.LEAVE):
                        followed.append((wish, decision.sequence))
                else:
                    self._refuse(wish, decision)
        return followed

    def _decide(self, demand: Demand) -> Decision:
        gate, change = self._client.gate, demand.change
        if change.action in (Action.SET, Action.LEAVE):
            return gate.check(
                demand.model, change, lambda: self._check_files(demand), self._judge_text
            )
        return gate.check_model(demand.model, change, demand.standing)

    def _check_files(self, demand: Demand) -> FilesCheck:
        change = demand.change
        shown = f"version {change.version} of model {change.model!r}"
        workspace = demand.model.workspace
        return check_files(
            *(self._client, self._attestations, self._store_id),
            *(demand.location, shown, workspace),
        )

    def _known_aliases(self) -> list[str]:
        """What the log names: policies and proposals note the names of their targets."""
        targets = NameBook.read(self._client.log, self._client.salt).targets.values()
        return [target.name for target in targets if target.kind == "alias"]

    def _judge_text(self, signed: SignedText) -> TextVerdict:
        from chain_client.registry.texts import TextVerdict

        verdict = signed.judge(self._client.log, self._client.salt)
        if verdict is TextVerdict.TRUE and signed.was_promoted:
            return self._client.registry.judge_checks(signed.proposal)
        return verdict

    def _refuse(self, demand: Demand, decision: Refused | WouldBlock) -> None:
        actor = current_actor()
        recorder = self._client.recorder
        warns = isinstance(decision, WouldBlock)
        found = decision.refusal if isinstance(decision, WouldBlock) else decision
        mode = Mode.WARN if warns else Mode.ENFORCE
        draft = note_refused(recorder, self._store_id, actor, demand, found, mode)
        if not warns:
            raise refusal(found, draft)
        _logger.warning("would have blocked (draft %s): %s", draft, found.reason)
        try:
            self._client.gate.note_would_block(
                recorder, self._store_id, demand.change, found, actor
            )
        except ChainError as exc:
            _logger.error("what the gate would have blocked is not recorded: %s", exc)  # noqa: TRY400

    def _refuse_forbidden(self, found: Forbidden) -> None:
        mode = self._mode() if found.only_under_policy else Mode.ENFORCE
        if self._client.settings.gate_mode == Mode.WARN:
            mode = Mode.WARN
        if mode is Mode.OFF:
            return
        actor = current_actor()
        note_forbidden(self._client.recorder, self._store_id, actor, found.model, str(found), mode)
        if mode is Mode.ENFORCE:
            raise forbidden(found)
        _logger.warning("would have blocked: %s", found)

    def _refuse_destroyed(self, found: Destroyed) -> None:
        location = find_attested(self._client, found.location)
        if location is None:
            return
        why = f"its files at {location} are attested, so that they can't be changed or removed"
        self._refuse_forbidden(Forbidden(found.what, why))

    def _mode(self) -> Mode:
        with _mapped_errors():
            mode = self._client.gate.mode()
            if mode is not Mode.OFF:
                self._client.gate.note_mode(self._client.recorder, self._store_id)
        return mode


class _Shown:
    """A call whose arguments can be read twice: what is read of an iterator, MLflow would miss."""

    def __init__(
        self,
        store: Any,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        carry_out: CarriesOut,
    ) -> None:
        self.store = store
        self.args = tuple(map(_kept, args))
        self.kwargs = {key: _kept(value) for key, value in kwargs.items()}
        self._name = name
        self._given = (args, kwargs)
        self._carry_out = carry_out

    def is_possible(self) -> bool:
        """Whether the method takes such arguments; if not, Python refuses it, before any write."""
        try:
            inspect.signature(getattr(self.store, self._name)).bind(*self.args, **self.kwargs)
        except TypeError:
            return False
        return True

    def carry_out(self, replaced: tuple[tuple[Any, ...], dict[str, Any]] | None) -> Any:
        """Make the call, with other arguments if they are given."""
        args, kwargs = replaced or (self.args, self.kwargs)
        given, named = self._given
        return self._carry_out(
            tuple(_as(was, value) for was, value in zip(given, args, strict=True)),
            {key: _as(named.get(key), value) for key, value in kwargs.items()},
        )


def _kept(value: Any) -> Any:
    return list(value) if hasattr(value, "__next__") else value


def _as(given: Any, value: Any) -> Any:
    return iter(value) if hasattr(given, "__next__") else value


@contextmanager
def _inside() -> Iterator[None]:
    """What this thread calls in the block was let through already."""
    _passing.is_inside = True
    try:
        yield
    finally:
        _passing.is_inside = False


@contextmanager
def _locked(locks: ModelLocks, keys: Sequence[str]) -> Iterator[None]:
    """As `ModelLocks.held`, with errors for MLflow's callers; none of the block's are changed."""
    held = locks.held(keys)
    with _mapped_errors():
        held.__enter__()
    try:
        yield
    finally:
        held.__exit__(None, None, None)


@contextmanager
def _mapped_errors() -> Iterator[None]:
    """Refuse where the gate itself can't do its work; MLflow's own errors stay as they are."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException:
        raise
    except ChainError as exc:
        raise to_exception(f"the gate can't decide, so this is refused: {exc}", 409) from exc
    except Exception as exc:
        text = f"the gate can't read this call ({type(exc).__name__}), so it is refused"
        raise to_exception(text, 409) from exc
