"""A plain server and one that records, and homes that record the first from the client."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from chain_client.client import ChainClient
from chain_client.config import Settings
from tests.mlflow_server import Server, Site, serving
from tests.recorded_database import Recorded

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's own imports warn about its own dependencies
    import mlflow


@pytest.fixture(scope="session")
def start(founded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """Starts servers that live as long as the tests."""
    with ExitStack() as servers:

        def make(prefix: str, *words: str, **variables: str) -> Server:
            folder = tmp_path_factory.mktemp("server")
            shutil.copytree(founded_home, folder / "home")
            site = Site(folder, folder / "home", variables, prefix)
            return servers.enter_context(serving(site, *words))

        yield make


@pytest.fixture(scope="session")
def server(start: Callable[..., Server]) -> Server:
    """MLflow as somebody else hosts it; the eight processes that run its jobs concern nobody."""
    return start("", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")


@pytest.fixture(scope="session")
def recording_server(start: Callable[..., Server]) -> Server:
    """A server that records by itself."""
    return start("chain+")


@pytest.fixture
def home(founded_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of this test."""
    target = tmp_path / "home"
    shutil.copytree(founded_home, target)
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


@pytest.fixture
def recorded(client: ChainClient, server: Server) -> Recorded:
    """The plain server, not yet opened with chain+ by this home."""
    return Recorded(client, f"chain+{server.url}", server.site.database)


@pytest.fixture
def tracked(recorded: Recorded) -> Iterator[Recorded]:
    """MLflow's tracking URI points to the plain server, recorded from here."""
    with tracking(recorded.uri):
        yield recorded


@contextmanager
def tracking(uri: str) -> Iterator[None]:
    """MLflow's tracking URI within the block; afterwards it has forgotten its stores."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        while mlflow.active_run():
            mlflow.end_run()
        mlflow.set_tracking_uri(before)
        fluent: Any = mlflow.tracking.fluent
        fluent._active_experiment_id = None  # what was chosen is of another server


@pytest.fixture(autouse=True)
def _forgotten_stores() -> Iterator[None]:
    """MLflow keeps a store for each URI; another test's would record into its home."""
    yield
    from mlflow.tracking._model_registry.utils import _get_store_registry
    from mlflow.tracking._tracking_service import utils

    for registry in (utils._tracking_store_registry, _get_store_registry()):
        registry._get_store_with_resolved_uri.cache_clear()
