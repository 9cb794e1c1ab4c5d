"""Replaying calls of the model registry: which model had a name when, and what it went through.

Pure. What one call does to a model stands in `model_replay`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from chain_client.events import Event
from mlflow_chain.stores.recording import UNMAPPED
from mlflow_chain.verifying.model_replay import apply_to_model, begin_model, touch_versions
from mlflow_chain.verifying.order import ABSENT, UNKNOWN, Stamp, precedes
from mlflow_chain.verifying.registry_order import (
    CREATED,
    DELETED,
    RENAMED,
    Passing,
    Stamped,
    in_likely_order,
    in_workspace_of,
    is_passing,
    name_of,
    new_name_of,
)
from mlflow_chain.verifying.state import RegisteredModelState


@dataclass(slots=True)
class _Stay:
    """How long a model had a name, as far as it is known.

    Args:
        model: which.
        since: the call that gave it the name; None if that is not recorded.
        until: the call that took it; None if it has it still.
    """

    model: RegisteredModelState
    since: Stamp | None = None
    until: Stamp | None = None

    def may_hold(self, stamp: Stamp) -> bool:
        """Whether the model may have had the name when a call ran."""
        began = self.since is None or not precedes(stamp, self.since)
        return began and (self.until is None or not precedes(self.until, stamp))


class RegistryReplay:
    """Builds the registered models of one store, by name.

    Guarantee: a model is what it may be after any order of the calls that is consistent with what
    precedes what. Each call is applied to the model that had the name when it ran; where that
    can't be known, because the name passed on meanwhile, to each of them, as one that may have
    happened. Of a name in `Passing.unknown` nothing is told.
    """

    def __init__(self) -> None:
        self.models: dict[str, RegisteredModelState] = {}
        self._stays: defaultdict[str, list[_Stay]] = defaultdict(list)

    def run(self, calls: Iterable[Stamped]) -> dict[str, RegisteredModelState]:
        """The models after all calls, given in any order."""
        ordered = in_likely_order(calls)
        passing = Passing([call for call in ordered if is_passing(call[0])])
        for event, stamp in passing.ordered:
            self._pass_on(event, stamp)
        for event, stamp in ordered:
            if not is_passing(event):
                self._apply(event, stamp, is_sure=not passing.around(name_of(event), stamp))
            elif event.type == DELETED and not stamp.sure:
                for stay in self._stays[name_of(event)]:
                    if stay.may_hold(stamp):
                        stay.model.exists.register.write(stamp, ABSENT)
        for name in passing.unknown:
            self._at(name).wild = True
        return self.models

    # calls through which names pass on

    def _pass_on(self, event: Event, stamp: Stamp) -> None:
        name = name_of(event)
        if UNMAPPED in event.payload:
            self._at(name).wild = True
        elif event.type in CREATED:
            known = self.models.get(name)
            if known is None or stamp.sure:
                known = self._arrive(name, RegisteredModelState(), stamp)
            begin_model(known, event, stamp)
        elif event.type == RENAMED:
            updated = (event.result or {}).get("last_updated_timestamp", UNKNOWN)
            touch_versions(self._at(name), updated, stamp)
            if stamp.sure and new_name_of(event) != name:
                self._move(name, new_name_of(event), stamp)
        elif event.type == DELETED:
            if stamp.sure:
                self._delete(name, stamp)
        else:
            self._delete_workspace(event, stamp)

    def _delete_workspace(self, event: Event, stamp: Stamp) -> None:
        for name in [found for found in self.models if in_workspace_of(event, found)]:
            if not (stamp.sure and self.models[name].exists.may()):
                continue
            if event.payload.get("mode") == "CASCADE":
                self._delete(name, stamp)
            elif event.payload.get("mode") == "SET_DEFAULT":
                self._move(name, name.partition("/")[2], stamp)

    def _move(self, name: str, new_name: str, stamp: Stamp) -> None:
        model = self._at(name)
        self._leave(name, stamp)
        gone = RegisteredModelState()
        gone.exists.register.write(stamp, ABSENT)
        self.models[name] = gone
        self._arrive(new_name, model, stamp)

    def _delete(self, name: str, stamp: Stamp) -> None:
        self._at(name).exists.register.write(stamp, ABSENT)
        self._leave(name, stamp)

    # who has which name

    def _at(self, name: str) -> RegisteredModelState:
        model = self.models.get(name)
        if model is None:
            model = self.models[name] = RegisteredModelState()
            self._stays[name].append(_Stay(model))
        return model

    def _arrive(self, name: str, model: RegisteredModelState, stamp: Stamp) -> RegisteredModelState:
        self._leave(name, stamp)
        self.models[name] = model
        self._stays[name].append(_Stay(model, since=stamp))
        return model

    def _leave(self, name: str, stamp: Stamp) -> None:
        for stay in self._stays[name]:
            if stay.until is None:
                stay.until = stamp

    # calls about a model

    def _apply(self, event: Event, stamp: Stamp, *, is_sure: bool) -> None:
        name = name_of(event)
        if not event.subject.id:
            return
        self._at(name)
        may = {
            id(stay.model): stay.model for stay in self._stays[name] if stay.may_hold(stamp)
        } or {0: self._at(name)}
        here = stamp if is_sure and len(may) == 1 else replace(stamp, sure=False)
        for model in may.values():
            apply_to_model(model, event, here)
