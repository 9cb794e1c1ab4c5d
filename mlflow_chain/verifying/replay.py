"""From recorded events to the state that the host must be in. Pure.

The order of events in the log decides nothing by itself: sources are read one after another.
Only calls of the model registry, whose entities go by name, are put into one likely order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from chain_client.events import Event, OutcomeStatus
from chain_client.hosts import Scope
from mlflow_chain.stores.recording import UNDETERMINED, UNMAPPED
from mlflow_chain.verifying.baselines import Baselines
from mlflow_chain.verifying.cascades import cascade
from mlflow_chain.verifying.event_parts import Parts
from mlflow_chain.verifying.experiment_replay import EXPERIMENTS
from mlflow_chain.verifying.file_replay import FILES, settle_files
from mlflow_chain.verifying.logged_model_replay import LOGGED_MODELS
from mlflow_chain.verifying.order import Stamp
from mlflow_chain.verifying.registry_replay import RegistryReplay
from mlflow_chain.verifying.run_replay import RUNS
from mlflow_chain.verifying.state import State

_UNAPPLIED = frozenset({OutcomeStatus.FAILED, OutcomeStatus.NOT_APPLIED})

REGISTRY_KINDS = frozenset({"registered_model", "model_version", "workspace"})


class Replay:
    """Builds the state of one store.

    Args:
        scope: of runs that are not in it, only what others need is kept.
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._state = State()
        self._boots: dict[bytes, str | None] = {}
        self._baselines = Baselines()
        self._registry: list[tuple[Event, Stamp]] = []
        self._place = 0

    def run(self, events: Iterable[Event]) -> State:
        """The state after all of ``events``, given in log order."""
        for event in events:
            self._take(event)
        for event, stamp in self._baselines.first():
            self._apply(event, stamp)
        self._state.findings += self._baselines.findings()
        self._state.models = RegistryReplay().run(self._registry)
        cascade(self._state)
        settle_files(self._state)
        return self._state

    def _take(self, event: Event) -> None:
        self._place += 1
        if event.type == "source.opened":
            boot = event.payload.get("boot")
            self._boots[event.source_id] = boot if isinstance(boot, str) else None
            return
        if event.status in _UNAPPLIED:
            return
        stamp = Stamp.of(event, self._boots.get(event.source_id), self._place)
        if not self._baselines.take(event, stamp):
            self._apply(event, stamp)

    def _apply(self, event: Event, stamp: Stamp) -> None:
        if event.subject.kind in REGISTRY_KINDS:
            self._registry.append((event, stamp))
        if event.type == "workspace.deleted":
            mode = event.payload.get("mode")
            self._state.workspace_ends.append((stamp, event.subject.id, mode))
        apply = _APPLY.get(event.type)
        if apply is None:
            return
        parts: Parts = event.payload
        if event.status is OutcomeStatus.PARTLY_APPLIED:
            parts = event.detail or {}
        if UNMAPPED in event.payload:
            self._mark_wild(event)
            return
        if self._is_outside(event):
            return
        apply(self._state, event, stamp, parts)
        if event.subject.kind in ("run", "logged_model"):
            self._state.readings.note_status(event, stamp)
        unknown = parts.get(UNDETERMINED)
        if event.status is OutcomeStatus.PARTLY_APPLIED and unknown:
            apply(self._state, event, replace(stamp, sure=False), unknown)

    def _is_outside(self, event: Event) -> bool:
        """Whether only the bulk of another run would be added."""
        if event.type not in _BULK:
            return False
        if self._scope.run_id is not None:
            return event.subject.id != self._scope.run_id and "model_metrics" not in event.payload
        return self._scope.model is not None and "model_metrics" not in event.payload

    def _mark_wild(self, event: Event) -> None:
        subject = event.subject
        if subject.kind == "run" and subject.id:
            self._state.runs[subject.id].wild = True
        elif subject.kind == "logged_model" and subject.id:
            self._state.logged_models[subject.id].wild = True


_BULK = frozenset({"run.metric_logged", "run.batch_logged", "run.baseline_metrics"})

_APPLY = {**EXPERIMENTS, **RUNS, **LOGGED_MODELS, **FILES}


def replay(events: Iterable[Event], scope: Scope) -> State:
    """The state that ``events``, in log order, claim."""
    return Replay(scope).run(events)
