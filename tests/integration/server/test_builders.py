"""Which store is built for a URI: MLflow's own, recorded exactly where it is asked for."""

from __future__ import annotations

import importlib.metadata
import shutil
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mlflow_chain.files.repositories import _find_recording
from mlflow_chain.inner_stores import tracking_builder
from mlflow_chain.stores.reclassing import find_recording

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's own imports warn about its own dependencies
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.genai.scorers.registry import _get_scorer_store
    from mlflow.store.tracking.rest_store import RestStore
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.tracking._model_registry.registry import ModelRegistryStoreRegistry
    from mlflow.tracking._model_registry.utils import _get_store_registry
    from mlflow.tracking._tracking_service.registry import TrackingStoreRegistry
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry
    from mlflow.tracking._workspace.registry import get_workspace_store

INNER = (
    *("sqlite", "postgresql", "postgresql+psycopg2", "postgresql+psycopg"),
    *("mysql", "mysql+pymysql", "mysql+mysqldb", "mysql+mysqlconnector"),
    *("mssql", "mssql+pymssql", "mssql+pyodbc", "http", "https", "file"),
)
SCHEMES = {"chain", *(f"chain+{name}" for name in INNER)}
REFUSED = {"chain+postgres"}
"""Known only so that it is ours to say what to write instead."""
PLAIN = {"sqlite", "postgresql", "mysql", "mssql"}
GROUPS = {
    "mlflow.tracking_store": SCHEMES | REFUSED | PLAIN | {"http", "https"},
    "mlflow.model_registry_store": SCHEMES | REFUSED | PLAIN | {"http", "https"},
    "mlflow.scorer_store": SCHEMES,
    "mlflow.labeling_store": SCHEMES,
    "mlflow.workspace_provider": SCHEMES | PLAIN,
}


@pytest.fixture(scope="module")
def handlers() -> ModuleType:
    """MLflow's server, loaded only where a test asks for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.server import handlers

    return handlers


@pytest.fixture(params=["client", "server"])
def both(request: pytest.FixtureRequest, handlers: Any) -> Any:
    """A tracking registry as a client and as a server has it, without stores built before."""
    if request.param == "server":
        return handlers.TrackingStoreRegistryWrapper()
    made = TrackingStoreRegistry()
    made._registry = dict(_tracking_store_registry._registry)
    return made


@pytest.fixture
def uri(empty_database: Path, tmp_path: Path) -> str:
    """A new database, by its plain URI."""
    return f"sqlite:///{shutil.copy(empty_database, tmp_path / 'new.db')}"


@pytest.mark.parametrize("group", GROUPS)
def test_every_scheme_is_known_wherever_mlflow_looks_one_up(group: str) -> None:
    found = importlib.metadata.entry_points(group=group)
    ours = {point.name for point in found if point.value.startswith("mlflow_chain.")}
    assert ours == GROUPS[group]
    for point in found:
        assert callable(point.load())


def test_a_plain_uri_gives_mlflows_own_store_and_reads_no_home(
    both: Any, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / ".mlops-chain"
    broken.mkdir()
    (broken / "config.toml").write_text("no TOML at all")
    store = both.get_store(uri, str(tmp_path / "artifacts"))
    assert type(store) is SqlAlchemyStore
    assert find_recording(store) is None
    assert _find_recording(uri) is None
    registry = ModelRegistryStoreRegistry()
    registry._registry = dict(_get_store_registry()._registry)
    assert type(registry.get_store(uri, uri)).__name__ == "SqlAlchemyStore"
    assert find_recording(registry.get_store(uri, uri)) is None
    assert [path.name for path in broken.iterdir()] == ["config.toml"]
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(broken))
    with pytest.raises(MlflowException, match="not valid TOML"):
        both.get_store(uri + "?", str(tmp_path))


def test_a_plain_uri_is_recorded_where_the_setting_says_so(
    both: Any, uri: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(home))
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    (home / "config.toml").write_text("[mlflow]\nplain_uris = true\n")
    store = both.get_store(uri, str(tmp_path / "artifacts"))
    recording: Any = find_recording(store)
    files: Any = _find_recording(uri)
    assert isinstance(store, SqlAlchemyStore)
    assert files.store_id == recording.store_id
    monkeypatch.setenv("MLOPS_CHAIN_MLFLOW_PLAIN_URIS", "false")
    assert find_recording(both.get_store(uri, str(tmp_path / "other"))) is None
    assert _find_recording(uri) is None


def test_a_server_gets_its_own_stores_and_knows_no_others(handlers: Any) -> None:
    server = handlers.TrackingStoreRegistryWrapper()
    with pytest.raises(MlflowException, match="unsupported URI 'http://h'") as caught:
        server.get_store("http://h", None)
    schemes: list[str] = getattr(caught.value, "supported_uri_schemes")  # noqa: B009
    assert "databricks" in schemes
    assert {"http", "chain+sqlite"}.isdisjoint(schemes)
    client = _tracking_store_registry.get_store("http://127.0.0.1:9", None)
    assert type(client) is RestStore


def test_a_servers_read_replica_reaches_the_store_that_is_recorded(
    handlers: Any, uri: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(home))
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    copied = shutil.copy(uri.removeprefix("sqlite:///"), tmp_path / "replica.db")
    replica = f"sqlite:///{copied}"
    server = handlers.TrackingStoreRegistryWrapper()
    server.get_store(replica, str(tmp_path))
    monkeypatch.setenv("_MLFLOW_SERVER_READ_REPLICA_BACKEND_STORE", replica)
    plain = server._get_sqlalchemy_store(uri, str(tmp_path))
    store = server.get_store("chain+" + uri, str(tmp_path))
    assert find_recording(store) is not None
    engines = [getattr(found, "read_engine", None) for found in (plain, store)]
    assert len({engine and str(engine.url) for engine in engines}) == 1
    assert tracking_builder(uri).__module__ == "mlflow.tracking._tracking_service.utils"


def test_scorers_labeling_and_workspaces_find_what_is_inside(
    uri: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.genai.labeling.stores import _get_labeling_store

    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(home))
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    scorers: Any = _get_scorer_store("chain+" + uri)
    assert find_recording(scorers._tracking_store) is not None
    with pytest.raises(MlflowException) as plain:
        _get_labeling_store(uri)
    with pytest.raises(MlflowException) as recorded:
        _get_labeling_store("chain+" + uri)
    assert str(recorded.value) == str(plain.value)
    workspaces = get_workspace_store("chain+" + uri)
    assert workspaces._workspace_uri == uri
    assert find_recording(workspaces) is not None
    assert [w.name for w in workspaces.list_workspaces()] == ["default"]
    for look in (_get_scorer_store, _get_labeling_store, mlflow.tracking.MlflowClient):
        with pytest.raises(MlflowException, match="'foo' inside the URI"):
            look("chain:foo://x")
