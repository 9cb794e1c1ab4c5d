"""A real home, a real MLflow database on SQLite, and models in it."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.verify import registry_host
from tests.integration.gate_sync.people import People
from tests.recorded_database import Recorded

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's own imports warn about its own dependencies
    import mlflow  # noqa: F401
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that is made once; tests work on copies."""
    home = tmp_path_factory.mktemp("made") / "home"
    ChainClient.open(Settings(home=home, relay_autostart=False), create=True).close()
    return home


@pytest.fixture(scope="session")
def made_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain MLflow database that is made once; tests work on copies."""
    file = tmp_path_factory.mktemp("made") / "mlflow.db"
    store_class: Any = SqlAlchemyStore
    store_class(f"sqlite:///{file}", str(file.with_name("artifacts")))._dispose_engine()
    return file


@pytest.fixture
def home(made_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of this test."""
    target = tmp_path / "home"
    shutil.copytree(made_home, target)
    monkeypatch.delenv("MLOPS_CHAIN_HOME", raising=False)
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    monkeypatch.setenv("MLOPS_CHAIN_SPOOL_DURABILITY", "process")
    return target


@pytest.fixture
def client(home: Path) -> Iterator[ChainClient]:
    """The home, opened."""
    settings = Settings(
        home=home, relay_autostart=False, spool_durability="process", registry_sync=False
    )
    opened = ChainClient.open(settings)
    yield opened
    opened.recorder.close()
    opened.close()


@pytest.fixture
def people(registry: Any, client: ChainClient, tmp_path: Path) -> People:
    """Two of three decide about a model of three versions with files."""
    registry.create_registered_model("fraud")
    for number in (1, 2, 3):
        folder = tmp_path / "files" / str(number)
        folder.mkdir(parents=True)
        (folder / "model.txt").write_text(f"weights {number}")
        registry.create_model_version("fraud", folder.as_uri())
    found = People(client)
    found.govern()
    return found


@pytest.fixture
def recorded(client: ChainClient, made_database: Path, tmp_path: Path) -> Recorded:
    """An MLflow database with nothing in it, not yet opened with chain+."""
    file = tmp_path / "mlflow.db"
    shutil.copy(made_database, file)
    return Recorded(client, f"chain+sqlite:///{file}", file)


@pytest.fixture
def registry(recorded: Recorded) -> Iterator[Any]:
    """The model registry of that database, recorded, as a server opens it."""
    import mlflow_chain

    plain: Any = RegistryStore
    store: Any = mlflow_chain.wrap(plain(recorded.uri.removeprefix("chain+")), recorded.client)
    yield store
    store.engine.dispose()


@pytest.fixture
def age(monkeypatch: pytest.MonkeyPatch) -> Callable[[People], None]:
    """Lets verification think that all decisions are older than what a promotion may take."""

    def let_pass(people: People) -> None:
        monkeypatch.setattr(registry_host, "GRACE_S", -60)

    return let_pass


@pytest.fixture
def open_gate(recorded: Recorded, client: ChainClient) -> Iterator[Callable[[], Any]]:
    """Opens the registry in a process whose gate only warns."""
    opened: list[Any] = []

    def make() -> Any:
        import mlflow_chain

        lenient = ChainClient(replace(client.settings, gate_mode="warn"), client.deployment)
        plain: Any = RegistryStore
        store = mlflow_chain.wrap(plain(recorded.uri.removeprefix("chain+")), lenient)
        opened.append((store, lenient))
        return store

    yield make
    for store, lenient in opened:
        store.engine.dispose()
        lenient.close()
