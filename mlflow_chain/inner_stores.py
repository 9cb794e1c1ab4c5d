"""Which store MLflow itself would build: its own builder, as if we had none for plain URIs.

A server's registries build other stores than a client's (read replica, artifact root); so the
registry that asks us is also the one whose builder is taken.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import sys
from collections.abc import Callable
from typing import Any

Builder = Callable[..., Any]

_OURS = "mlflow_chain.entrypoints"
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_FRAMES = 8


def tracking_builder(uri: str) -> Builder:
    """MLflow's builder of tracking stores for a plain URI.

    Raises:
        MlflowException: MLflow has none.
    """
    from mlflow.tracking._tracking_service import utils

    return _own_builder(_asking_registry(utils._tracking_store_registry), uri, utils)


def registry_builder(uri: str) -> Builder:
    """MLflow's builder of model registry stores for a plain URI.

    Raises:
        MlflowException: as `tracking_builder`.
    """
    from mlflow.tracking._model_registry import utils

    return _own_builder(_asking_registry(utils._get_store_registry()), uri, utils)


def workspace_builder(uri: str) -> Builder:
    """MLflow's builder of workspace stores for a plain URI.

    Raises:
        MlflowException: as `tracking_builder`.
    """
    from mlflow.tracking._workspace import registry

    return _own_builder(_asking_registry(registry._get_workspace_store_registry()), uri, registry)


def _asking_registry(usual: Any) -> Any:
    """The registry whose `get_store` is under way in this thread; else the usual one."""
    from mlflow.tracking.registry import StoreRegistry

    frame = sys._getframe(1)
    for _ in range(_FRAMES):
        found = frame.f_locals.get("self")
        if isinstance(found, StoreRegistry) and found.group_name == usual.group_name:
            return found
        if frame.f_back is None:
            break
        frame = frame.f_back
    return usual


def _own_builder(registry: Any, uri: str, module: Any) -> Builder:
    builder: Builder = registry.get_store_builder(uri)
    if getattr(builder, "__module__", "") != _OURS:
        return builder
    return _overridden(registry, uri, module)


def _overridden(registry: Any, uri: str, module: Any) -> Builder:
    """What stood in the registry before our entry point for the plain scheme took its place."""
    from mlflow.utils.uri import get_uri_scheme

    scheme = get_uri_scheme(uri)
    plugin = _plugin_of_others(registry.group_name, scheme)
    if plugin is not None:
        return plugin
    kind = "sqlalchemy" if scheme in _DATABASES else "rest"
    names = (f"_get_{kind}_store", f"_get_{kind}_workspace_store")
    # A server's registries have builders of their own, and none for http.
    place = registry if hasattr(registry, "_get_sqlalchemy_store") else module
    for name in names:
        found: Builder | None = getattr(place, name, None)
        if found is not None:
            return found
    from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException

    known = registry._registry.items()
    raise UnsupportedModelRegistryStoreURIException(
        unsupported_uri=uri,
        supported_uri_schemes=[s for s, b in known if getattr(b, "__module__", "") != _OURS],
    )


@functools.cache
def _plugin_of_others(group: str, scheme: str) -> Builder | None:
    """The builder that another distribution registered for a scheme; as MLflow, the last one."""
    found: Builder | None = None
    for point in importlib.metadata.entry_points(group=group, name=scheme):
        if point.module == _OURS:
            continue
        # What can't be loaded MLflow did not register either, and has warned of it.
        with contextlib.suppress(AttributeError, ImportError):
            found = point.load()
    return found
