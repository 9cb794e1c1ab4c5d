"""A real deployment of Airflow promotes a model while tasks, scheduler and chain die around it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from chain_client.events import Event
from tests.airflow_deployment import Deployment, running_airflow
from tests.airflow_home import AirflowHome, relayed_events
from tests.integration.airflow.team import Team, founded_team
from tests.postgres import Postgres

PATIENCE_S = 300
"""For each step; on a quiet machine it takes seconds."""

TROUBLED = Path(__file__).with_name("dags") / "troubled.py"
PROMOTING = Path(__file__).parents[3] / "examples/dags/train_and_promote.py"
MODEL = "wine-quality"


@pytest.mark.timeout(1500)
def test_a_model_is_promoted_and_all_is_recorded_while_tasks_scheduler_and_chain_die(
    airflow_template: AirflowHome, postgres: Postgres, tmp_path: Path
) -> None:
    folder = tmp_path / "airflow"
    changes = {"mlops_chain": {"home": tmp_path / "team" / "home"}}
    with founded_team(tmp_path / "team") as team:
        variables = {**team.variables, "AIRFLOW_CONN_MLOPS_CHAIN_DEFAULT": team.connection}
        with running_airflow(airflow_template, folder, postgres, changes, **variables) as airflow:
            airflow.add("relay", "-m", "chain_client.cli", "relay")
            _assert_each_is_a_process_of_its_own(airflow)
            story = _Story(airflow, team, tmp_path / "trouble")
            story.begin()
            story.kill_a_task()
            story.mark_a_task_by_hand()
            story.approve("bob")
            story.restart_the_scheduler()
            story.take_the_chain_away_for_a_while()
            story.approve("carol")
            story.end()
        team.run("relay", "--once")
        found = _Found(team, story)
        found.assert_how_every_task_ended_is_in_the_log()
        found.assert_each_event_is_there_once()
        found.assert_what_became_of_the_killed_the_stuck_and_the_run_again()
        found.assert_the_alias_moved()
        found.assert_verify_finds_nothing()
        found.assert_lineage_tells_the_way()
        found.assert_verify_names_a_task_event_that_was_removed()


def _assert_each_is_a_process_of_its_own(airflow: Deployment) -> None:
    pids = airflow.pids()
    assert pids.keys() == {"api-server", "scheduler", "dag-processor", "triggerer", "relay"}
    assert len({*pids.values(), os.getpid()}) == len(pids) + 1
    assert {pid: os.getsid(pid) for pid in pids.values()} == {pid: pid for pid in pids.values()}


def _assert_the_executor_runs_it_in_processes_of_its_own(pid: int, airflow: Deployment) -> None:
    """LocalExecutor's worker stands between the scheduler and the process of the task."""
    above = [process.pid for process in psutil.Process(pid).parents()]
    between = above[: above.index(airflow.pids()["scheduler"])]
    assert between
    assert not {pid, *between} & {*airflow.pids().values(), os.getpid()}


@dataclass
class _Story:
    """What happens: a run of each DAG at the same time."""

    airflow: Deployment
    team: Team
    folder: Path
    runs: dict[str, str] = field(default_factory=dict)
    states: dict[str, dict[str, tuple[str, int]]] = field(default_factory=dict)
    """Of the tasks at the end, by DAG: state and try."""

    def begin(self) -> None:
        self.folder.mkdir()
        files = (PROMOTING, TROUBLED)
        for file in files:
            self.airflow.home.put_dag(file.name, file)
        ada, conf = self.airflow.ada, {"folder": str(self.folder)}
        self.airflow.wait(lambda: all(ada.knows(file.stem) for file in files), PATIENCE_S)
        self.runs["train_and_promote"] = ada.start("train_and_promote")
        self.runs["troubled"] = ada.start("troubled", conf)

    def kill_a_task(self) -> None:
        pid = self._pid("killed")
        _assert_the_executor_runs_it_in_processes_of_its_own(pid, self.airflow)
        os.kill(pid, signal.SIGKILL)
        self._wait_for("troubled", "killed", "failed")

    def approve(self, name: str) -> None:
        """By the command line, while the sensor waits in the triggerer."""
        self._wait_for("train_and_promote", "wait_for_approval", "deferred")
        self.airflow.wait(lambda: len(self.team.waiting()) == 1, PATIENCE_S)
        [waiting] = self.team.waiting()
        self.team.approve(waiting["proposal"], name)

    def mark_a_task_by_hand(self) -> None:
        pid = self._pid("stuck")
        self.airflow.olga.mark("troubled", self.runs["troubled"], "stuck", "success")
        self.airflow.wait(lambda: not _is_alive(pid), PATIENCE_S)

    def restart_the_scheduler(self) -> None:
        """It dies with the tasks that it runs, as with its machine."""
        pid = self._pid("outlives")
        self.airflow.scheduler.kill()
        assert not _is_alive(pid)
        (self.folder / "outlives.pid").unlink()
        self.airflow.scheduler.start()
        assert self._pid("outlives") != pid

    def take_the_chain_away_for_a_while(self) -> None:
        """Until the triggerer has seen it, and a DAG run has ended meanwhile."""
        before = self._missed()  # it says so once for each outage
        self.team.stop_node()
        (self.folder / "outlives.go").touch()
        self._wait_for_end("troubled")
        self.airflow.wait(lambda: self._missed() > before, PATIENCE_S)
        self.team.start_node()

    def _missed(self) -> int:
        """How often the triggerer has said so."""
        logs = (self.airflow.home.folder / "logs").rglob("*trigger*.log")
        return sum(log.read_text().count("can't look for the approval now") for log in logs)

    def end(self) -> None:
        for dag_id in self.runs:
            assert self._wait_for_end(dag_id) == "success", self.airflow.logs()
            query = "select task_id, state, try_number from task_instance where dag_id = :dag_id"
            rows = self.airflow.rows(query, dag_id=dag_id)
            self.states[dag_id] = {task_id: (state, tried) for task_id, state, tried in rows}

    def _wait_for_end(self, dag_id: str) -> str:
        def state() -> str:
            return self.airflow.ada.run_state(dag_id, self.runs[dag_id])

        self.airflow.wait(lambda: state() not in ("queued", "running"), PATIENCE_S)
        return state()

    def _wait_for(self, dag_id: str, task_id: str, state: str) -> None:
        def states() -> dict[str, str | None]:
            return self.airflow.ada.tasks(dag_id, self.runs[dag_id])

        self.airflow.wait(lambda: states()[task_id] == state, PATIENCE_S)

    def _pid(self, task_id: str) -> int:
        """Of a task, once it waits."""
        file = self.folder / f"{task_id}.pid"
        self.airflow.wait(file.exists, PATIENCE_S)
        return int(file.read_text())


