"""The model registry that MLflow asks, and the home and store id under which it is recorded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.errors import ConfigurationError, HomeMismatch
from chain_client.hosts import ModelIncarnation
from mlflow_chain.adopting.row import read_adoption
from mlflow_chain.building import own_settings
from mlflow_chain.loading.model_uris import ModelUri
from mlflow_chain.mapping.workspaces import to_bare
from mlflow_chain.reading.server_uri import to_server_uri
from mlflow_chain.server.announcement import PENDING, parse_announcement
from mlflow_chain.stores.remote import is_behind_server

_PROBE = "/api/3.0/mlflow/server-info"
_PROBE_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """What MLflow says of a version.

    Args:
        model: the model's incarnation.
        version: the number of the version.
        download_uri: where MLflow would load it from.
    """

    model: ModelIncarnation
    version: int
    download_uri: str


def ask_mlflow(store: Any, store_id: str, uri: ModelUri) -> Asked:
    """Which version a URI means in MLflow, and where its files are.

    Raises:
        MlflowException: MLflow's own: there is no such model, version or alias.
        ConfigurationError: several versions stand in the stage, or it is another model.
    """
    from mlflow.utils import workspace_context

    model = store.get_registered_model(uri.name)
    if model.name != uri.name:
        # Else whoever answers could give an approved model in the place of another one.
        raise ConfigurationError(f"asked for model {uri.name!r}, MLflow answered with another one")
    version = uri.version if uri.version is not None else _held(store, uri)
    incarnation = ModelIncarnation(
        store_id,
        to_bare(workspace_context.get_request_workspace()),
        uri.name,
        int(model.creation_timestamp),
    )
    return Asked(
        incarnation, version, str(store.get_model_version_download_uri(uri.name, str(version)))
    )


def _held(store: Any, uri: ModelUri) -> int:
    target = uri.target
    assert target is not None
    if target.kind == "alias":
        return int(store.get_model_version_by_alias(uri.name, target.name).version)
    found: set[int] = set()
    token: str | None = None
    quote = '"' if "'" in uri.name else "'"
    while True:
        where = f"name={quote}{uri.name}{quote}"
        page = store.search_model_versions(where, max_results=1_000, page_token=token)
        found.update(int(v.version) for v in page if v.current_stage == target.name)
        token = page.token
        if not token:
            break
    if len(found) != 1:
        stand = ", ".join(map(str, sorted(found))) or "none"
        raise ConfigurationError(
            f"expected one version of model {uri.name!r} in stage {target.name}, found {stand}"
        )
    return found.pop()


def open_home(store: Any) -> tuple[ChainClient, str]:
    """The home that records a registry store, and the store's id there; none is ever made.

    Raises:
        ConfigurationError: the registry is not recorded, or this home does not know it.
        HomeMissing: there is no home.
        HomeMismatch: it is another deployment's.
        HostUnavailable: the registry does not answer.
    """
    settings = own_settings()
    if is_behind_server(store):
        return _of_server(store, settings)
    engine = getattr(store, "engine", None)
    row = None if engine is None else read_adoption(engine)
    if row is None:
        raise ConfigurationError(
            "MLflow's model registry is not recorded by mlops-chain, so nothing says which bytes "
            "are approved; open it with chain+… once"
        )
    return _open(settings, row.deployment_id), row.store_id


def _of_server(store: Any, settings: Settings) -> tuple[ChainClient, str]:
    from mlflow.utils.rest_utils import http_request

    answer = http_request(
        store.get_host_creds(), _PROBE, "GET", timeout=_PROBE_TIMEOUT_S, raise_on_status=False
    )
    said = parse_announcement(answer.headers)
    if said == PENDING:
        raise ConfigurationError("the server can't say yet what it records; see its log")
    if said is not None and "registry" in said.stores:
        return _open(settings, said.deployment_id), said.stores["registry"]
    client = _open(settings, None)
    server_uri = to_server_uri(store.get_host_creds().host)
    for binding in client.folder.bindings():
        if binding.uri == server_uri:
            return client, binding.store_id
    raise ConfigurationError(
        f"the server {server_uri} does not say that it records its model registry; start it with "
        "--backend-store-uri chain+…"
    )


_opened: dict[tuple[int, Path], ChainClient] = {}


def _open(settings: Settings, expected: str | None) -> ChainClient:
    key = (os.getpid(), settings.home)
    client = _opened.get(key)
    if client is None or client.settings != settings or not client.folder.exists():
        client = ChainClient.open(settings, create=False, expected_deployment_id=expected)
        _opened[key] = client
    if expected not in (None, client.deployment_id):
        raise HomeMismatch(
            f"the home {client.home} is of deployment {client.deployment_id}, but the model "
            f"registry belongs to {expected}: set MLOPS_CHAIN_HOME to the home that records it"
        )
    return client
