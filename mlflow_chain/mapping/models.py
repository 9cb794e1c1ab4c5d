"""Calls about logged models, and calls of model registry stores."""

from __future__ import annotations

from typing import Any

from chain_client.events import Json
from mlflow_chain.mapping.values import Mapped, to_pairs, to_text


def create_logged_model(
    experiment_id: Any,
    name: Any = None,
    source_run_id: Any = None,
    tags: Any = None,
    params: Any = None,
    model_type: Any = None,
) -> Mapped:
    payload: dict[str, Json] = {
        "experiment_id": str(experiment_id),
        "source_run_id": source_run_id,
        "model_type": model_type,
        "tags": to_pairs(tags),
        "params": to_pairs(params),
    }
    if name:
        payload["name"] = name
    return "logged_model", "", payload


def finalize_logged_model(model_id: str, status: Any) -> Mapped:
    return "logged_model", model_id, {"status": str(status)}


def change_logged_model(model_id: str) -> Mapped:
    """Delete, and delete for ever: the type says all."""
    return "logged_model", model_id, {}


def set_logged_model_tags(model_id: str, tags: Any) -> Mapped:
    return "logged_model", model_id, {"tags": to_pairs(tags)}


def delete_logged_model_tag(model_id: str, key: str) -> Mapped:
    return "logged_model", model_id, {"key": key}


def log_logged_model_params(model_id: str, params: Any) -> Mapped:
    return "logged_model", model_id, {"params": to_pairs(params)}


def create_registered_model(
    name: str, tags: Any = None, description: Any = None, deployment_job_id: Any = None
) -> Mapped:
    payload: dict[str, Json] = {"description": description, "tags": to_pairs(tags)}
    return "registered_model", name, payload


def update_registered_model(name: str, description: Any, deployment_job_id: Any = None) -> Mapped:
    return "registered_model", name, {"description": description}


def rename_registered_model(name: str, new_name: str) -> Mapped:
    return "registered_model", name, {"name": new_name}


def delete_registered_model(name: str) -> Mapped:
    return "registered_model", name, {}


def set_registered_model_tag(name: str, tag: Any) -> Mapped:
    return "registered_model", name, {"tags": to_pairs([tag])}


def delete_registered_model_tag(name: str, key: str) -> Mapped:
    return "registered_model", name, {"key": key}


def set_registered_model_alias(name: str, alias: str, version: Any) -> Mapped:
    return "registered_model", name, {"alias": alias, "version": int(version)}


def delete_registered_model_alias(name: str, alias: str) -> Mapped:
    return "registered_model", name, {"alias": alias}


def create_model_version(
    name: str,
    source: Any,
    run_id: Any = None,
    tags: Any = None,
    run_link: Any = None,
    description: Any = None,
    local_model_path: Any = None,
    model_id: Any = None,
) -> Mapped:
    payload: dict[str, Json] = {
        "name": name,
        "source": to_text(source),
        "run_id": run_id,
        "run_link": run_link,
        "description": description,
        "model_id": model_id,
        "tags": to_pairs(tags),
    }
    return "model_version", "", payload


def _version(name: str, version: Any, payload: dict[str, Json]) -> Mapped:
    return "model_version", f"{name}/{int(version)}", payload


def update_model_version(name: str, version: Any, description: Any = None) -> Mapped:
    return _version(name, version, {"description": description})


def transition_model_version_stage(
    name: str, version: Any, stage: str, archive_existing_versions: Any
) -> Mapped:
    from mlflow.entities.model_registry.model_version_stages import get_canonical_stage

    archive = bool(archive_existing_versions)
    return _version(name, version, {"stage": get_canonical_stage(stage), "archive": archive})


def delete_model_version(name: str, version: Any) -> Mapped:
    return _version(name, version, {})


def set_model_version_tag(name: str, version: Any, tag: Any) -> Mapped:
    return _version(name, version, {"tags": to_pairs([tag])})


def delete_model_version_tag(name: str, version: Any, key: str) -> Mapped:
    return _version(name, version, {"key": key})
