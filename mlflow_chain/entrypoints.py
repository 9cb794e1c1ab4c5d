"""What MLflow loads while it is imported itself: a few functions, and nothing else.

Anything but an ImportError here would break the user's ``import mlflow``.
"""

from __future__ import annotations

import os
from typing import Any


def tracking_store(store_uri: str, artifact_uri: str | None = None) -> Any:
    """Builder of tracking stores for ``chain…`` URIs (group ``mlflow.tracking_store``)."""
    from mlflow_chain.building import build_tracking_store

    return build_tracking_store(store_uri, artifact_uri)


def plain_tracking_store(store_uri: str, artifact_uri: str | None = None) -> Any:
    """Builder of tracking stores for plain URIs, which are recorded only if a setting says so."""
    from mlflow_chain.building import build_plain_tracking_store

    return build_plain_tracking_store(store_uri, artifact_uri)


def registry_store(store_uri: str, tracking_uri: str | None = None) -> Any:
    """Builder of registry stores for ``chain…`` URIs (group ``mlflow.model_registry_store``)."""
    from mlflow_chain.building import build_registry_store

    return build_registry_store(store_uri, tracking_uri)


def plain_registry_store(store_uri: str, tracking_uri: str | None = None) -> Any:
    """Builder of registry stores for plain URIs, as `plain_tracking_store`."""
    from mlflow_chain.building import build_plain_registry_store

    return build_plain_registry_store(store_uri, tracking_uri)


def scorer_store(tracking_uri: str) -> Any:
    """Builder for group ``mlflow.scorer_store``: scorers live in the tracking store."""
    from mlflow.genai.scorers.registry import MlflowTrackingStore

    return MlflowTrackingStore(tracking_uri)


def labeling_store(tracking_uri: str) -> Any:
    """Builder for group ``mlflow.labeling_store``."""
    from mlflow_chain.building import build_labeling_store

    return build_labeling_store(tracking_uri)


def workspace_store(workspace_uri: str) -> Any:
    """Builder for group ``mlflow.workspace_provider``."""
    from mlflow_chain.building import build_workspace_store

    return build_workspace_store(workspace_uri)


def plain_workspace_store(workspace_uri: str) -> Any:
    """Builder of workspace stores for plain URIs, as `plain_tracking_store`."""
    from mlflow_chain.building import build_plain_workspace_store

    return build_plain_workspace_store(workspace_uri)


def verified_models(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> Any:
    """Builder for group ``mlflow.artifact_repository``: verified copies of registered models."""
    from mlflow_chain.loading.repository import VerifiedModelsRepository

    return VerifiedModelsRepository(artifact_uri, tracking_uri, registry_uri)


if "_MLFLOW_SERVER_FILE_STORE" in os.environ:
    # A worker of ``mlflow server``: uploads and answers pass no store.
    from mlflow_chain.serving import await_server

    await_server()
