"""Doors that no server here opens, the gate's modes, and what a lookup costs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from chain_client.attestations import note_attestation
from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.hosts import StoreBinding
from mlflow_chain.attesting.attest import attest
from mlflow_chain.files import write_once
from mlflow_chain.files.locations import Storage
from mlflow_chain.files.repositories import _record
from mlflow_chain.stores.recording import Recording
from tests.governed import Registry

pytestmark = pytest.mark.filterwarnings("ignore")

STORE = "a" * 32


class Presigning(LocalArtifactRepository):
    """Storage that gives out URLs by which clients write past the server, as S3 does."""

    def create_presigned_upload_url(self, artifact_path: str, expiration: int = 900) -> str:
        return f"https://storage.example/{artifact_path}?expires={expiration}"


@pytest.fixture
def client(home: Path) -> Iterator[ChainClient]:
    """A home of this test's own."""
    opened = ChainClient.open(Settings(home=home, relay_autostart=False))
    opened.bind_store(StoreBinding(STORE, "mlflow", "sqlite:///nowhere.db"))
    yield opened
    opened.recorder.close()
    opened.close()
    write_once._known.clear()


@pytest.fixture
def attested(client: ChainClient, tmp_path: Path) -> Path:
    """A folder whose files are attested."""
    folder = tmp_path / "kept" / "Model"
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text("1")
    files = attest(str(folder), Storage(), lambda kind, id, below: iter(()))
    note_attestation(client.recorder, STORE, files, name="fraud", version=3)
    client.recorder.close()
    Registry(client).drain()
    return folder


@pytest.fixture
def open_repository(client: ChainClient) -> Callable[..., Any]:
    """Opens a recorded repository."""

    def make(folder: Path, mode: str = "auto") -> Any:
        settings = replace(client.settings, gate_mode=mode)
        repository = Presigning(str(folder))
        _record(repository, Recording(ChainClient(settings, client.deployment), STORE))
        write_once._known.clear()
        return repository

    return make


def is_refused(act: Callable[[], object]) -> bool:
    """Whether it is, by name."""
    with pytest.raises(MlflowException, match="version 3 of model 'fraud'") as said:
        act()
    return str(said.value.error_code) == "PERMISSION_DENIED"


def test_no_url_is_given_out_by_which_an_attested_file_could_be_written(
    attested: Path, open_repository: Callable[..., Any]
) -> None:
    repository = open_repository(attested.parent)
    for path in ("Model/MLmodel", "Model/new", "Model", "x/../Model/MLmodel"):
        assert is_refused(partial(repository.create_presigned_upload_url, path))
    assert repository.create_presigned_upload_url("other/MLmodel").startswith("https://")


def test_what_another_database_of_the_home_has_attested_since_is_kept_too(
    client: ChainClient, open_repository: Callable[..., Any], tmp_path: Path
) -> None:
    kept, other = tmp_path / "kept", "b" * 32
    (kept / "Model").mkdir(parents=True)
    (tmp_path / "MLmodel").write_text("1")
    repository = open_repository(kept)
    repository.log_artifact(str(tmp_path / "MLmodel"), "Model")
    client.bind_store(StoreBinding(other, "mlflow", "sqlite:///registry.db"))
    client.folder.put_served(other, str(kept))
    files = attest(
        "mlflow-artifacts:/Model", Storage((str(kept),)), lambda kind, id, below: iter(())
    )
    note_attestation(client.recorder, other, files, name="fraud", version=3)
    client.recorder.close()
    Registry(client).drain()
    assert is_refused(lambda: repository.log_artifact(str(tmp_path / "MLmodel"), "Model"))
    repository.log_artifact(str(tmp_path / "MLmodel"), "Model2")


def test_a_folder_is_logged_above_and_beside_an_attested_one_but_not_into_it(
    attested: Path, open_repository: Callable[..., Any], tmp_path: Path
) -> None:
    repository = open_repository(attested.parent)
    (tmp_path / "beside" / "sub").mkdir(parents=True)
    (tmp_path / "beside" / "sub" / "x").write_text("1")
    repository.log_artifacts(str(tmp_path / "beside"))
    (tmp_path / "into" / "Model" / "deep").mkdir(parents=True)
    repository.log_artifacts(str(tmp_path / "beside"), "Model2")
    (tmp_path / "into" / "Model" / "deep" / "x").write_text("1")
    assert is_refused(lambda: repository.log_artifacts(str(tmp_path / "into")))
    assert is_refused(lambda: repository.log_artifacts(str(tmp_path / "beside"), "Model"))
    assert is_refused(repository.delete_artifacts)


def test_a_folder_that_differs_in_case_is_another_one_where_the_file_system_says_so(
    attested: Path, open_repository: Callable[..., Any], tmp_path: Path
) -> None:
    repository = open_repository(attested.parent)
    (tmp_path / "MLmodel").write_text("2")
    other = attested.with_name("model")
    if not other.exists():
        repository.log_artifact(str(tmp_path / "MLmodel"), "model")
        assert (other / "MLmodel").read_text() == "2"
    else:
        assert is_refused(lambda: repository.log_artifact(str(tmp_path / "MLmodel"), "model"))
    assert (attested / "MLmodel").read_text() == "1"


def test_a_link_to_it_made_later_is_no_way_in(
    attested: Path, open_repository: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "way").symlink_to(attested)
    (tmp_path / "MLmodel").write_text("2")
    repository = open_repository(tmp_path / "way")
    assert is_refused(lambda: repository.log_artifact(str(tmp_path / "MLmodel")))
    above = open_repository(tmp_path)
    assert is_refused(partial(above.log_artifact, str(tmp_path / "MLmodel"), "way"))
    assert is_refused(partial(above.delete_artifacts, "way"))


def test_modes_that_do_not_enforce_let_it_pass_and_warn_says_so(
    attested: Path,
    open_repository: Callable[..., Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "x").write_text("2")
    with caplog.at_level(logging.WARNING, "mlflow_chain.files.write_once"):
        open_repository(attested, "off").log_artifact(str(tmp_path / "x"), "off")
        assert caplog.records == []
        open_repository(attested, "warn").log_artifact(str(tmp_path / "x"), "warn")
    assert "would have refused" in caplog.text
    assert sorted(p.name for p in attested.iterdir()) == ["MLmodel", "off", "warn"]
    assert is_refused(
        lambda: open_repository(attested, "enforce").log_artifact(str(tmp_path / "x"))
    )
