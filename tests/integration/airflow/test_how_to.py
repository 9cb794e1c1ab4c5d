"""The how-to of Airflow works as it is written: its shell blocks are run."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

from chain_client.client import ChainClient
from chain_client.config import Settings
from tests.airflow_home import AirflowHome, relayed_events
from tests.integration.airflow.embedded_team import EmbeddedTeam
from tests.shell_pages import run_shell_blocks


def register_model(team: EmbeddedTeam) -> None:
    """A model `fraud` with a version that has files, in a recorded database."""
    import mlflow_chain

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own imports warn about its own dependencies
        from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

    files = team.folder / "files"
    files.mkdir()
    (files / "model.txt").write_text("weights")
    client = ChainClient.open(Settings(home=team.home, relay_autostart=False))
    plain: Any = SqlAlchemyStore
    store: Any = mlflow_chain.wrap(plain(f"sqlite:///{team.folder}/mlflow.db"), client)
    store.create_registered_model("fraud")
    store.create_model_version("fraud", files.as_uri())
    store.engine.dispose()
    client.recorder.close()
    client.close()


@pytest.mark.timeout(400)
def test_a_first_dag_promotes_and_everything_holds(
    airflow_home: AirflowHome,
    founded_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    team = EmbeddedTeam(tmp_path)
    team.found_from(founded_home)
    register_model(team)
    for name in ("ada", "bob", "carol"):
        (tmp_path / "people" / name).mkdir(parents=True)
        shutil.copy(team.key(name), tmp_path / "people" / name / "key.json")
        password = tmp_path / f"{name}.password"
        shutil.copy(password, tmp_path / "people" / name / "password")
    for variable, value in team.variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("AIRFLOW_HOME", str(airflow_home.folder))
    shown, connection, _, promoted, holds = run_shell_blocks("how-to/airflow.md", tmp_path)
    assert "mlops-chain" in shown
    assert "Connection success!" in connection
    assert "2 of 2 approvals" in promoted
    assert "version promoted" in promoted
    assert "It holds." in holds
    types = {event.type for event in relayed_events(team.home)}
    assert {"task_instance.succeeded", "dag_run.succeeded", "dag_version.recorded"} <= types
