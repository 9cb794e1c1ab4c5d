"""A Postgres of the tests' own, and MLflow databases in it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from chain_client.client import ChainClient
from chain_client.config import Settings
from tests.postgres import Postgres
from tests.recorded_database import Recorded

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's own imports warn about its own dependencies
    import mlflow
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore


@dataclass
class RecordedPostgres(Recorded):
    """As `Recorded`; ``file`` only says where artifacts are kept.

    Args:
        server: that has the database.
        name: of the database.
    """

    server: Postgres
    name: str

    def edit(self, statement: str, *values: Any) -> int:
        """Change the database behind MLflow's back; no constraint holds."""
        engine = sqlalchemy.create_engine(self.server.uri(self.name), poolclass=sqlalchemy.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql("set session_replication_role = replica")
            return connection.exec_driver_sql(statement, values or None).rowcount

    def by(self, driver: str = "psycopg", **options: str) -> RecordedPostgres:
        """The same database at another URI."""
        uri = f"chain+{self.server.uri(self.name, driver, **options)}"
        return RecordedPostgres(self.client, uri, self.file, self.server, self.name)

    def tracking(self) -> Any:
        """A plain tracking store; opened stores are closed with the test."""
        return SqlAlchemyStore(self.plain_uri, str(self.file.with_name("artifacts")))

    def registry(self) -> Any:
        """A plain registry store."""
        return RegistryStore(self.plain_uri)

    @property
    def plain_uri(self) -> str:
        """The database as MLflow knows it."""
        return self.uri.removeprefix("chain+")


@pytest.fixture(scope="session")
def template(postgres: Postgres) -> str:
    """A plain MLflow database, to be copied."""
    name = postgres.create()
    with _closing_engines():
        SqlAlchemyStore(postgres.uri(name), "/nowhere")
    return name


@pytest.fixture(autouse=True)
def _engines() -> Iterator[None]:
    """No connection stays open; MLflow keeps one engine for each URI for ever."""
    with _closing_engines():
        yield


@contextlib.contextmanager
def _closing_engines() -> Iterator[None]:
    yield
    close_engines()


def close_engines() -> None:
    """Close every connection that MLflow has open."""
    for store_class in (SqlAlchemyStore, RegistryStore):
        engines: dict[str, sqlalchemy.Engine] = store_class._engine_map
        for uri in [uri for uri in engines if uri.startswith("postgresql")]:
            engines.pop(uri).dispose()


@pytest.fixture
def client(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChainClient]:
    """An empty home of this test, opened."""
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(home))
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    monkeypatch.setenv("MLOPS_CHAIN_SPOOL_DURABILITY", "process")
    settings = Settings(home=home, relay_autostart=False, spool_durability="process")
    opened = ChainClient.open(settings)
    yield opened
    opened.recorder.close()
    opened.close()


@pytest.fixture
def recorded(
    client: ChainClient, postgres: Postgres, template: str, tmp_path: Path
) -> RecordedPostgres:
    """An MLflow database with nothing in it, not yet opened with chain+."""
    name = postgres.create(template)
    uri = f"chain+{postgres.uri(name)}"
    found = RecordedPostgres(client, uri, tmp_path / "mlflow.db", postgres, name)
    found.edit("update experiments set artifact_location = %s", str(tmp_path / "artifacts"))
    return found


@pytest.fixture
def tracked(recorded: RecordedPostgres) -> Iterator[Callable[[str], None]]:
    """Points MLflow's tracking URI to the recorded database, by a driver, as in a script."""
    before = mlflow.get_tracking_uri()
    yield lambda driver: mlflow.set_tracking_uri(recorded.by(driver).uri)
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(before)
    fluent: Any = mlflow.tracking.fluent
    fluent._active_experiment_id = None
    from mlflow.tracking._model_registry.utils import _get_store_registry
    from mlflow.tracking._tracking_service import utils

    for registry in (utils._tracking_store_registry, _get_store_registry()):
        registry._get_store_with_resolved_uri.cache_clear()
