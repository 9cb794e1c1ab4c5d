"""Calls of tracking stores, without those of logged models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chain_client.events import Json
from mlflow_chain.mapping.values import (
    Mapped,
    to_integer,
    to_pairs,
    to_param,
    to_points,
    to_run_tag,
    to_text,
)


def create_experiment(name: str, artifact_location: Any = None, tags: Any = None) -> Mapped:
    payload: dict[str, Json] = {"name": name, "tags": to_pairs(tags)}
    if artifact_location:
        payload["artifact_location"] = str(artifact_location)
    return "experiment", "", payload


def change_experiment(experiment_id: Any) -> Mapped:
    """Delete, restore, and delete for ever: the type says all."""
    return "experiment", str(experiment_id), {}


def rename_experiment(experiment_id: Any, new_name: str) -> Mapped:
    return "experiment", str(experiment_id), {"name": new_name}


def set_experiment_tag(experiment_id: Any, tag: Any) -> Mapped:
    return "experiment", str(experiment_id), {"tags": to_pairs([tag])}


def delete_experiment_tag(experiment_id: Any, key: str) -> Mapped:
    return "experiment", str(experiment_id), {"key": key}


def create_run(
    experiment_id: Any, user_id: Any, start_time: Any, tags: Any, run_name: Any
) -> Mapped:
    payload: dict[str, Json] = {
        "experiment_id": str(experiment_id),
        "user_id": to_text(user_id),
        "tags": to_pairs(tags),
    }
    if start_time is not None:
        payload["start_time"] = to_integer(start_time)
    if run_name:
        payload["name"] = to_text(run_name)
    return "run", "", payload


def update_run_info(run_id: str, run_status: Any, end_time: Any, run_name: Any) -> Mapped:
    from mlflow.entities import RunStatus

    payload: dict[str, Json] = {}
    if run_status is not None:
        payload["status"] = RunStatus.to_string(run_status)
    if end_time is not None:
        payload["end_time"] = to_integer(end_time)
    if run_name:
        payload["name"] = to_text(run_name)
    return "run", run_id, payload


def change_run(run_id: str) -> Mapped:
    """Delete, restore, and delete for ever: the type says all."""
    return "run", run_id, {}


def log_metric(run_id: str, metric: Any) -> Mapped:
    return "run", run_id, to_points((metric,))


def log_param(run_id: str, param: Any) -> Mapped:
    return "run", run_id, {"params": [to_param(param)]}


def set_tag(run_id: str, tag: Any) -> Mapped:
    return "run", run_id, {"tags": [to_run_tag(tag)]}


def delete_tag(run_id: str, key: str) -> Mapped:
    return "run", run_id, {"key": key}


def log_batch(
    run_id: str, metrics: Sequence[Any], params: Sequence[Any], tags: Sequence[Any]
) -> Mapped:
    payload = to_points(metrics) if metrics else {}
    if params:
        payload["params"] = [to_param(param) for param in params]
    if tags:
        # Of one key the last counts, as in MLflow.
        payload["tags"] = list({tag.key: to_run_tag(tag) for tag in tags}.values())
    return "run", run_id, payload


def record_logged_model(run_id: str, mlflow_model: Any) -> Mapped:
    """The tag's new value holds its old one, so it is known only inside the call."""
    return "run", run_id, {"model_uuid": to_text(getattr(mlflow_model, "model_uuid", None))}


def log_inputs(run_id: str, datasets: Any = None, models: Any = None) -> Mapped:
    payload: dict[str, Json] = {}
    if datasets:
        # Of one dataset the first counts, as in MLflow, which drops the tags of the others.
        kept: dict[tuple[Json, Json], Json] = {}
        for dataset in map(to_dataset_input, datasets):
            kept.setdefault(dataset[:2], dataset)  # type: ignore[arg-type]
        payload["datasets"] = list(kept.values())
    if models:
        payload["models"] = [model.model_id for model in models]
    return "run", run_id, payload


def to_dataset_input(dataset_input: Any) -> tuple[Json, ...]:
    """``(name, digest, source type, source, schema, profile, tags)``."""
    dataset = dataset_input.dataset
    return (
        dataset.name,
        dataset.digest,
        dataset.source_type,
        dataset.source,
        dataset.schema,
        dataset.profile,
        sorted(to_pairs(dataset_input.tags), key=str),
    )


def log_outputs(run_id: str, models: Any) -> Mapped:
    return "run", run_id, {"outputs": [[m.model_id, to_integer(m.step)] for m in models]}
