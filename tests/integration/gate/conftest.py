"""A recorded MLflow database in a home whose registry has people and policies.

The home is made once; each test works on a copy, with a database of its own.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import mlflow_chain
from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.events import Event
from chain_client.verify import read_spooled
from tests.governed import Registry

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's own imports warn about its own dependencies
    from mlflow.exceptions import MlflowException
    from mlflow.store.model_registry.sqlalchemy_workspace_store import (
        WorkspaceAwareSqlAlchemyStore as RegistryStore,
    )
    from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore


@dataclass
class World:
    """A gated database, its stores, and the people who decide.

    Args:
        people: act on chain.
        registry: a wrapped registry store.
        tracking: a wrapped tracking store.
        folder: where files are kept.
        uri: of the database, plain.
    """

    people: Registry
    registry: Any
    tracking: Any
    folder: Path
    uri: str

    @property
    def client(self) -> ChainClient:
        """The home."""
        return self.people.client

    def make_model(self, name: str = "fraud", versions: int = 3) -> None:
        """A registered model whose versions have files."""
        self.registry.create_registered_model(name)
        for _ in range(versions):
            self.make_version(name)

    def make_version(self, name: str = "fraud") -> int:
        """One more version, with files."""
        number = len(list(self.folder.glob(f"{name}-*"))) + 1
        files = self.folder / f"{name}-{number}"
        files.mkdir(parents=True)
        (files / "MLmodel").write_text(f"flavor of {name} {number}")
        (files / "weights.bin").write_bytes(bytes([number]) * 100)
        return int(self.registry.create_model_version(name, str(files)).version)

    def alias(self, alias: str = "champion", name: str = "fraud") -> int | None:
        """The version that an alias has in MLflow."""
        found = self.registry.get_registered_model(name).aliases.get(alias)
        return None if found is None else int(found)

    def stage(self, version: int, name: str = "fraud") -> str:
        """The stage of a version in MLflow."""
        return str(self.registry.get_model_version(name, version).current_stage)

    def events(self, type_: str) -> list[Event]:
        """What was recorded of a type, spooled or logged."""
        found = read_spooled(self.client.folder.spool, self.client.log).events.values()
        return [event for event in found if event.type == type_]

    def crown(self, version: int = 1, name: str = "fraud") -> None:
        """Promote a version to champion on chain, and let MLflow follow."""
        self.people.promote(name, version)
        self.registry.set_registered_model_alias(name, "champion", version)


@dataclass(frozen=True)
class Refusal:
    """What a refused caller got."""

    code: str
    text: str


@pytest.fixture(scope="session")
def governed_home(founded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three approvers, of whom two are needed for champion and Production."""
    home = tmp_path_factory.mktemp("governed") / "home"
    shutil.copytree(founded_home, home)
    client = ChainClient.open(_settings(home))
    Registry(client).govern()
    client.close()
    return home


@pytest.fixture(scope="session")
def ungoverned_home(founded_home: Path) -> Path:
    """A home without any policy."""
    return founded_home


@pytest.fixture(scope="session")
def made_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain MLflow database that is made once; tests work on copies."""
    file = tmp_path_factory.mktemp("made") / "mlflow.db"
    store_class: Any = WorkspaceAwareSqlAlchemyStore
    store_class(f"sqlite:///{file}", str(file.with_name("artifacts")))._dispose_engine()
    return file


@pytest.fixture
def make_world(
    governed_home: Path, made_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., World]]:
    """Makes the world of a test; settings by name, and from which home it starts."""
    opened: list[ChainClient] = []
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")

    def make(home: Path = governed_home, **settings: Any) -> World:
        copy = tmp_path / "home"
        shutil.copytree(home, copy)
        monkeypatch.setenv("MLOPS_CHAIN_HOME", str(copy))
        file = tmp_path / "mlflow.db"
        shutil.copy(made_database, file)
        client = ChainClient.open(_settings(copy, **settings))
        opened.append(client)
        uri = f"sqlite:///{file}"
        folder = tmp_path / "artifacts"
        tracking: Any = WorkspaceAwareSqlAlchemyStore(uri, str(folder))
        registry: Any = RegistryStore(uri)
        return World(
            Registry(client),
            mlflow_chain.wrap(registry, client),
            mlflow_chain.wrap(tracking, client),
            folder,
            uri,
        )

    yield make
    for client in opened:
        client.recorder.close()
        client.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A governed world with the model ``fraud`` of three versions."""
    made = make_world()
    made.make_model()
    return made


def _settings(home: Path, **more: Any) -> Settings:
    # No relay promotes, and nobody follows: what is tested is the gate alone.
    given: dict[str, Any] = {
        "relay_autostart": False,
        "spool_durability": "process",
        "registry_sync": False,
    }
    return Settings(home=home, **(given | more))


@pytest.fixture
def refused() -> Callable[..., Refusal]:
    """Calls and gives the refusal; fails if the call passes."""

    def call(action: Callable[..., Any], *args: Any, **kwargs: Any) -> Refusal:
        with pytest.raises(MlflowException) as caught:
            action(*args, **kwargs)
        code: Any = caught.value.error_code
        assert code in ("PERMISSION_DENIED", "RESOURCE_CONFLICT"), caught.value
        return Refusal(str(code), str(caught.value.message))

    return call
