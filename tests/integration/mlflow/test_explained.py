"""A database put back from a backup, and a clean-up past us: named, explained, and going on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

from tests.integration.mlflow.conftest import _forget_stores
from tests.recorded_database import Recorded

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
Run = Callable[..., tuple[int, str, str]]


def verify(run: Run) -> tuple[int, list[tuple[str, str]], list[dict[str, Any]]]:
    """Exit code, kind and subject of each finding, and what is explained."""
    code, out, err = run("verify", "--json")
    document = json.loads(out)
    unchecked = [check for check in document["checks"] if not check["ok"]]
    assert code != 2, (err, unchecked)
    found = [(finding["kind"], finding["subject"]) for finding in document["findings"]]
    return code, found, document["explained"]


def explain(run: Run, kind: str) -> int:
    code, out, err = run("explain", "--kind", kind, "--reason", "as told", "--yes", "--json")
    assert code == 0, err
    return len(json.loads(out)["explained"])


def dispose() -> None:
    """Let go of the database's file, as a server does that is stopped."""
    from mlflow.tracking._tracking_service.utils import _get_store

    _get_store()._dispose_engine()
    _forget_stores()


@pytest.fixture
def made(tracked: Recorded, plain_run: Callable[[], str], mlops_chain: Run) -> Recorded:
    """A database with runs and a model of one version, the tracking URI pointing to it."""
    registry = MlflowClient()
    registry.create_registered_model("m", tags={"kept": "1"})
    run_id = plain_run()
    registry.create_model_version("m", f"runs:/{run_id}/model", run_id=run_id)
    registry.set_registered_model_alias("m", "champion", "1")
    registry.set_tag(run_id, "stage", "dev")
    return tracked


def test_a_restored_backup_is_explained_and_recording_goes_on(
    made: Recorded, plain_run: Callable[[], str], tmp_path: Path, mlops_chain: Run
) -> None:
    registry = MlflowClient()
    [kept] = registry.search_runs(["0"])
    dispose()
    backup = tmp_path / "backup.db"
    shutil.copy(made.file, backup)

    lost_run = plain_run()
    registry = MlflowClient()
    registry.create_experiment("lost")
    registry.create_model_version(
        "m", f"runs:/{lost_run}/model", run_id=lost_run, tags={"of": "lost"}
    )
    registry.set_registered_model_alias("m", "champion", "2")
    registry.set_tag(kept.info.run_id, "stage", "prod")
    registry.log_metric(kept.info.run_id, "loss", float("nan"), step=2)
    registry.create_registered_model("lost model")
    made.client.recorder.close()
    assert verify(mlops_chain)[0] == 0
    dispose()
    shutil.copy(backup, made.file)

    code, found, _ = verify(mlops_chain)
    assert code == 1
    assert {
        ("run_missing", f"run {lost_run}"),
        ("version_missing", "model m/version 2"),
        ("alias_changed", "model m/alias champion"),
        ("tag_changed", f"run {kept.info.run_id}/tag stage"),
        ("metric_missing", f"run {kept.info.run_id}/metric loss"),
        ("model_missing", "model lost model"),
    } <= set(found)
    assert "experiment_missing" in {kind for kind, _ in found}
    assert explain(mlops_chain, "restored_backup") == len(found)
    code, found, explained = verify(mlops_chain)
    assert (code, found) == (0, [])
    assert {e["explanation"]["kind"] for e in explained} == {"restored_backup"}

    # Numbers are minted again, and values set again.
    registry = MlflowClient()
    again = plain_run()
    assert registry.create_experiment("again") == "1"
    version = registry.create_model_version("m", f"runs:/{again}/model", run_id=again)
    assert int(version.version) == 2
    registry.set_registered_model_alias("m", "champion", "2")
    registry.set_tag(kept.info.run_id, "stage", "prod")
    registry.log_metric(kept.info.run_id, "loss", 0.25, step=3)
    registry.create_registered_model("lost model")
    made.client.recorder.close()
    code, found, _ = verify(mlops_chain)
    assert (code, found) == (0, [])
    relay = made.client.relay()
    relay.start()
    relay.drain(patience_s=20)
    relay.close()
    code, found, _ = verify(mlops_chain)
    assert (code, found) == (0, [])

    # What is done to it later shows, also where it looks like what was explained.
    made.edit("update registered_model_aliases set version = 1")
    made.edit("update tags set value = 'dev' where key = 'stage'")
    made.edit("update params set value = '9' where run_uuid = ?", again)
    code, found, _ = verify(mlops_chain)
    assert code == 1
    assert set(found) == {
        ("alias_changed", "model m/alias champion"),
        ("tag_changed", f"run {kept.info.run_id}/tag stage"),
        ("param_changed", f"run {again}/param depth"),
    }
    made.edit("delete from model_versions where version = 2")
    assert ("version_missing", "model m/version 2") in verify(mlops_chain)[1]


def test_a_clean_up_through_the_plain_uri_is_explained(
    made: Recorded, plain_run: Callable[[], str], mlops_chain: Run
) -> None:
    doomed = plain_run()
    mlflow.delete_run(doomed)
    made.client.recorder.close()
    assert verify(mlops_chain)[0] == 0
    dispose()
    subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "mlflow", "gc"),
            *("--backend-store-uri", f"sqlite:///{made.file}", "--run-ids", doomed),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    code, found, _ = verify(mlops_chain)
    assert (code, found) == (1, [("run_missing", f"run {doomed}")])
    assert explain(mlops_chain, "gc") == 1
    assert verify(mlops_chain)[:2] == (0, [])
    plain_run()
    made.client.recorder.close()
    assert verify(mlops_chain)[:2] == (0, [])
    made.edit("delete from runs where run_uuid in (select run_uuid from params limit 1)")
    code, found, _ = verify(mlops_chain)
    assert code == 1
    assert ("run_missing", f"run {doomed}") not in found
