"""From MLflow's entities to plain values. Pure."""

from __future__ import annotations

from typing import Any

from chain_client.events import Json
from mlflow_chain.mapping.tracking import to_dataset_input
from mlflow_chain.mapping.values import to_integer
from mlflow_chain.mapping.workspaces import DEFAULT
from mlflow_chain.reading.entities import ExperimentView, LoggedModelView, Point, RunView


def experiment_view(experiment: Any) -> ExperimentView:
    """An experiment."""
    return ExperimentView(
        experiment.experiment_id,
        {
            "name": experiment.name,
            "artifact_location": experiment.artifact_location,
            "lifecycle_stage": experiment.lifecycle_stage,
            "creation_time": experiment.creation_time,
            "last_update_time": experiment.last_update_time,
            "workspace": getattr(experiment, "workspace", None) or DEFAULT,
        },
        dict(experiment.tags),
    )


def point_view(metric: Any) -> Point:
    """A point of a metric."""
    return (float(metric.value), whole_number(metric.timestamp), whole_number(metric.step))


def whole_number(value: Any) -> Json:
    """A timestamp or step; SQLite gives numpy's integers back as the bytes they were bound as."""
    if isinstance(value, bytes):
        return int.from_bytes(value, "little", signed=True)
    return None if value is None else to_integer(value)


def run_view(run: Any) -> RunView:
    """A run."""
    info, data = run.info, run.data
    inputs, outputs = run.inputs, run.outputs
    return RunView(
        info.run_id,
        {
            "name": info.run_name,
            "experiment_id": str(info.experiment_id),
            "user_id": info.user_id,
            "status": info.status,
            "start_time": info.start_time,
            "end_time": info.end_time,
            "artifact_uri": info.artifact_uri,
            "lifecycle_stage": info.lifecycle_stage,
        },
        dict(data.tags),
        dict(data.params),
        {metric.key: point_view(metric) for metric in data._metric_objs},
        [list(to_dataset_input(found)) for found in (inputs.dataset_inputs if inputs else ())],
        [model.model_id for model in (inputs.model_inputs if inputs else ()) or ()],
        [
            [m.model_id, whole_number(m.step)]
            for m in (outputs.model_outputs if outputs else ()) or ()
        ],
    )


def logged_model_view(model: Any, lifecycle_stage: str) -> LoggedModelView:
    """A logged model; MLflow's entity does not say whether it is deleted."""
    return LoggedModelView(
        model.model_id,
        {
            "name": model.name,
            "experiment_id": str(model.experiment_id),
            "artifact_location": model.artifact_location,
            "creation_timestamp": model.creation_timestamp,
            "last_updated_timestamp": model.last_updated_timestamp,
            "model_type": model.model_type,
            "source_run_id": model.source_run_id,
            "status": str(model.status),
            "status_message": model.status_message,
            "lifecycle_stage": lifecycle_stage,
        },
        dict(model.tags or {}),
        dict(model.params or {}),
        [
            [
                m.key,
                float(m.value),
                whole_number(m.timestamp),
                whole_number(m.step),
                m.run_id,
                m.dataset_name,
                m.dataset_digest,
            ]
            for m in model.metrics or ()
        ],
    )


def version_fields(version: Any, download_uri: str | None) -> dict[str, Json]:
    """The fields of a version."""
    return {
        "description": version.description,
        "creation_timestamp": version.creation_timestamp,
        "last_updated_timestamp": version.last_updated_timestamp,
        "user_id": version.user_id,
        "current_stage": version.current_stage,
        "source": version.source,
        "storage_location": download_uri,
        "run_id": version.run_id,
        "run_link": version.run_link,
        "status": version.status,
        "status_message": version.status_message,
    }
