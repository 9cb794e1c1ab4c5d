"""A person gives a state to a task instance or a DAG run: who it was is recorded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from chain_client.events import Event
from chain_client.hosts import Scope
from tests.airflow_home import AirflowHome, open_chain, relayed_events

_DAG = """
from airflow.sdk import dag, task

@dag(schedule=None, catchup=False)
def shop():
    @task
    def one(): pass

    @task
    def two(): pass

    one(), two()

shop()
"""


@pytest.fixture(scope="module")
def home(founded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(founded_home, tmp_path_factory.mktemp("marks") / "home"))


@pytest.fixture(scope="module")
def asked(
    airflow_template: AirflowHome, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("airflow")
    airflow = airflow_template.copied(folder / "airflow")
    airflow.put_dag("shop.py", _DAG)
    configured = airflow.configured(home=home).with_variables(
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS=False,
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS="olga:admin,ada:admin,viewer:viewer",
        PYTHONPATH=Path(__file__).parents[3],
    )
    result = folder / "result.json"
    configured.run_python(Path(__file__).with_name("marking_runner.py"), str(result))
    found: dict[str, Any] = json.loads(result.read_text())
    owners = airflow.rows("select owner from log where event like 'patch%' order by id")
    return {**found, "owners": [owner for (owner,) in owners], "events": relayed_events(home)}


def _marks(asked: dict[str, Any], kind: str) -> list[Event]:
    return [event for event in asked["events"] if event.type == f"{kind}.marked"]


def test_every_request_is_answered_as_without_us(asked: dict[str, Any]) -> None:
    assert asked["answers"] == [200] * 5 + [401, 403, 403] + [200] * 4


def test_who_marked_a_task_is_recorded_as_authenticated(asked: dict[str, Any]) -> None:
    run = asked["runs"][0]
    found = [
        (event.subject.id, event.payload["state"], event.actor.authenticated, event.actor.claimed)
        for event in _marks(asked, "task_instance")
        if event.subject.id.startswith(f"shop/{run}/")
    ]
    assert found[:2] == [
        (f"shop/{run}/one/-1", "success", "olga", None),
        (f"shop/{run}/two/-1", "failed", "ada", None),
    ]


def test_of_two_users_in_one_request_the_one_is_recorded_whom_airflow_let_through(
    asked: dict[str, Any],
) -> None:
    recorded = [event.actor.authenticated for event in _marks(asked, "task_instance")][:3]
    assert recorded == asked["owners"][:3]


def test_who_marked_a_dag_run_is_recorded_with_the_states_it_left(asked: dict[str, Any]) -> None:
    first, second = _marks(asked, "dag_run")
    assert [event.subject.id for event in (first, second)] == [
        f"shop/{run}" for run in asked["runs"][:2]
    ]
    assert [first.payload["state"], second.payload["state"]] == ["failed", "success"]
    assert [first.actor.authenticated, second.actor.authenticated] == ["ada", "olga"]
    states = second.payload["task_instances"]
    assert isinstance(states, list)
    assert len(states) == 2
    assert second.payload["observer"]["component"] == "api_server"  # type: ignore[index, call-overload]


def test_a_user_that_cant_be_found_out_is_nobody_and_the_mark_is_recorded(
    asked: dict[str, Any],
) -> None:
    run = asked["runs"][2]
    found = [
        (event.subject.id, event.actor.authenticated)
        for event in _marks(asked, "task_instance")
        if event.subject.id.startswith(f"shop/{run}/")
    ]
    assert found == [(f"shop/{run}/one/-1", None), (f"shop/{run}/two/-1", None)]


def test_a_fault_in_the_hook_leaves_the_mark_alone(asked: dict[str, Any]) -> None:
    run = asked["runs"][3]
    assert not [event for event in asked["events"] if event.subject.id.startswith(f"shop/{run}")]


def test_verification_finds_only_the_mark_that_could_not_be_recorded(
    asked: dict[str, Any], home: Path
) -> None:
    client = open_chain(home)
    try:
        report = client.verify(Scope())
    finally:
        client.close()
    found = [(finding.kind, finding.subject) for finding in report.findings]
    assert found == [("dag_run_unrecorded", f"dag shop/run {asked['runs'][3]}")]
