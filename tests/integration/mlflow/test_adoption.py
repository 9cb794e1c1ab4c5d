"""Whose database it is: baseline, other homes, missing homes, servers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

import mlflow_chain
from chain_client.client import ChainClient
from chain_client.config import Settings
from tests.recorded_database import Recorded


def plain_stores(recorded: Recorded) -> tuple[Any, Any]:
    uri = recorded.uri.removeprefix("chain+")
    return SqlAlchemyStore(uri, str(recorded.file.with_name("artifacts"))), RegistryStore(uri)


def fill(tracking: Any, registry: Any) -> str:
    """History from before."""
    run_id: str = tracking.create_run("0", "me", 1, [RunTag("a", "1")], "old").info.run_id
    tracking.log_param(run_id, Param("p", "1"))
    for step in range(12):
        tracking.log_metric(run_id, Metric("loss", float(step), step, step))
    gone = tracking.create_run("0", "me", 1, [], "gone").info.run_id
    tracking.delete_run(gone)
    tracking.create_logged_model("0", "net", run_id)
    dead = tracking.create_logged_model("0", "dead", run_id)
    tracking.delete_logged_model(dead.model_id)
    registry.create_registered_model("m")
    registry.create_model_version("m", "/x", tags=[])
    registry.set_registered_model_alias("m", "champion", 1)
    return run_id


def test_what_was_there_before_becomes_a_baseline(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlflow_chain.baseline.POINTS_A_NOTE", 5)
    tracking, registry = plain_stores(recorded)
    run_id = fill(tracking, registry)
    mlflow_chain.wrap(tracking, recorded.client)
    assert recorded.findings() == []
    tracking.log_metric(run_id, Metric("loss", 77.0, 77, 77))
    tracking.set_tag(run_id, RunTag("a", "2"))
    assert recorded.findings() == []
    assert recorded.edit("update metrics set value = 5 where step = 3") == 1
    assert recorded.kinds() == ["metric_changed"]


def test_tracking_and_registry_of_one_database_share_its_baseline(recorded: Recorded) -> None:
    tracking, registry = plain_stores(recorded)
    mlflow_chain.wrap(registry, recorded.client)
    mlflow_chain.wrap(tracking, recorded.client)
    adopted = [event for event in recorded.events() if event.type == "store.adopted"]
    assert len(adopted) == 1
    assert len(recorded.client.folder.bindings()) == 1


def test_an_interrupted_adoption_is_done_again(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking, registry = plain_stores(recorded)
    fill(tracking, registry)

    def fail(self: object, *args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mlflow_chain.reader.Reader.registered_model_names", fail)
        with pytest.raises(KeyboardInterrupt):
            mlflow_chain.wrap(tracking, recorded.client)
    registry.delete_registered_model_alias("m", "champion")
    mlflow_chain.wrap(tracking, recorded.client)
    assert recorded.findings() == []


def test_of_several_that_come_at_once_one_adopts(recorded: Recorded) -> None:
    stores = [plain_stores(recorded)[0] for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda store: mlflow_chain.wrap(store, recorded.client), stores))
    assert [e.type for e in recorded.events()].count("store.adopted") == 1


def test_a_home_of_another_deployment_is_refused(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow_chain.wrap(plain_stores(recorded)[0], recorded.client)
    other = Settings(home=tmp_path / "other", relay_autostart=False)
    stranger = ChainClient.open(other, create=True)
    with pytest.raises(MlflowException, match="belongs to deployment") as caught:
        mlflow_chain.wrap(plain_stores(recorded)[0], stranger)
    assert caught.value.error_code == "INVALID_STATE"
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(other.home))
    with pytest.raises(MlflowException, match="MLOPS_CHAIN_HOME"):
        mlflow_chain.wrap(plain_stores(recorded)[0])


def test_a_missing_home_is_never_replaced_by_a_new_one(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow_chain.wrap(plain_stores(recorded)[0], recorded.client)
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(tmp_path / "lost"))
    with pytest.raises(MlflowException, match="there is no home"):
        mlflow_chain.wrap(plain_stores(recorded)[0])
    assert not (tmp_path / "lost").exists()


SCRIPT = """
import warnings
warnings.simplefilter("ignore")
import sys
import mlflow
from mlflow.tracking._tracking_service.utils import _get_store
from mlflow.exceptions import MlflowException
try:
    _get_store(sys.argv[1])
except MlflowException as exc:
    print(exc)
"""


@pytest.mark.parametrize("is_worker", [True, False])
def test_a_server_never_makes_a_home(made_database: Path, tmp_path: Path, is_worker: bool) -> None:
    shutil.copy(made_database, tmp_path / "mlflow.db")
    environ = {"PATH": "/usr/bin:/bin", "MLOPS_CHAIN_HOME": str(tmp_path / "none")}
    if is_worker:
        environ["_MLFLOW_SERVER_FILE_STORE"] = "chain+sqlite:///mlflow.db"
    script = tmp_path / "mlflow"
    script.write_text(SCRIPT)
    arguments = [sys.executable, str(script), "chain+sqlite:///mlflow.db"]
    run = subprocess.run(
        [*arguments, *([] if is_worker else ["server"])],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert "there is no home" in run.stdout
    assert not (tmp_path / "none").exists()
