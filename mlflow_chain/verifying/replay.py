"""From recorded events to the state that the host must be in. Pure.

The order of events in the log decides nothing by itself: sources are read one after another.
Only calls of the model registry, whose entities go by name, are put into one likely order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from chain_client.events import Event, OutcomeStatus
from chain_client.hosts import Scope
from mlflow_chain.files.locations import join, to_location
from mlflow_chain.stores.recording import UNMAPPED
from mlflow_chain.verifying.baselines import Baselines
from mlflow_chain.verifying.order import ABSENT, UNKNOWN, Stamp
from mlflow_chain.verifying.registry_replay import apply_registry_event
from mlflow_chain.verifying.state import State

_UNAPPLIED = frozenset({OutcomeStatus.FAILED, OutcomeStatus.NOT_APPLIED})

Parts = Mapping[str, Any]

RUN_NAME = "mlflow.runName"
"""The tag that repeats the run's name."""

REGISTRY_KINDS = frozenset({"registered_model", "model_version"})


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
        self._apply_registry()
        self._cascade()
        self._remove_files()
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
            return
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

    def _apply_registry(self) -> None:
        offsets: dict[str, int] = {}

        def likely_time(item: tuple[Event, Stamp]) -> tuple[int, int]:
            stamp = item[1]
            if stamp.boot is None:
                return stamp.time_us, stamp.sequence
            offset = offsets.setdefault(stamp.boot, stamp.time_us - stamp.started_us)
            return offset + stamp.started_us, stamp.sequence

        for event, stamp in sorted(self._registry, key=likely_time):
            apply_registry_event(self._state.models, event, stamp)

    def _remove_files(self) -> None:
        for removed, stamp in self._state.removals:
            below = removed.rstrip("/") + "/"
            for location, register in self._state.files.items():
                if location == removed or location.startswith(below):
                    register.write(stamp, ABSENT)

    def _cascade(self) -> None:
        """Deleting or restoring an experiment does so with each of its runs."""
        experiments = self._state.experiments
        for run in self._state.runs.values():
            for experiment_id in run.fields["experiment_id"].values():
                experiment = experiments.get(str(experiment_id))
                if experiment is None:
                    continue
                for stamp, stage in experiment.lifecycle:
                    if stage == "removed":
                        run.exists.register.write(stamp, ABSENT)
                    else:
                        run.fields["lifecycle_stage"].write(stamp, stage)
        for experiment in experiments.values():
            if len(experiment.incarnations) > 1:
                for stamp in experiment.incarnations:
                    for register in experiment.tags.values():
                        register.write(stamp, ABSENT)


def _texts(pairs: Any) -> dict[str, Any]:
    return {pair[0]: pair[1] for pair in pairs or ()}


def _chosen(event: Event, *names: str) -> dict[str, Any]:
    """What the store filled in; unknown where nobody saw it."""
    result = event.result or {}
    return {name: result.get(name, UNKNOWN) for name in names}


# experiments


