"""Which Airflow is read, and that reading makes nothing and tells nothing it should not."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from airflow_chain.reading.database import read_database
from chain_client.errors import HostUnavailable
from chain_client.hosts import StoreBinding
from tests.airflow_home import AirflowHome


def binding(folder: Path, name: str = "airflow") -> StoreBinding:
    """As the scheduler's listener notes it."""
    return StoreBinding(name, "airflow", f"airflow://{folder}")


def put_run(airflow: AirflowHome, run_id: str) -> None:
    """A row that tells one database from another."""
    with contextlib.closing(sqlite3.connect(airflow.database)) as database, database:
        database.execute(
            "insert into dag_run (dag_id, run_id, run_type, state, run_after, clear_number, "
            "span_status) values ('d', ?, 'manual', 'success', '2026-11-20', 0, 'ended')",
            (run_id,),
        )


def runs(store: StoreBinding) -> list[str]:
    """Ids of the runs that are read."""
    return [line[1]["run_id"] for line in read_database(store) if line[0] == "dag_run"]


def test_the_airflow_of_the_environment_is_read_unless_it_has_another_name(
    airflow_template: AirflowHome,
    airflow_home: AirflowHome,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = airflow_template.copied(tmp_path / "other")
    put_run(airflow_home, "here")
    put_run(other, "there")
    monkeypatch.setenv("AIRFLOW_HOME", str(airflow_home.folder))
    assert runs(binding(other.folder)) == ["here"]
    assert runs(binding(other.folder, "prod")) == ["there"]


def test_a_folder_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HostUnavailable, match=r"nowhere.* of the Airflow that recorded here"):
        runs(binding(tmp_path / "nowhere"))
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "unknown"))
    with pytest.raises(HostUnavailable, match=r"unknown.* that the environment names"):
        runs(binding(tmp_path))


def test_in_a_folder_without_an_airflow_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:////{tmp_path}/secret-name.db"
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", url)
    folder = tmp_path / "empty"
    folder.mkdir()
    with pytest.raises(HostUnavailable, match="FileNotFoundError") as raised:
        runs(binding(folder))
    assert "secret-name" not in str(raised.value)
    assert [path.name for path in tmp_path.rglob("*.db")] == []
    assert not (folder / "airflow.cfg").exists()
