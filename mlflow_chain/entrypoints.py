"""What MLflow loads while it is imported itself: two functions, and nothing else.

Anything but an ImportError here would break the user's ``import mlflow``.
"""

from __future__ import annotations

from typing import Any


def tracking_store(store_uri: str, artifact_uri: str | None = None) -> Any:
    """Builder of tracking stores for ``chain…`` URIs (group ``mlflow.tracking_store``)."""
    from mlflow_chain.building import build_tracking_store

    return build_tracking_store(store_uri, artifact_uri)


def registry_store(store_uri: str, tracking_uri: str | None = None) -> Any:
    """Builder of registry stores for ``chain…`` URIs (group ``mlflow.model_registry_store``)."""
    from mlflow_chain.building import build_registry_store

    return build_registry_store(store_uri, tracking_uri)


def scorer_store(tracking_uri: str) -> Any:
    """Builder for group ``mlflow.scorer_store``: scorers live in the tracking store."""
    from mlflow.genai.scorers.registry import MlflowTrackingStore

    return MlflowTrackingStore(tracking_uri)
