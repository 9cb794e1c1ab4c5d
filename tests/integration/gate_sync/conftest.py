"""One governed home and one MLflow database on SQLite, and a model of its own for each test."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.gate import modes
from chain_client.verify import registry_host
from tests.integration.gate_sync.people import People
from tests.recorded_database import Recorded

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's own imports warn about its own dependencies
    import mlflow  # noqa: F401
    from mlflow.store.db import utils
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

_read_newest_schema: Any = utils._get_latest_schema_revision


@pytest.fixture(autouse=True)
def remember_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow reads fifty files of its own to know its newest schema, at every opening of a store;
    they stay the same."""
    monkeypatch.setattr(utils, "_get_latest_schema_revision", _newest_schema)


@functools.cache
def _newest_schema() -> str:
    return str(_read_newest_schema())


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of home, database and files."""
    return tmp_path_factory.mktemp("governed")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No relay is started, and no home is named: it is told to whoever needs it."""
    monkeypatch.delenv("MLOPS_CHAIN_HOME", raising=False)
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    monkeypatch.setenv("MLOPS_CHAIN_SPOOL_DURABILITY", "process")


@pytest.fixture(scope="session")
def client(place: Path) -> Iterator[ChainClient]:
    """The home; its relays do not sync, unless a test says so."""
    settings = Settings(
        home=place / "home", relay_autostart=False, spool_durability="process", registry_sync=False
    )
    opened = ChainClient.open(settings, create=True)
    yield opened
    opened.recorder.close()
    opened.close()


@pytest.fixture(scope="session")
def recorded(client: ChainClient, place: Path) -> Recorded:
    """The database."""
    file = place / "mlflow.db"
    store_class: Any = SqlAlchemyStore
    store_class(f"sqlite:///{file}", str(place / "artifacts"))._dispose_engine()
    return Recorded(client, f"chain+sqlite:///{file}", file)


@pytest.fixture(scope="session")
def registry(recorded: Recorded) -> Iterator[Any]:
    """The model registry of that database, recorded and gated, as a server opens it."""
    store = _open(recorded, recorded.client)
    yield store
    store.engine.dispose()


@pytest.fixture(scope="session")
def governed(registry: Any, client: ChainClient) -> People:
    """Roles, approvers, and both targets of every model gated by two of three."""
    people = People(client, "nobody", registry)
    people.govern()
    return people


@pytest.fixture
def people(governed: People, place: Path) -> People:
    """Those who decide about a model of three versions with files."""
    return governed.new(place)


@pytest.fixture
def age(monkeypatch: pytest.MonkeyPatch) -> None:
    """All decisions are older than what a promotion may take."""
    monkeypatch.setattr(registry_host, "GRACE_S", -60)


@pytest.fixture
def open_gate(recorded: Recorded, client: ChainClient) -> Iterator[Callable[[], Any]]:
    """Opens the registry in a process whose gate only warns."""
    opened: list[tuple[Any, ChainClient]] = []

    def end_process() -> None:
        """What this process records from here on comes from another one."""
        client.recorder.close()
        modes._noted.clear()

    def make() -> Any:
        end_process()
        lenient = ChainClient(replace(client.settings, gate_mode="warn"), client.deployment)
        opened.append((_open(recorded, lenient), lenient))
        return opened[-1][0]

    yield make
    end_process()
    for store, lenient in opened:
        store.engine.dispose()
        lenient.close()


def _open(recorded: Recorded, client: ChainClient) -> Any:
    import mlflow_chain

    store_class: Any = RegistryStore
    return mlflow_chain.wrap(store_class(recorded.uri.removeprefix("chain+")), client)
