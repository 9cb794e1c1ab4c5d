"""The how-to of Airflow works as it is written: its shell blocks are run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.airflow_home import AirflowHome, relayed_events
from tests.integration.airflow.model import QuickTeam, make_model
from tests.shell_pages import run_shell_blocks


@pytest.mark.timeout(400)
def test_a_first_dag_promotes_and_everything_holds(
    airflow_home: AirflowHome,
    founded_home: Path,
    tmp_path: Path,
    forking_programs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    team = QuickTeam(tmp_path)
    team.found_from(founded_home)
    make_model(team)
    for name in ("ada", "bob", "carol"):
        own = tmp_path / "people" / name
        own.mkdir(parents=True)
        shutil.copy(team.key(name), own / "key.json")
        (own / "password").write_text(team.password)
    for variable, value in team.variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("AIRFLOW_HOME", str(airflow_home.folder))
    monkeypatch.setenv("AIRFLOW__LOGGING__LOGGING_LEVEL", "INFO")  # as Airflow comes
    shown, connection, _, promoted, holds = run_shell_blocks(
        "how-to/airflow.md", tmp_path, forking_programs
    )
    assert "mlops-chain" in shown
    assert "Connection success!" in connection
    assert "2 of 2 approvals" in promoted
    assert "version promoted" in promoted
    assert "It holds." in holds
    types = {event.type for event in relayed_events(team.home, relay=False)}
    assert {"task_instance.succeeded", "dag_run.succeeded", "dag_version.recorded"} <= types
