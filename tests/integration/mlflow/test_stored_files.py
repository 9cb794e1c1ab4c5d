"""Files that are recorded, and what else may stand below an artifact root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

import mlflow_chain
from chain_client.hosts import Remark, Scope, Unchecked
from mlflow_chain.files.locations import Spot
from mlflow_chain.files.stored import StoredFiles
from mlflow_chain.host import MlflowHost
from tests.recorded_database import Recorded

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture
def weights(tracked: Recorded, tmp_path: Path) -> Path:
    """A recorded file; ``more.txt`` is beside it."""
    with mlflow.start_run():
        mlflow.log_text("weights", "model/weights.txt")
        mlflow.log_text("more", "model/more.txt")
    assert tracked.kinds() == []
    (file,) = tmp_path.rglob("weights.txt")
    return file


def notes(tracked: Recorded, **scope: str) -> list[Unchecked | Remark]:
    """What was left out."""
    (binding,) = tracked.client.folder.bindings()
    found = MlflowHost().compare(binding, tracked.events(), Scope(**scope), lambda *step: None)
    return [item for item in found if isinstance(item, Unchecked | Remark)]


def test_a_symbolic_link_is_named_wherever_it_points(
    tracked: Recorded, weights: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "code.py").touch()
    link = weights.with_name("code")
    link.symlink_to(folder)
    assert tracked.kinds() == ["artifact_unexpected"]
    link.unlink()
    weights.rename(folder / "weights.txt")
    weights.symlink_to(folder / "weights.txt")
    assert tracked.kinds() == ["artifact_changed"]


def test_a_root_below_a_symbolic_link_is_compared(
    tracked: Recorded, weights: Path, tmp_path: Path
) -> None:
    artifacts = weights.parent.parent
    artifacts.rename(tmp_path / "moved")
    artifacts.symlink_to(tmp_path / "moved")
    assert tracked.kinds() == []
    (tmp_path / "moved" / "model" / "more.txt").write_text("x")
    assert tracked.kinds() == ["artifact_changed"]


def test_a_folder_that_is_gone_with_all_below_it_is_named_first(
    tracked: Recorded, weights: Path, tmp_path: Path
) -> None:
    with mlflow.start_run():
        mlflow.log_text("weights", "model/others.txt")
    weights.unlink()
    assert notes(tracked) == []
    weights.with_name("more.txt").unlink()
    assert notes(tracked) == []
    (tmp_path / "artifacts").rename(tmp_path / "away")
    assert tracked.kinds() == ["artifact_missing"] * 3
    (note,) = notes(tracked)
    assert isinstance(note, Remark)
    assert note.text == (
        f"nothing that was recorded below {tmp_path / 'artifacts'} is there; is it mounted?"
    )
    (tmp_path / "artifacts").mkdir()
    assert [note.text for note in notes(tracked) if isinstance(note, Remark)] == [note.text]
    (tmp_path / "artifacts").rmdir()
    (tmp_path / "away").rename(tmp_path / "artifacts")
    assert notes(tracked) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with a name")
def test_a_pipe_is_named_and_waited_for_by_nobody(tracked: Recorded, weights: Path) -> None:
    weights.unlink()
    os.mkfifo(weights)
    os.mkfifo(weights.with_name("registered_model_meta"))
    assert sorted(tracked.kinds()) == ["artifact_changed", "artifact_unexpected"]


@pytest.mark.parametrize(
    "text",
    [
        "model_name: m\nmodel_version: '1'\n" + "#" * 1_024,
        "model_name: m\nmodel_version: [1, 2]\n",
        "model_name: {a: b}\nmodel_version: 1\n",
    ],
)
def test_what_carries_more_than_a_loading_note_is_named(
    tracked: Recorded, weights: Path, text: str
) -> None:
    weights.with_name("registered_model_meta").write_text(text)
    assert tracked.kinds() == ["artifact_unexpected"]


def test_a_file_that_cannot_be_read_keeps_no_other_from_being_compared(
    tracked: Recorded, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights.with_name("more.txt").write_text("x")
    real = os.open

    def refuse(file: str | Path, *args: int, **names: int) -> int:
        # Tests may run as root, whom no mode of a file keeps out.
        if Path(file) == weights:
            raise PermissionError(13, "Permission denied")
        return real(file, *args, **names)

    monkeypatch.setattr(os, "open", refuse)
    assert tracked.kinds() == ["artifact_changed"]
    (left_out,) = notes(tracked)
    assert isinstance(left_out, Unchecked)
    assert left_out.subject.endswith("/artifact model/weights.txt")


def test_a_folder_stands_for_no_file(weights: Path) -> None:
    assert StoredFiles(Spot(str(weights.parent.parent))).find("model") is None


def test_files_older_than_adoption_are_counted_and_are_no_finding(recorded: Recorded) -> None:
    uri = recorded.uri.removeprefix("chain+")
    store: Any = SqlAlchemyStore(uri, str(recorded.file.with_name("artifacts")))
    folder = Path(store.create_run("0", "me", 1, [], "old").info.artifact_uri)
    folder.mkdir(parents=True)
    (folder / "old.txt").touch()
    mlflow_chain.wrap(store, recorded.client)
    assert recorded.findings() == []
    (left_out,) = notes(recorded)
    assert isinstance(left_out, Remark)
    assert left_out.subject == "1 file"
    assert "older than the adoption" in left_out.text


def test_a_recorded_file_without_a_digest_is_counted(
    tracked: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlflow_chain.files.logged.is_unchanged", lambda *given: False)
    with mlflow.start_run():
        mlflow.log_text("weights", "weights.txt")
    assert tracked.findings() == []
    (left_out,) = notes(tracked)
    assert isinstance(left_out, Unchecked)
    assert "wait to be read back" in left_out.reason
    for wish in tracked.client.folder.read_back.iterdir():
        wish.unlink()
    (left_out,) = notes(tracked)
    assert isinstance(left_out, Remark)
    assert left_out.subject == "1 file"
    assert "changed while being recorded" in left_out.text


def test_an_inserted_run_does_not_take_the_files_of_another(
    tracked: Recorded, weights: Path
) -> None:
    weights.with_name("added").touch()
    tracked.edit(
        "insert into runs (run_uuid, name, status, experiment_id, user_id, start_time, "
        "lifecycle_stage, artifact_uri) select 'f', name, status, experiment_id, user_id, "
        "start_time, lifecycle_stage, artifact_uri from runs"
    )
    assert sorted(tracked.kinds()) == ["artifact_unexpected", "run_unexpected"]
