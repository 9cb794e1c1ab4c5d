"""Files and sources that somebody named so that they can't be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from chain_client.events import OutcomeStatus, Subject, new_event_id
from chain_client.wishes import Wishes
from mlflow_chain.host import MlflowHost
from tests.recorded_database import Recorded

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def test_of_a_folder_with_a_dead_link_the_rest_is_recorded(
    tracked: Recorded, tmp_path: Path
) -> None:
    folder = tmp_path / "logged"
    folder.mkdir()
    names = [f"file-{number}" for number in range(30)]
    for name in names[:15]:
        (folder / name).write_text(name)
    (folder / "m").symlink_to("/nowhere")
    for name in names[15:]:
        (folder / name).write_text(name)
    with mlflow.start_run() as run, pytest.raises(Exception, match="No such file"):
        mlflow.log_artifacts(str(folder))
    (event,) = (e for e in tracked.events() if e.type == "artifacts.logged")
    assert event.payload["unreadable"] == ["m"]
    (binding,) = tracked.client.folder.bindings()
    (answer,) = MlflowHost().resolve(binding, [event])
    logged = [
        Path(file.path).name for file in mlflow.MlflowClient().list_artifacts(run.info.run_id)
    ]
    if answer.status is OutcomeStatus.PARTLY_APPLIED:
        # MLflow stops at the link, wherever in the folder's order it comes.
        assert answer.detail is not None
        files: Any = answer.detail["files"]
        assert sorted(path for path, _, _ in files) == sorted(logged)
    else:
        whole = answer.status is OutcomeStatus.RECOVERED
        assert sorted(logged) == (sorted(names) if whole else [])
    assert tracked.kinds() == []


def test_a_source_that_is_no_uri_stops_neither_reading_back_nor_verification(
    tracked: Recorded,
) -> None:
    client = mlflow.MlflowClient()
    client.create_registered_model("m")
    with pytest.raises(ValueError, match="Invalid IPv6"):
        # So it is in doubt, and what it asked for is looked at.
        client.create_model_version("m", "http://[evil/y")
    (binding,) = tracked.client.folder.bindings()
    (wanted,) = binding.waiting
    readings = MlflowHost().read_back(binding, wanted, lambda *about: iter(()))
    assert all(reading.read is None for reading in readings)
    assert tracked.kinds() == []


def test_a_call_that_was_refused_has_nothing_read_back(tracked: Recorded) -> None:
    with pytest.raises(MlflowException, match="not found"):
        mlflow.MlflowClient().create_model_version("nobody", "/tmp")
    assert Wishes(tracked.client.folder.read_back).read() == []


def test_files_that_nobody_can_look_at_keep_no_other_event_in_doubt(tracked: Recorded) -> None:
    with mlflow.start_run():
        mlflow.log_param("depth", 3)
        mlflow.log_text("hello", "a.txt")
    (file,) = (e for e in tracked.events() if e.type == "artifacts.logged")
    away = replace(
        file,
        event_id=new_event_id(),
        subject=Subject(file.subject.store, file.subject.kind, "mlflow-artifacts:/0/r"),
    )
    (param,) = (e for e in tracked.events() if e.type == "run.param_logged")
    (binding,) = tracked.client.folder.bindings()
    answers = MlflowHost().resolve(binding, [away, param, file])
    assert [answer.event_id for answer in answers] == [param.event_id, file.event_id]