def _experiment_created(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    if not event.subject.id:
        return
    experiment = state.experiments[event.subject.id]
    experiment.exists.register.write(stamp, True)
    experiment.incarnations.append(stamp)
    experiment.fields.write_all(
        stamp,
        {
            "name": parts["name"],
            "lifecycle_stage": "active",
            **_chosen(event, "artifact_location", "creation_time", "last_update_time"),
        },
    )
    experiment.tags.write_all(stamp, _texts(parts.get("tags")))


def _experiment_baseline(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    experiment = state.experiments[event.subject.id]
    experiment.exists.register.write(stamp, True)
    experiment.fields.write_all(stamp, parts["fields"])
    experiment.tags.write_all(stamp, parts["tags"])


def _experiment_stage(stage: str) -> Callable[[State, Event, Stamp, Parts], None]:
    def apply(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
        experiment = state.experiments[event.subject.id]
        experiment.lifecycle.append((stamp, stage))
        if stage == "removed":
            experiment.exists.register.write(stamp, ABSENT)
            return
        experiment.fields["lifecycle_stage"].write(stamp, stage)
        experiment.fields.write_all(stamp, _chosen(event, "last_update_time"))

    return apply


def _experiment_renamed(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    fields = state.experiments[event.subject.id].fields
    fields.write_all(stamp, {"name": parts["name"], **_chosen(event, "last_update_time")})


def _experiment_tag(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    tags = state.experiments[event.subject.id].tags
    if "key" in parts:
        tags[parts["key"]].write(stamp, ABSENT)
    tags.write_all(stamp, _texts(parts.get("tags")))


# runs


def _run_created(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    if not event.subject.id:
        return
    run = state.runs[event.subject.id]
    run.exists.register.write(stamp, True)
    minted = _chosen(event, "name", "artifact_uri", "start_time")
    run.fields.write_all(
        stamp,
        {
            "experiment_id": parts["experiment_id"],
            "user_id": parts["user_id"] if parts["user_id"] is not None else "",
            "status": "RUNNING",
            "end_time": None,
            "lifecycle_stage": "active",
            **minted,
        },
    )
    tags = _texts(parts.get("tags"))
    tags.setdefault(RUN_NAME, minted["name"])
    run.tags.write_all(stamp, tags)


def _run_baseline(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    run = state.runs[event.subject.id]
    run.before = True
    run.exists.register.write(stamp, True)
    run.fields.write_all(stamp, parts["fields"])
    run.tags.write_all(stamp, parts["tags"])
    run.params.write_all(stamp, parts["params"])
    _add_inputs(state, event.subject.id, parts, sure=True)


def _run_updated(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    run = state.runs[event.subject.id]
    run.fields.write_all(stamp, dict(parts))
    if "name" in parts:
        run.tags[RUN_NAME].write(stamp, parts["name"])


def _run_stage(stage: str) -> Callable[[State, Event, Stamp, Parts], None]:
    def apply(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
        run = state.runs[event.subject.id]
        if stage == "removed":
            run.exists.register.write(stamp, ABSENT)
        else:
            run.fields["lifecycle_stage"].write(stamp, stage)

    return apply


def _run_logged(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    run = state.runs[event.subject.id]
    if "metrics" in parts:
        run.add_metrics(parts["metrics"], sure=stamp.sure)
    for point in parts.get("model_metrics") or ():
        model = state.logged_models[point[4]]
        model.add_metric([*point[:4], *point[5:7]], event.subject.id, sure=stamp.sure)
    run.params.write_all(stamp, _texts(parts.get("params")))
    tags = _texts(parts.get("tags"))
    if RUN_NAME in tags:
        # MLflow leaves name and tag alone when it is set to nothing.
        if tags[RUN_NAME]:
            run.fields["name"].write(stamp, tags[RUN_NAME])
        else:
            del tags[RUN_NAME]
    run.tags.write_all(stamp, tags)
    if "key" in parts:
        run.tags[parts["key"]].write(stamp, ABSENT)


def _run_model_noted(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    tags = _texts((event.result or {}).get("tags")) or {"mlflow.log-model.history": UNKNOWN}
    state.runs[event.subject.id].tags.write_all(stamp, tags)


def _run_inputs(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    _add_inputs(state, event.subject.id, parts, sure=stamp.sure)


def _add_inputs(state: State, run_id: str, parts: Parts, *, sure: bool) -> None:
    run = state.runs[run_id]
    datasets = run.datasets if sure else run.maybe_datasets
    for name, digest, source_type, source, schema, profile, tags in parts.get("datasets") or ():
        datasets.setdefault((name, digest), []).append(tags)
        # An experiment keeps one row for each name and digest: the first that was logged.
        rows = state.dataset_rows.setdefault((name, digest), [])
        rows.append([source_type, source, schema, profile])
    (run.models if sure else run.maybe_models).update(parts.get("models") or ())
    outputs = run.outputs if sure else run.maybe_outputs
    outputs.update((model_id, step) for model_id, step in parts.get("outputs") or ())


# logged models


def _logged_model_created(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    if not event.subject.id:
        return
    model = state.logged_models[event.subject.id]
    model.exists.register.write(stamp, True)
    model.fields.write_all(
        stamp,
        {
            "experiment_id": parts["experiment_id"],
            "model_type": parts["model_type"],
            "source_run_id": parts["source_run_id"],
            "status": "PENDING",
            "status_message": None,
            "lifecycle_stage": "active",
            **_chosen(
                event, "name", "artifact_location", "creation_timestamp", "last_updated_timestamp"
            ),
        },
    )
    model.tags.write_all(stamp, _texts(parts.get("tags")))
    model.params.write_all(stamp, _texts(parts.get("params")))


def _logged_model_baseline(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    model = state.logged_models[event.subject.id]
    model.before = True
    model.exists.register.write(stamp, True)
    for name in ("fields", "tags", "params"):
        getattr(model, name).write_all(stamp, parts[name])
    for key, value, timestamp, step, run_id, dataset, digest in parts["metrics"]:
        model.add_metric([key, value, timestamp, step, dataset, digest], run_id, sure=True)


def _logged_model_changed(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    model = state.logged_models[event.subject.id]
    if event.type == "logged_model.removed":
        model.exists.register.write(stamp, ABSENT)
        return
    if event.type == "logged_model.finalized":
        model.fields.write_all(
            stamp, {"status": parts["status"], **_chosen(event, "last_updated_timestamp")}
        )
    if event.type == "logged_model.deleted":
        model.fields.write_all(
            stamp, {"lifecycle_stage": "deleted", **_chosen(event, "last_updated_timestamp")}
        )
    if "key" in parts:
        model.tags[parts["key"]].write(stamp, ABSENT)
    model.tags.write_all(stamp, _texts(parts.get("tags")))
    model.params.write_all(stamp, _texts(parts.get("params")))


# files


def _files_logged(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    root = to_location(event.subject.id)
    for path, size, digest in parts.get("files") or ():
        changed = bool((event.result or {}).get("changed_meanwhile"))
        value: Any = UNKNOWN if changed else (size, digest)
        state.files[join(root, path)].write(stamp, value)
    for path, size, digest in parts.get("torn") or ():
        state.files[join(root, path)].write(stamp, (size, digest))


def _files_deleted(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    state.removals.append((join(to_location(event.subject.id), parts.get("path") or ""), stamp))


_BULK = frozenset({"run.metric_logged", "run.batch_logged", "run.baseline_metrics"})

_APPLY: dict[str, Callable[[State, Event, Stamp, Parts], None]] = {
    "experiment.created": _experiment_created,
    "experiment.baseline": _experiment_baseline,
    "experiment.deleted": _experiment_stage("deleted"),
    "experiment.restored": _experiment_stage("active"),
    "experiment.removed": _experiment_stage("removed"),
    "experiment.renamed": _experiment_renamed,
    "experiment.tag_set": _experiment_tag,
    "experiment.tag_deleted": _experiment_tag,
    "run.created": _run_created,
    "run.baseline": _run_baseline,
    "run.baseline_metrics": _run_logged,
    "run.updated": _run_updated,
    "run.deleted": _run_stage("deleted"),
    "run.restored": _run_stage("active"),
    "run.removed": _run_stage("removed"),
    "run.metric_logged": _run_logged,
    "run.param_logged": _run_logged,
    "run.tag_set": _run_logged,
    "run.tag_deleted": _run_logged,
    "run.batch_logged": _run_logged,
    "run.model_noted": _run_model_noted,
    "run.inputs_logged": _run_inputs,
    "run.outputs_logged": _run_inputs,
    "logged_model.created": _logged_model_created,
    "logged_model.baseline": _logged_model_baseline,
    "logged_model.finalized": _logged_model_changed,
    "logged_model.deleted": _logged_model_changed,
    "logged_model.removed": _logged_model_changed,
    "logged_model.tags_set": _logged_model_changed,
    "logged_model.tag_deleted": _logged_model_changed,
    "logged_model.params_logged": _logged_model_changed,
    "artifacts.logged": _files_logged,
    "artifacts.deleted": _files_deleted,
}


def replay(events: Iterable[Event], scope: Scope) -> State:
    """The state that ``events``, in log order, claim."""
    return Replay(scope).run(events)
