"""Building recorded stores: MLflow's own store first, then the home, then the wrapping."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from chain_client.config import Settings, to_words
from chain_client.errors import ChainError, HostUnavailable, Unavailable
from chain_client.forking import ForkableLock
from chain_client.shown_uri import to_shown_uri
from mlflow_chain.inner_stores import registry_builder, tracking_builder, workspace_builder
from mlflow_chain.process import hide_in_server_log, may_create_home
from mlflow_chain.reading.server_uri import to_server_uri
from mlflow_chain.recorded_uris import is_recorded_uri
from mlflow_chain.stores.reclassing import find_recording
from mlflow_chain.stores.recording import Recording
from mlflow_chain.stores.remote import RemoteRecording, is_behind_server
from mlflow_chain.stores.wrapping import is_tracking_store, rewrap
from mlflow_chain.uri import find_refusal, to_absolute_uri, to_inner_uri

if TYPE_CHECKING:
    from chain_client.client import ChainClient

_Store = TypeVar("_Store")

_clients: dict[tuple[Path, str], ChainClient] = {}
_lock = ForkableLock()


def build_tracking_store(store_uri: str, artifact_uri: str | None) -> Any:
    """A recorded tracking store for a ``chain…`` URI.

    Raises:
        MlflowException: this version can't record such a store, or the home does not fit.
    """
    inner = _inner_uri(store_uri)
    hide_in_server_log(store_uri)
    store = tracking_builder(inner)(store_uri=inner, artifact_uri=artifact_uri)
    return _recorded_tracking_store(store, store_uri)


def build_plain_tracking_store(store_uri: str, artifact_uri: str | None) -> Any:
    """The tracking store that MLflow builds for a plain URI; recorded if a setting says so.

    Raises:
        MlflowException: MLflow's own, and those of `build_tracking_store` if it is recorded.
    """
    with mlflow_errors():
        is_recorded = is_recorded_uri(store_uri)
    store = tracking_builder(store_uri)(store_uri=store_uri, artifact_uri=artifact_uri)
    return _recorded_tracking_store(store, store_uri) if is_recorded else store


def _recorded_tracking_store(store: Any, store_uri: str) -> Any:
    from mlflow_chain.files.repositories import record_artifacts

    wrap_store(store, None)
    record_artifacts(store_uri, find_recording(store))
    return store


def build_registry_store(store_uri: str, tracking_uri: str | None) -> Any:
    """A recorded model registry store for a ``chain…`` URI.

    Raises:
        MlflowException: as `build_tracking_store`.
    """
    return _recorded_registry_store(_plain_registry_store(_inner_uri(store_uri), tracking_uri))


def build_plain_registry_store(store_uri: str, tracking_uri: str | None) -> Any:
    """The registry store that MLflow builds for a plain URI; recorded if a setting says so.

    Raises:
        MlflowException: as `build_plain_tracking_store`.
    """
    with mlflow_errors():
        is_recorded = is_recorded_uri(store_uri)
    store = _plain_registry_store(store_uri, tracking_uri)
    return _recorded_registry_store(store) if is_recorded else store


def _recorded_registry_store(store: Any) -> Any:
    from mlflow_chain.files.repositories import tell_home

    wrap_store(store, None)
    tell_home(find_recording(store))
    return store


def _plain_registry_store(uri: str, tracking_uri: str | None) -> Any:
    import inspect

    builder = registry_builder(uri)
    arguments = {"store_uri": uri}
    if "tracking_uri" in inspect.signature(builder).parameters and tracking_uri is not None:
        arguments["tracking_uri"] = to_inner_uri(tracking_uri)
    return builder(**arguments)


def build_workspace_store(workspace_uri: str) -> Any:
    """A recorded workspace store for a ``chain…`` URI; of one behind a server, the server records.

    Raises:
        MlflowException: as `build_tracking_store`.
    """
    inner = _inner_uri(workspace_uri)
    return _recorded_workspace_store(workspace_builder(inner)(workspace_uri=inner))


def build_plain_workspace_store(workspace_uri: str) -> Any:
    """The workspace store that MLflow builds for a plain URI; recorded if a setting says so.

    Raises:
        MlflowException: as `build_plain_tracking_store`.
    """
    with mlflow_errors():
        is_recorded = is_recorded_uri(workspace_uri)
    store = workspace_builder(workspace_uri)(workspace_uri=workspace_uri)
    return _recorded_workspace_store(store) if is_recorded else store


def _recorded_workspace_store(store: Any) -> Any:
    engine = getattr(store, "_engine", None)
    if engine is not None and find_recording(store) is None:
        with _lock.held(), mlflow_errors():
            rewrap(store, _open_recording(engine, store._workspace_uri, None))
    return store


def build_labeling_store(tracking_uri: str) -> Any:
    """What MLflow gives as labeling store for what is inside a ``chain…`` URI.

    Raises:
        MlflowException: MLflow's own: it has labeling for hosted workspaces only.
    """
    from mlflow.genai.labeling.stores import _get_labeling_store

    return _get_labeling_store(_inner_uri(tracking_uri))


def wrap_store(store: _Store, client: ChainClient | None) -> _Store:
    """`mlflow_chain.wrap`."""
    if find_recording(store) is not None:
        return store
    if is_behind_server(store):
        rewrap(store, _remote_recording(store, client))
        return store
    engine = getattr(store, "engine", None)
    if engine is None:
        raise _mlflow_error(
            f"a {type(store).__name__} is not recorded by this version; wrap a store on a SQL "
            "database, or one of a tracking server"
        )
    with _lock.held(), mlflow_errors():
        rewrap(store, _open_recording(engine, store.db_uri, client))  # type: ignore[attr-defined]
    return store


def _open_recording(engine: Any, db_uri: str, client: ChainClient | None) -> Recording:
    from mlflow_chain.adopting.adoption import Adoption
    from mlflow_chain.adopting.row import read_adoption
    from mlflow_chain.gating.store_gate import StoreGate

    known = read_adoption(engine)
    chosen = client or _client(None if known is None else known.deployment_id)
    adoption = Adoption(engine, to_absolute_uri(db_uri), chosen).ensure()
    gate = StoreGate(chosen, adoption.store_id)
    gate.open()
    return Recording(chosen, adoption.store_id, gate=gate)


def _remote_recording(store: Any, client: ChainClient | None) -> RemoteRecording:
    role = "tracking" if is_tracking_store(store) else "registry"
    server_uri = to_server_uri(store.get_host_creds().host)
    open_recording = partial(_open_remote, server_uri, client)
    with mlflow_errors():
        settings = client.settings if client else own_settings()
    return RemoteRecording(
        role,
        store.get_host_creds,
        open_recording,
        to_words(settings.mlflow_record),
        believes=settings.mlflow_believe_servers,
    )


def own_settings(home: Path | None = None) -> Settings:
    """The settings of this process, read now; ``home`` in the place of theirs."""
    return Settings.from_environment(os.environ, Path.cwd(), home=home)


def _open_remote(server_uri: str, client: ChainClient | None) -> Recording:
    from mlflow.exceptions import MlflowException

    from mlflow_chain.adopting.server import ServerAdoption

    with _lock.held(), mlflow_errors():
        chosen = client or _client(None)
        try:
            store_id = ServerAdoption(server_uri, chosen).ensure()
        except HostUnavailable as exc:
            if isinstance(exc.__cause__, MlflowException):
                # Of certificates, credentials and connections MLflow speaks for itself.
                raise exc.__cause__ from None
            raise
    return Recording(chosen, store_id, is_remote=True)


def open_client(home: Path) -> ChainClient:
    """The client of this process for a home that is there."""
    return _client(None, home)


def _client(expected_deployment_id: str | None, home: Path | None = None) -> ChainClient:
    from chain_client.client import ChainClient

    settings = own_settings(home)
    key = (settings.home, expected_deployment_id or "")
    client = _clients.get(key)
    if client is None or not client.folder.exists():
        client = _clients[key] = ChainClient.open(
            settings,
            create=home is None and may_create_home(),
            expected_deployment_id=expected_deployment_id,
        )
    return client


def _inner_uri(store_uri: str) -> str:
    inner = to_inner_uri(store_uri)
    refusal = find_refusal(inner)
    if refusal is not None:
        raise _mlflow_error(f"{to_shown_uri(store_uri)!r} is not recorded: {refusal}")
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
