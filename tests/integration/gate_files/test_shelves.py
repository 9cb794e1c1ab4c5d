"""Versions in a storage that is no file system: nothing but reading tells that files changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.artifact import artifact_repository_registry as registries
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient

from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.errors import InvalidInput
from chain_client.governing.attesting import attest
from chain_client.governing.models import FoundModel, find_model
from chain_client.hosts import AttestedFiles
from mlflow_chain.attesting.fingerprints import fingerprint_of
from mlflow_chain.files import write_once
from mlflow_chain.files.locations import Storage
from mlflow_chain.host import MlflowHost
from tests.integration.files.parts_repository import PartsRepository

pytestmark = pytest.mark.filterwarnings("ignore")

ROOT = "parts://"


class WatchedHost(MlflowHost):
    """MLflow, and what happens after each reading of a version's files."""

    def __init__(self) -> None:
        super().__init__()
        self.readings = 0
        self.after: dict[int, Callable[[], object]] = {}

    def attest(self, *args: Any, **kwargs: Any) -> AttestedFiles:
        """Read them; then let it happen."""
        files = super().attest(*args, **kwargs)
        self.readings += 1
        self.after.get(self.readings, lambda: None)()
        return files


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables with nothing in them: to make them takes seconds."""
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    file = tmp_path_factory.mktemp("made") / "mlflow.db"
    engine = create_sqlalchemy_engine(f"sqlite:///{file}")
    _initialize_tables(engine)
    engine.dispose()
    return file


@pytest.fixture
def client(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tables: Path
) -> Iterator[ChainClient]:
    """A home, of which MLflow's store of this process is recorded."""
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(home))
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    registry = registries._artifact_repository_registry
    registry.register("parts", PartsRepository)
    shutil.copy(tables, tmp_path / "m.db")
    mlflow.set_tracking_uri(f"chain+sqlite:///{tmp_path}/m.db")
    opened = ChainClient.open(Settings(home=home, relay_autostart=False))
    yield opened
    opened.recorder.close()
    opened.close()
    write_once._known.clear()
    registry._registry.pop("parts")


class Shelf:
    """A version whose files lie behind a scheme, and how they are written.

    Args:
        client: the home.
        root: URI of where MLflow keeps files.
        folder: for files to be logged.
    """

    def __init__(self, client: ChainClient, root: str, folder: Path) -> None:
        self._client = client
        self._mlflow = MlflowClient()
        self._folder = folder
        experiment = self._mlflow.create_experiment("e", root)
        self.run_id = self._mlflow.create_run(experiment).info.run_id
        self.uri = f"{root}/{self.run_id}/artifacts/model"
        self.write("approved")
        self._mlflow.create_registered_model("fraud")
        self._mlflow.create_model_version("fraud", self.uri, self.run_id)
        self.host = WatchedHost()

    def write(self, text: str) -> None:
        """Log the file again."""
        (self._folder / "MLmodel").write_text(f"flavors: {{}}\nnote: {text}\n")
        self._mlflow.log_artifact(self.run_id, str(self._folder / "MLmodel"), "model")

    def attest(self) -> AttestedFiles:
        """As `mlops-chain model propose` does."""
        named = find_model(self._client, "fraud", None)
        found = FoundModel(named.binding, self.host, named.model)
        return attest(self._client, found, 1, 10, lambda text: None).files


@pytest.fixture
def shelf(client: ChainClient, tmp_path: Path) -> Shelf:
    """In a storage that tells nothing of a file but its size."""
    return Shelf(client, f"{ROOT}{tmp_path}/shelf", tmp_path)


def test_what_is_written_before_the_log_has_the_attestation_is_not_attested(shelf: Shelf) -> None:
    shelf.host.after[1] = lambda: shelf.write("accepted")
    with pytest.raises(InvalidInput, match="changed"):
        shelf.attest()
    shelf.host.after.clear()
    files = shelf.attest()
    with pytest.raises(MlflowException, match="version 1 of model 'fraud'"):
        shelf.write("approved")
    shelf.host.readings = 0
    assert shelf.attest() == files
    assert shelf.host.readings == 1, "it stood in the log before it was read"


@pytest.mark.parametrize(
    "root", ["parts://{}", "parts:{}", "PARTS://{}", "parts://{}/../shelf", "parts:////{}//."]
)
def test_no_spelling_of_the_place_gets_round_the_attestation(
    shelf: Shelf, tmp_path: Path, root: str
) -> None:
    shelf.attest()
    (tmp_path / "evil").write_text("evil")
    uri = f"{root.format(tmp_path / 'shelf')}/{shelf.run_id}/artifacts"
    repository = get_artifact_repository(uri, mlflow.get_tracking_uri())
    with pytest.raises(MlflowException, match="version 1 of model 'fraud'"):
        repository.log_artifact(str(tmp_path / "evil"), "model")
    repository.log_artifact(str(tmp_path / "evil"), "other")


def test_files_of_a_file_system_are_read_once(client: ChainClient, tmp_path: Path) -> None:
    shelf = Shelf(client, f"{tmp_path}/files", tmp_path)
    shelf.attest()
    assert shelf.host.readings == 1


def test_a_file_of_another_size_changes_the_fingerprint(shelf: Shelf, tmp_path: Path) -> None:
    before = fingerprint_of(shelf.uri, Storage())
    shelf.write("accepted")
    assert fingerprint_of(shelf.uri, Storage()) == before, "as long as the other"
    shelf.write("one that is longer")
    assert fingerprint_of(shelf.uri, Storage()) != before


def test_a_write_that_ends_after_the_attestation_raises_an_alarm(
    client: ChainClient, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = PartsRepository.log_artifact

    def slow(repository: Any, *args: Any) -> None:
        shelf.attest()
        plain(repository, *args)

    monkeypatch.setattr(PartsRepository, "log_artifact", slow)
    monkeypatch.setattr("mlflow_chain.stores.reclassing._classes", {})
    repository = get_artifact_repository(shelf.uri, mlflow.get_tracking_uri())
    with pytest.raises(MlflowException, match="while it was being changed"):
        repository.log_artifact(str(tmp_path / "MLmodel"))
    (alarm,) = [a for a in client.log.alarms() if a.kind == "attested_files_written"]
    assert "version 1 of model 'fraud'" in alarm.detail