class _Found:
    """What is known when everything has ended."""

    def __init__(self, team: Team, story: _Story) -> None:
        self._team, self._story = team, story
        self._events = relayed_events(team.home, relay=False)

    def assert_how_every_task_ended_is_in_the_log(self) -> None:
        for dag_id, states in self._story.states.items():
            [end] = self._of_dag_run(dag_id, "succeeded")
            listed: Any = end.payload["task_instances"]
            found = {each["task_id"]: (each["state"], each["try_number"]) for each in listed}
            assert found == states
        assert set(self._story.states["train_and_promote"].values()) == {("success", 1)}

    def assert_each_event_is_there_once(self) -> None:
        tasks = [event for event in self._events if event.type.startswith("task_instance.")]
        tries = Counter((e.type, e.subject.id, e.payload["ti_id"]) for e in tasks)
        assert set(tries.values()) == {1}
        for dag_id in self._story.runs:
            assert len(self._of_dag_run(dag_id, "started")) == 1

    def assert_what_became_of_the_killed_the_stuck_and_the_run_again(self) -> None:
        assert self._story.states["troubled"] == {
            "killed": ("failed", 1),
            "stuck": ("success", 1),
            "outlives": ("success", 2),
            "afterwards": ("success", 1),
        }
        assert self._told("killed") == ["started"]  # nobody could say more but the end of the run
        assert self._told("stuck") == ["started", "marked"]
        assert self._told("outlives") == ["started", "started", "succeeded"]
        [marked] = [e for e in self._of_task("stuck") if e.type == "task_instance.marked"]
        assert marked.actor.authenticated == "olga"
        assert marked.payload["state"] == "success"
        observer: Any = marked.payload["observer"]
        assert observer["component"] == "api_server"

    def assert_the_alias_moved(self) -> None:
        database = self._team.folder / "mlflow.db"
        with contextlib.closing(sqlite3.connect(database)) as connection:
            query = "select name, alias, version from registered_model_aliases"
            assert connection.execute(query).fetchall() == [(MODEL, "champion", 1)]

    def assert_verify_finds_nothing(self) -> None:
        code, report = self._team.verify()
        assert (code, report["findings"]) == (0, []), json.dumps(report, indent=1)

    def assert_lineage_tells_the_way(self) -> None:
        told = self._team.run("lineage", f"{MODEL}@champion")
        run_id = self._story.runs["train_and_promote"]
        for each in (MODEL, "champion", "wine training", "train_and_promote", run_id):
            assert each in told

    def assert_verify_names_a_task_event_that_was_removed(self) -> None:
        [index] = [
            index
            for index, event in enumerate(self._events)
            if event.type == "task_instance.succeeded" and self._is_of(event, "outlives")
        ]
        with contextlib.closing(sqlite3.connect(self._team.home / "log.db")) as log, log:
            for table in ("payloads", "entries"):
                log.execute(f"DELETE FROM {table} WHERE log_index = ?", (index,))
        code, report = self._team.verify()
        missing = [each for each in report["findings"] if each["kind"] == "task_event_missing"]
        assert code == 1
        assert len(missing) == 1, json.dumps(report, indent=1)
        said = json.dumps(missing)
        for each in ("troubled", self._story.runs["troubled"], "outlives"):
            assert each in said

    def _is_of(self, event: Event, task_id: str) -> bool:
        return event.subject.id == f"troubled/{self._story.runs['troubled']}/{task_id}/-1"

    def _of_task(self, task_id: str) -> list[Event]:
        return [event for event in self._events if self._is_of(event, task_id)]

    def _told(self, task_id: str) -> list[str]:
        return [event.type.removeprefix("task_instance.") for event in self._of_task(task_id)]

    def _of_dag_run(self, dag_id: str, what: str) -> list[Event]:
        wanted = (f"dag_run.{what}", f"{dag_id}/{self._story.runs[dag_id]}")
        return [event for event in self._events if (event.type, event.subject.id) == wanted]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
