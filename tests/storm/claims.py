"""From a leaf's event to the changes that it claims."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from chain_client.events import APPLIED, Event, OutcomeStatus
from tests.storm.changes import Change, number

_RUN_NAME = "mlflow.runName"

Parts: TypeAlias = Mapping[str, Any]


def claims(event: Event) -> list[Change]:
    """Every change that the event says has happened, each once."""
    if event.status in APPLIED:
        parts: Parts = event.payload
    elif event.status is OutcomeStatus.PARTLY_APPLIED:
        parts = event.detail or {}
    else:
        return []
    read = _READ.get(event.type)
    # MLflow keeps equal points of one call once.
    return [] if read is None else list(dict.fromkeys(read(event, parts, event.result or {})))


def _experiment(event: Event, parts: Parts, result: Parts) -> Iterator[Change]:
    entity = event.subject.id
    yield "experiment", entity, parts["name"], result["creation_time"]
    yield from _pairs("experiment tag", entity, parts)


def _experiment_stage(stage: str) -> Callable[[Event, Parts, Parts], Iterator[Change]]:
    def read(event: Event, parts: Parts, result: Parts) -> Iterator[Change]:
        yield "experiment stage", event.subject.id, stage, result["last_update_time"]

    return read


def _experiment_name(event: Event, parts: Parts, result: Parts) -> Iterator[Change]:
    yield "experiment name", event.subject.id, parts["name"], result["last_update_time"]


def _run(event: Event, parts: Parts, result: Parts) -> Iterator[Change]:
    run = event.subject.id
    yield "run", run, parts["experiment_id"], result["name"], result["start_time"]
    if _RUN_NAME not in dict(parts["tags"]):
        yield "tag", run, _RUN_NAME, result["name"]
    yield from _pairs("tag", run, parts)


def _run_update(event: Event, parts: Parts, result: Parts) -> Iterator[Change]:
    run = event.subject.id
    if "name" in parts:
        yield "run name", run, parts["name"]
        yield "tag", run, _RUN_NAME, parts["name"]
    # MLflow's client gives a name together with the status and end that the run has anyway.
    if "end_time" in parts and "name" not in parts:
        yield "run end", run, parts["status"], parts["end_time"]


def _run_stage(stage: str) -> Callable[[Event, Parts, Parts], Iterator[Change]]:
    return lambda event, parts, result: iter([("run stage", event.subject.id, stage)])


def _run_logged(event: Event, parts: Parts, result: Parts) -> Iterator[Change]:
    run = event.subject.id
    for key, value, timestamp, step, *_ in parts.get("metrics") or ():
        yield "metric", run, key, number(value), timestamp, step
    for key, value, timestamp, step, model, *_ in parts.get("model_metrics") or ():
        yield "model metric", model, key, number(value), timestamp, step, run
    for key, value, *_ in parts.get("params") or ():
        yield "param", run, key, value
    for key, value, *_ in parts.get("tags") or ():
        yield "tag", run, key, value
        if key == _RUN_NAME:
            yield "run name", run, value
    if "key" in parts:
        yield "tag gone", run, parts["key"]


def _run_noted(event: Event, parts: Parts, result: Parts) -> Iterator[Change]:
    yield from _pairs("tag", event.subject.id, result)


def _inputs(event: Event, parts: Parts, result: Parts) -> Iterator[Change]:
    run = event.subject.id
    for name, digest, _, _, _, _, tags in parts.get("datasets") or ():
        yield "dataset", run, name, digest
        yield "dataset row", name, digest
        for key, value in tags:
            yield "dataset tag", run, name, digest, key, value
    for model in parts.get("models") or ():
        yield "input", run, model
    for model, step in parts.get("outputs") or ():
        yield "output", run, model, step


def _logged_model(event: Event, parts: Parts, result: Parts) -> Iterator[Change]:
    model, updated = event.subject.id, result["last_updated_timestamp"]
    yield "logged model", model, parts["experiment_id"], result["name"], updated
    yield from _pairs("logged model tag", model, parts)
    yield from _pairs("logged model param", model, parts, "params")


def _logged_model_changed(event: Event, parts: Parts, result: Parts) -> Iterator[Change]:
    model, updated = event.subject.id, result.get("last_updated_timestamp")
    if event.type == "logged_model.finalized":
        yield "logged model status", model, parts["status"], updated
    elif event.type == "logged_model.deleted":
        yield "logged model stage", model, "deleted", updated
    yield from _pairs("logged model tag", model, parts)
    yield from _pairs("logged model param", model, parts, "params")
    if "key" in parts:
        yield "logged model tag gone", model, parts["key"]


def _model(event: Event, parts: Parts, result: Parts) -> Iterator[Change]:
    name = event.subject.id
    yield "model", name, parts["description"], result["creation_timestamp"]
    yield from _pairs("model tag", name, parts)


def _model_changed(event: Event, parts: Parts, result: Parts) -> Iterator[Change]:
    name, updated = event.subject.id, result.get("last_updated_timestamp")
    verb = event.type.partition(".")[2]
    if verb == "deleted":
        yield "model gone", name
    elif verb == "renamed":
        yield "model name", name, parts["name"]
    elif verb == "updated":
        yield "model text", name, parts["description"], updated
    elif verb == "tag_deleted":
        yield "model tag gone", name, parts["key"]
    elif verb == "alias_set":
        yield "alias", name, parts["alias"], str(parts["version"])
    elif verb == "alias_deleted":
        yield "alias gone", name, parts["alias"]
    else:
        yield from _pairs("model tag", name, parts)


def _version(event: Event, parts: Parts, result: Parts) -> Iterator[Change]:
    name, version = _name_and_version(event)
    made = result["source"], result["run_id"], result["creation_timestamp"]
    yield "version", name, version, *made
    for key, value in parts["tags"]:
        yield "version tag", name, str(version), key, value


def _version_changed(event: Event, parts: Parts, result: Parts) -> Iterator[Change]:
    name, version = _name_and_version(event)
    verb = event.type.partition(".")[2]
    if verb == "deleted":
        yield "version gone", name, version
    elif verb == "updated":
        ((_, _, updated),) = result["versions"]
        yield "version text", name, version, parts["description"], updated
    elif verb == "stage_set":
        for touched, stage, updated in result["versions"]:
            yield "version stage", name, touched, stage, updated
    elif verb == "tag_deleted":
        yield "version tag gone", name, str(version), parts["key"]
    else:
        for key, value in parts["tags"]:
            yield "version tag", name, str(version), key, value


def _pairs(kind: str, entity: str, parts: Parts, part: str = "tags") -> Iterator[Change]:
    for key, value in parts.get(part) or ():
        yield kind, entity, key, value


def _name_and_version(event: Event) -> tuple[str, int]:
    name, _, version = event.subject.id.rpartition("/")
    return name, int(version)


_Read: TypeAlias = Callable[[Event, Parts, Parts], Iterator[Change]]

_OF_MODELS = ("deleted", "renamed", "updated", "tag_set", "tag_deleted", "alias_set")
_OF_VERSIONS = ("deleted", "updated", "stage_set", "tag_set", "tag_deleted")

_READ: dict[str, _Read] = {
    "experiment.created": _experiment,
    "experiment.deleted": _experiment_stage("deleted"),
    "experiment.restored": _experiment_stage("active"),
    "experiment.renamed": _experiment_name,
    "experiment.tag_set": lambda e, parts, _: _pairs("experiment tag", e.subject.id, parts),
    "experiment.tag_deleted": lambda e, parts, _: iter(
        [("experiment tag gone", e.subject.id, parts["key"])]
    ),
    "run.created": _run,
    "run.updated": _run_update,
    "run.deleted": _run_stage("deleted"),
    "run.restored": _run_stage("active"),
    "run.metric_logged": _run_logged,
    "run.param_logged": _run_logged,
    "run.tag_set": _run_logged,
    "run.tag_deleted": _run_logged,
    "run.batch_logged": _run_logged,
    "run.model_noted": _run_noted,
    "run.inputs_logged": _inputs,
    "run.outputs_logged": _inputs,
    "logged_model.created": _logged_model,
    "logged_model.finalized": _logged_model_changed,
    "logged_model.deleted": _logged_model_changed,
    "logged_model.tags_set": _logged_model_changed,
    "logged_model.tag_deleted": _logged_model_changed,
    "logged_model.params_logged": _logged_model_changed,
    "registered_model.created": _model,
    **{f"registered_model.{verb}": _model_changed for verb in (*_OF_MODELS, "alias_deleted")},
    "model_version.created": _version,
    **{f"model_version.{verb}": _version_changed for verb in _OF_VERSIONS},
}
