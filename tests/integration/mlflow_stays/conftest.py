"""Plain databases of MLflow that are made once, and a home for wrapped ones."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chain_client.client import ChainClient
from chain_client.config import MLFLOW_GROUPS, Settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's own imports warn about its own dependencies
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow with nothing in it."""
    file = tmp_path_factory.mktemp("empty") / "mlflow.db"
    store: Any = SqlAlchemyStore(f"sqlite:///{file}", "/artifacts")
    store._dispose_engine()
    return file


@pytest.fixture
def new_database(empty_database: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Gives a database of its own, in a folder of that name."""

    def make(name: str) -> Path:
        file = tmp_path / name / "mlflow.db"
        file.parent.mkdir()
        shutil.copy(empty_database, file)
        return file

    return make


def open_home(home: Path, record: str = "") -> ChainClient:
    """The home, with that setting of `mlflow.record`."""
    settings = Settings(
        home=home, relay_autostart=False, spool_durability="process", mlflow_record=record
    )
    return ChainClient.open(settings)


@pytest.fixture
def client(home: Path) -> Iterator[ChainClient]:
    """A home that records as it does by default."""
    opened = open_home(home)
    yield opened
    opened.recorder.close()
    opened.close()


@pytest.fixture
def eager_client(home: Path) -> Iterator[ChainClient]:
    """A home that records all that it can."""
    opened = open_home(home, ",".join(MLFLOW_GROUPS))
    yield opened
    opened.recorder.close()
    opened.close()
