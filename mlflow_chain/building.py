"""Building recorded stores: MLflow's own store first, then the home, then the wrapping."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from chain_client.errors import ChainError, Unavailable
from mlflow_chain.process import may_create_home
from mlflow_chain.stores.recording import Recording
from mlflow_chain.stores.wrapping import find_recording, rewrap
from mlflow_chain.uri import find_refusal, to_absolute_uri, to_inner_uri

if TYPE_CHECKING:
    from chain_client.client import ChainClient

_Store = TypeVar("_Store")

_clients: dict[tuple[Path, str], ChainClient] = {}
_lock = threading.RLock()


def _forget_lock() -> None:
    # A thread that does not exist in the child may hold the old one.
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_forget_lock)


def build_tracking_store(store_uri: str, artifact_uri: str | None) -> Any:
    """A recorded tracking store for a ``chain…`` URI.

    Raises:
        MlflowException: this version can't record such a store, or the home does not fit.
    """
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry

    inner = _inner_uri(store_uri)
    builder = _tracking_store_registry.get_store_builder(inner)
    store = wrap_store(builder(store_uri=inner, artifact_uri=artifact_uri), None)
    from mlflow_chain.files.repositories import record_artifacts

    record_artifacts(store_uri, find_recording(store))
    return store


def build_registry_store(store_uri: str, tracking_uri: str | None) -> Any:
    """A recorded model registry store for a ``chain…`` URI.

    Raises:
        MlflowException: as `build_tracking_store`.
    """
    import inspect

    from mlflow.tracking._model_registry.utils import _get_store_registry

    inner = _inner_uri(store_uri)
    builder = _get_store_registry().get_store_builder(inner)
    arguments = {"store_uri": inner}
    if "tracking_uri" in inspect.signature(builder).parameters and tracking_uri is not None:
        arguments["tracking_uri"] = to_inner_uri(tracking_uri)
    return wrap_store(builder(**arguments), None)


def wrap_store(store: _Store, client: ChainClient | None) -> _Store:
    """`mlflow_chain.wrap`."""
    if find_recording(store) is not None:
        return store
    engine = getattr(store, "engine", None)
    if engine is None:
        raise _mlflow_error(
            f"a {type(store).__name__} is not recorded yet by this version; wrap a store on a "
            "SQL database"
        )
    with _lock, mlflow_errors():
        rewrap(store, _open_recording(engine, store.db_uri, client))  # type: ignore[attr-defined]
    return store


def _open_recording(engine: Any, db_uri: str, client: ChainClient | None) -> Recording:
    from mlflow_chain.adopting.adoption import Adoption
    from mlflow_chain.adopting.row import read_adoption

    known = read_adoption(engine)
    chosen = client or _client(None if known is None else known.deployment_id)
    adoption = Adoption(engine, to_absolute_uri(db_uri), chosen).ensure()
    return Recording(chosen, adoption.store_id)


def _client(expected_deployment_id: str | None) -> ChainClient:
    from chain_client.client import ChainClient
    from chain_client.config import Settings

    settings = Settings.from_environment(os.environ, Path.cwd())
    key = (settings.home, expected_deployment_id or "")
    client = _clients.get(key)
    if client is None or not client.folder.exists():
        client = _clients[key] = ChainClient.open(
            settings,
            create=may_create_home(),
            expected_deployment_id=expected_deployment_id,
        )
    return client


def _inner_uri(store_uri: str) -> str:
    inner = to_inner_uri(store_uri)
    refusal = find_refusal(inner)
    if refusal is not None:
        raise _mlflow_error(f"{store_uri.partition('//')[0]}: {refusal}")
    return inner


@contextmanager
def mlflow_errors() -> Iterator[None]:
    """Turn our errors into the MlflowException that MLflow's callers expect."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_STATE, TEMPORARILY_UNAVAILABLE

    try:
        yield
    except Unavailable as exc:
        raise MlflowException(str(exc), error_code=TEMPORARILY_UNAVAILABLE) from exc
    except ChainError as exc:
        raise MlflowException(str(exc), error_code=INVALID_STATE) from exc


def _mlflow_error(text: str) -> Exception:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

    return MlflowException(text, error_code=INVALID_PARAMETER_VALUE)
