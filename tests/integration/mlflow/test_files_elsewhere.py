"""Files that a relay reads back for clients on a database: of versions, and changed meanwhile."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking import MlflowClient

import mlflow_chain
from chain_client.events import OutcomeStatus
from chain_client.hosts import Remark, Scope, Unchecked
from mlflow_chain.host import MlflowHost
from tests.recorded_database import Recorded

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def relay(recorded: Recorded) -> None:
    """As `mlops-chain relay --once`."""
    service = recorded.client.relay()
    service.start()
    try:
        service.drain(patience_s=30)
    finally:
        service.close()


def kinds(recorded: Recorded, **scope: str) -> list[str]:
    """The kinds of what differs, by the log and the spool."""
    return [finding.kind for finding in recorded.client.verify(Scope(**scope)).findings]


def notes(recorded: Recorded) -> list[Unchecked | Remark]:
    """What was left out, by what is spooled."""
    (binding,) = recorded.client.folder.bindings()
    found = MlflowHost().compare(binding, recorded.events(), Scope(), lambda *step: None)
    return [item for item in found if isinstance(item, Unchecked | Remark)]


def unchecked(recorded: Recorded) -> str:
    """What could not be compared, by the log and the spool."""
    checks = recorded.client.verify(Scope()).checks
    return "; ".join(check.detail for check in checks if not check.carried_out)


@pytest.fixture
def elsewhere(tracked: Recorded, tmp_path: Path) -> Path:
    """The folder of a version outside every run; a relay has read it."""
    folder = tmp_path / "elsewhere"
    (folder / "deep").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    (folder / "deep" / "weights.bin").write_bytes(b"weights")
    client = MlflowClient()
    client.create_registered_model("m")
    client.create_model_version("m", str(folder))
    client.create_model_version("m", "models:/m/1")
    assert "nobody recorded the files" in unchecked(tracked)
    relay(tracked)
    return folder


def test_the_files_of_a_version_outside_every_run_are_compared(
    tracked: Recorded, elsewhere: Path
) -> None:
    assert kinds(tracked) == kinds(tracked, model="m") == []
    assert unchecked(tracked) == ""
    (elsewhere / "deep" / "weights.bin").write_bytes(b"Weights")
    (elsewhere / "added").touch()
    (elsewhere / "MLmodel").unlink()
    expected = ["artifact_changed", "artifact_missing", "artifact_unexpected"]
    assert sorted(kinds(tracked)) == sorted(kinds(tracked, model="m")) == expected


def test_a_version_around_a_run_leaves_the_runs_files_to_the_run(
    tracked: Recorded, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}")
    client = MlflowClient()
    experiment_id = client.create_experiment("inside", str(folder))
    with mlflow.start_run(experiment_id=experiment_id):
        mlflow.log_text("z", "model/z.txt")
    client.create_registered_model("m")
    client.create_model_version("m", str(folder))
    relay(tracked)
    assert kinds(tracked) == kinds(tracked, model="m") == []
    assert unchecked(tracked) == ""
    (file,) = folder.rglob("z.txt")
    file.write_text("Z")
    (file.parent / "added.txt").touch()
    (folder / "added.txt").touch()
    found = tracked.client.verify(Scope()).findings
    assert sorted((finding.kind, finding.subject.split("/")[0]) for finding in found) == [
        ("artifact_changed", f"run {file.parts[-4]}"),
        ("artifact_unexpected", "model m"),
        ("artifact_unexpected", f"run {file.parts[-4]}"),
    ]


def test_an_older_version_around_a_new_one_has_no_unexpected_files(
    recorded: Recorded, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    (folder / "new").mkdir(parents=True)
    (folder / "old.bin").touch()
    (folder / "new" / "weights.bin").write_bytes(b"weights")
    registry: Any = SqlAlchemyStore(recorded.uri.removeprefix("chain+"))
    registry.create_registered_model("m")
    registry.create_model_version("m", str(folder))
    mlflow_chain.wrap(registry, recorded.client)
    registry.create_model_version("m", str(folder / "new"))
    relay(recorded)
    assert kinds(recorded) == []
    assert unchecked(recorded) == ""
    (folder / "new" / "weights.bin").write_bytes(b"Weights")
    (folder / "new" / "added").touch()
    found = recorded.client.verify(Scope()).findings
    assert sorted((finding.kind, finding.subject) for finding in found) == [
        ("artifact_changed", "model m/version 2/artifact weights.bin"),
        ("artifact_unexpected", "model m/version 2/artifact added"),
    ]


def test_a_link_in_a_versions_folder_is_left_unchecked(tracked: Recorded, tmp_path: Path) -> None:
    folder = tmp_path / "linked"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"weights")
    (folder / "link").symlink_to("/etc/hostname")
    client = MlflowClient()
    client.create_registered_model("m")
    client.create_model_version("m", str(folder))
    relay(tracked)
    assert kinds(tracked) == []
    assert "could not be read back (NoRegularFile)" in unchecked(tracked)


def test_a_version_in_a_run_of_this_client_reads_nothing_back(
    tracked: Recorded, plain_run: Callable[[], str], tmp_path: Path
) -> None:
    run_id = plain_run()
    client = MlflowClient()
    (file,) = tmp_path.rglob("weights.txt")
    file.with_name("added.txt").touch()
    client.create_registered_model("m")
    client.create_model_version("m", f"{client.get_run(run_id).info.artifact_uri}/model")
    relay(tracked)
    assert kinds(tracked) == ["artifact_unexpected"]


def test_a_file_that_changes_while_it_is_logged_is_read_where_it_is_kept(
    tracked: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "growing.log"
    source.write_text("begin")
    with mlflow.start_run(), monkeypatch.context() as patched:
        patched.setattr("mlflow_chain.files.logged.is_unchanged", lambda *given: False)
        mlflow.log_artifact(str(source))
    assert "wait to be read back" in str(notes(tracked))
    relay(tracked)
    assert kinds(tracked) == []
    assert unchecked(tracked) == ""
    (stored,) = (tmp_path / "artifacts").rglob("growing.log")
    stored.write_text("Begin")
    assert kinds(tracked) == ["artifact_changed"]


def test_a_folder_is_recorded_as_mlflow_copies_it(tracked: Recorded, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "inside.txt").write_text("inside")
    folder = tmp_path / "logged"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file.txt").write_text("file")
    (folder / "linked-folder").symlink_to(tmp_path / "real")
    (folder / "linked-file").symlink_to(tmp_path / "real" / "inside.txt")
    with mlflow.start_run():
        mlflow.log_artifacts(str(folder))
        mlflow.log_artifacts(str(folder), "again")
        mlflow.log_text("other", "sub/file.txt")
    assert tracked.findings() == []
    assert notes(tracked) == []


@pytest.mark.parametrize("before", [None, "old"])
def test_an_upload_that_breaks_off_is_known_to_have_changed_nothing(
    tracked: Recorded, before: str | None
) -> None:
    with mlflow.start_run() as run:
        if before is not None:
            mlflow.log_text(before, "f.txt")
    repository: Any = get_artifact_repository(run.info.artifact_uri)
    if not hasattr(repository, "log_artifact_from_stream"):
        return  # this MLflow takes uploads from files only

    class Broken(io.RawIOBase):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        repository.log_artifact_from_stream(Broken(), "f.txt")
    (event,) = [event for event in tracked.events() if event.type == "artifacts.uploaded"]
    assert (event.status, event.error) == (OutcomeStatus.FAILED, "ConnectionResetError")
    assert tracked.findings() == []


def test_what_was_deleted_and_logged_again_is_compared_as_it_is_now(
    tracked: Recorded, tmp_path: Path
) -> None:
    with mlflow.start_run() as run:
        mlflow.log_text("old", "model/a.txt")
        mlflow.log_text("gone", "model/b.txt")
        client = MlflowClient()
        client._tracking_client._get_artifact_repo(run.info.run_id).delete_artifacts("model")
        mlflow.log_text("new", "model/a.txt")
    assert tracked.findings() == []
    (file,) = (tmp_path / "artifacts").rglob("a.txt")
    file.with_name("b.txt").write_text("gone")
    file.write_text("old")
    assert sorted(tracked.kinds()) == ["artifact_changed", "artifact_unexpected"]
