"""Real MLflow stores on SQLite, recorded into a real home, compared without a relay."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chain_client.client import ChainClient
from chain_client.config import Settings
from tests.recorded_database import Recorded

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's own imports warn about its own dependencies
    import mlflow
    import mlflow.store.model_registry.sqlalchemy_store
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that is made once; tests work on copies."""
    home = tmp_path_factory.mktemp("made") / "home"
    ChainClient.open(Settings(home=home, relay_autostart=False), create=True).close()
    return home


@pytest.fixture
def home(made_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of this test."""
    target = tmp_path / "home"
    shutil.copytree(made_home, target)
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(target))
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    monkeypatch.setenv("MLOPS_CHAIN_SPOOL_DURABILITY", "process")
    return target


@pytest.fixture
def client(home: Path) -> Iterator[ChainClient]:
    """The home, opened."""
    settings = Settings(home=home, relay_autostart=False, spool_durability="process")
    opened = ChainClient.open(settings)
    yield opened
    opened.recorder.close()
    opened.close()


@pytest.fixture(scope="session")
def made_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain MLflow database that is made once; tests work on copies."""
    file = tmp_path_factory.mktemp("made") / "mlflow.db"
    store_class: Any = SqlAlchemyStore
    store_class(f"sqlite:///{file}", str(file.with_name("artifacts")))._dispose_engine()
    return file


@pytest.fixture
def recorded(client: ChainClient, made_database: Path, tmp_path: Path) -> Recorded:
    """An MLflow database with nothing in it, not yet opened with chain+."""
    file = tmp_path / "mlflow.db"
    shutil.copy(made_database, file)
    found = Recorded(client, f"chain+sqlite:///{file}", file)
    found.edit("update experiments set artifact_location = ?", str(tmp_path / "artifacts"))
    return found


@pytest.fixture
def tracked(recorded: Recorded) -> Iterator[Recorded]:
    """MLflow's tracking URI points to a recorded database, as in a script."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(recorded.uri)
    yield recorded
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(before)
    fluent: Any = mlflow.tracking.fluent
    fluent._active_experiment_id = None  # what `set_experiment` chose is of another database
    _forget_stores()


def _forget_stores() -> None:
    from mlflow.tracking._model_registry.utils import _get_store_registry
    from mlflow.tracking._tracking_service import utils

    for registry in (utils._tracking_store_registry, _get_store_registry()):
        registry._get_store_with_resolved_uri.cache_clear()


@pytest.fixture
def plain_run(tracked: Recorded) -> Callable[[], str]:
    """Makes a run with a metric, a param, a tag and a file."""

    def make() -> str:
        with mlflow.start_run() as run:
            mlflow.log_metric("loss", 0.5, step=1)
            mlflow.log_param("depth", 3)
            mlflow.set_tag("stage", "dev")
            mlflow.log_text("weights", "model/weights.txt")
        return str(run.info.run_id)

    return make
