"""Workspaces: what is theirs in an event, and calls of workspace stores.

Ids of experiments, runs and logged models are unique over all workspaces, names of registered
models are not. What stands in the default workspace is recorded as in a database without any.
"""

from __future__ import annotations

from typing import Any, Final

from chain_client.events import Json
from mlflow_chain.mapping.values import Mapped

DEFAULT: Final = "default"
"""MLflow's name of the workspace that every database has."""

_OF_REGISTRY: Final = frozenset({"registered_model", "model_version"})


def in_workspace(workspace: str | None, mapped: Mapped) -> Mapped:
    """The same with its workspace, where the subject's id alone would not tell it."""
    kind, subject_id, payload = mapped
    if workspace is None or workspace == DEFAULT:
        return mapped
    if kind in _OF_REGISTRY:
        known = to_key(workspace, subject_id) if subject_id else ""
        return kind, known, {**payload, "workspace": workspace}
    if kind == "experiment" and not subject_id:
        return kind, subject_id, {**payload, "workspace": workspace}
    return mapped


def to_key(workspace: object, name: str) -> str:
    """How a registered model is named over all workspaces; MLflow allows no slash in names."""
    return name if workspace in (None, "", DEFAULT) else f"{workspace}/{name}"


def to_bare(workspace: object) -> str:
    """A workspace as the ids of models on chain take it: the default one is empty."""
    return "" if workspace in (None, "", DEFAULT) else str(workspace)


def create_workspace(workspace: Any) -> Mapped:
    payload: dict[str, Json] = {
        "description": workspace.description,
        "default_artifact_root": workspace.default_artifact_root,
    }
    return "workspace", workspace.name, payload


def delete_workspace(workspace_name: str, mode: Any = None) -> Mapped:
    """What becomes of its experiments and models is in the mode: moved, removed, or refused."""
    return "workspace", workspace_name, {"mode": getattr(mode, "value", None) or "RESTRICT"}
