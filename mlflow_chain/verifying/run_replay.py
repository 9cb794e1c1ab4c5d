"""Replaying calls about runs. Pure."""

from __future__ import annotations

from chain_client.events import Event
from mlflow_chain.verifying.event_parts import Apply, Parts, chosen, texts
from mlflow_chain.verifying.order import ABSENT, UNKNOWN, Stamp
from mlflow_chain.verifying.state import State

RUN_NAME = "mlflow.runName"
"""The tag that repeats the run's name."""


def _run_created(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    if not event.subject.id:
        return
    run = state.runs[event.subject.id]
    run.exists.register.write(stamp, True)
    minted = chosen(event, "name", "artifact_uri", "start_time")
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
    tags = texts(parts.get("tags"))
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


def _run_stage(stage: str) -> Apply:
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
    for key, *point in parts.get("odd_latest") or ():
        run.odd_latest[key] = None if point[1] is None else (point[0], point[1], point[2])
    run.params.write_all(stamp, texts(parts.get("params")))
    tags = texts(parts.get("tags"))
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
    tags = texts((event.result or {}).get("tags")) or {"mlflow.log-model.history": UNKNOWN}
    state.runs[event.subject.id].tags.write_all(stamp, tags)


def _run_unreadable(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    state.runs[event.subject.id].wild = True


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


RUNS: dict[str, Apply] = {
    "run.created": _run_created,
    "run.baseline": _run_baseline,
    "run.baseline_metrics": _run_logged,
    "run.baseline_unreadable": _run_unreadable,
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
}
"""By type of event."""
