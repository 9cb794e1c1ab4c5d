"""Whose files a registered version has, and versions with files that nobody recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from chain_client.hosts import Scope, Unchecked
from mlflow_chain.host import MlflowHost
from tests.recorded_database import Recorded

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def unchecked(recorded: Recorded, **scope: str) -> list[str]:
    """What could not be compared."""
    (binding,) = recorded.client.folder.bindings()
    found = MlflowHost().compare(binding, recorded.events(), Scope(**scope), lambda *step: None)
    return [item.subject for item in found if isinstance(item, Unchecked)]


def test_the_files_of_a_copy_of_a_copy_are_compared(tracked: Recorded, tmp_path: Path) -> None:
    client = MlflowClient()
    model = mlflow.initialize_logged_model("net")
    (tmp_path / "weights.bin").write_bytes(b"weights")
    client.log_model_artifact(model.model_id, str(tmp_path / "weights.bin"))
    mlflow.finalize_logged_model(model.model_id, "READY")
    client.create_registered_model("first")
    client.create_model_version("first", model.model_uri)
    client.set_registered_model_alias("first", "champion", "1")
    client.copy_model_version("models:/first/1", "second")
    client.copy_model_version("models:/second/1", "third")
    Path(model.artifact_location, "weights.bin").write_bytes(b"Weights")
    for name in ("first", "second", "third"):
        assert tracked.kinds(model=name) == ["artifact_changed"], name
        assert unchecked(tracked, model=name) == []
    assert unchecked(tracked) == []


def test_the_files_of_a_run_are_found_by_its_id_and_by_its_folder(
    tracked: Recorded, plain_run: Callable[[], str], tmp_path: Path
) -> None:
    run_id = plain_run()
    client = MlflowClient()
    root = client.get_run(run_id).info.artifact_uri
    for name, source in [("id", f"runs:/{run_id}/model"), ("folder", f"{root}/model")]:
        client.create_registered_model(name)
        client.create_model_version(name, source)
    (file,) = tmp_path.rglob("weights.txt")
    file.write_bytes(b"Weights")
    for name in ("id", "folder"):
        assert tracked.kinds(model=name) == ["artifact_changed"], name
    assert unchecked(tracked) == []


def test_versions_whose_files_nobody_recorded_are_not_called_good(
    tracked: Recorded, tmp_path: Path
) -> None:
    client = MlflowClient()
    (tmp_path / "elsewhere").mkdir()
    client.create_registered_model("m")
    client.create_model_version("m", str(tmp_path / "elsewhere"))
    client.create_model_version("m", "models:/m/1")
    assert tracked.findings() == []
    assert unchecked(tracked) == unchecked(tracked, model="m")
    assert sorted(unchecked(tracked)) == ["model m/version 1", "model m/version 2"]


def test_versions_that_name_each_other_are_followed_no_further(
    tracked: Recorded, tmp_path: Path
) -> None:
    client = MlflowClient()
    client.create_registered_model("m")
    client.create_model_version("m", str(tmp_path / "elsewhere"))
    tracked.edit("update model_versions set source = 'models:/m/1'")
    assert tracked.kinds() == ["version_field_changed"]
    assert unchecked(tracked) == ["model m/version 1"]


def test_a_prompt_has_no_files(tracked: Recorded) -> None:
    mlflow.genai.register_prompt("greeting", "Hello {{name}}")
    for thread in threading.enumerate():
        if thread.name.startswith("link_prompt"):
            thread.join()
    assert tracked.findings() == []
    assert unchecked(tracked) == []
