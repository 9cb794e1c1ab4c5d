"""DAG runs of Airflow's own scheduler: recorded whole, verified, reconciled, tampered with."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_chain import keys
from chain_client import canonical
from chain_client.events import Event
from tests.airflow_home import AirflowHome, relayed_events

DAGS = Path(__file__).with_name("dags") / "every_end.py"
RUNNER = Path(__file__).parents[2] / "scheduler_runner.py"
EXECUTOR = "forking_executor.ForkingExecutor"

Cli = Callable[..., tuple[int, str, str]]


@dataclass(frozen=True)
class World:
    """An Airflow whose scheduler has run, and the home that it recorded into."""

    airflow: AirflowHome
    home: Path
    events: list[Event]

    def copied(self, folder: Path) -> World:
        """A copy to be tampered with."""
        copy = World(self.airflow.copied(folder / "airflow"), folder / "home", self.events)
        shutil.copytree(self.home, copy.home)
        note = copy.home / "stores" / "airflow.json"
        folders = str(self.airflow.folder), str(copy.airflow.folder)
        note.write_text(note.read_text().replace(*folders))
        return copy


def schedule(airflow: AirflowHome, home: Path, *steps: dict[str, Any]) -> None:
    """Let a scheduler, in a process of its own, carry out the steps to their end."""
    words = [json.dumps([*steps, {"schedule": True}]), str(airflow.folder / "states.json")]
    airflow.configured(home=home).run_python(RUNNER, *words)


@pytest.fixture(scope="module")
def world(
    airflow_template: AirflowHome, founded_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> World:
    """Two schedulers, one after the other: two runs, then one is cleared and a third begun."""
    folder = tmp_path_factory.mktemp("scheduled")
    airflow = airflow_template.copied(folder / "airflow")
    airflow.write({"core": {"executor": EXECUTOR, "dags_are_paused_at_creation": False}})
    airflow.put_dag("every_end.py", DAGS)
    home = shutil.copytree(founded_home, folder / "home")
    schedule(
        airflow,
        home,
        {"trigger": "every_end", "run_id": "one"},
        {"trigger": "killed", "run_id": "two"},
    )
    schedule(
        airflow,
        home,
        {"clear": "every_end", "run_id": "one", "tasks": ["fails", "never", "left"]},
        {"trigger": "killed", "run_id": "three"},
    )
    return World(airflow, home, relayed_events(home))


def ends(world: World, run_id: str) -> list[Any]:
    """Payloads of a run's ends, oldest first."""
    found = [
        event
        for event in world.events
        if event.type in (keys.DAG_RUN_SUCCEEDED, keys.DAG_RUN_FAILED)
        and event.subject.id.endswith(f"/{run_id}")
    ]
    return [event.payload for event in sorted(found, key=lambda event: event.time_us)]


def test_the_end_of_a_run_has_every_task_also_those_of_which_no_hook_told(world: World) -> None:
    first, second = ends(world, "one")
    states = {(i["task_id"], i["map_index"]): i["state"] for i in first["task_instances"]}
    assert states == {
        ("choose", -1): "success",
        ("left", -1): "success",
        ("right", -1): "skipped",
        ("double", 0): "success",
        ("double", 1): "success",
        ("fails", -1): "failed",
        ("never", -1): "upstream_failed",
        ("inner.at_the_second", -1): "success",
        ("prepare", -1): "success",
        ("tidy", -1): "success",
    }
    assert first["observer"]["component"] == "scheduler"
    assert first["dag_run"]["state"] == "failed"
    assert (first["message"], second["message"]) == ("task_failure", "task_failure")
    tries = {i["task_id"]: i["try_number"] for i in second["task_instances"]}
    assert (tries["fails"], tries["left"], tries["inner.at_the_second"]) == (2, 2, 2)
    told = {event.subject.id.split("/")[2] for event in world.events if "task_" in event.type}
    assert not told & {"left", "right", "never"}
    pids = {i["task_id"]: i["pid"] for i in first["task_instances"]}
    assert pids["left"] is pids["right"] is pids["never"] is None
    assert len({pids["choose"], pids["fails"], first["observer"]["pid"]}) == 3


def test_each_graph_is_recorded_once_though_the_scheduler_was_restarted(world: World) -> None:
    noted = [event for event in world.events if event.type == keys.DAG_VERSION_RECORDED]
    graphs = {event.subject.id.split("/")[0]: event for event in noted}
    assert len(noted) == len(graphs) == 2
    payload: Any = graphs["every_end"].payload
    graph = payload["graph"]
    digest = hashlib.sha256(canonical.encode(graph)).hexdigest()
    assert graphs["every_end"].subject.id == f"every_end/{digest}"
    assert payload["sha256"] == digest
    started = [e for e in world.events if e.type == keys.DAG_RUN_STARTED]
    assert {e.payload["graph"] for e in started if "/one" in e.subject.id} == {digest}
    assert len({e.payload["graph"] for e in started}) == 2
    assert payload["version_number"] == 1
    assert graph["bundle"] == {"name": "dags-folder", "version": None}
    tasks = {task.pop("id"): task for task in graph["tasks"]}
    decorated = "airflow.providers.standard.decorators.python._PythonDecoratedOperator"
    assert tasks["double"] == {
        "operator": decorated,
        "trigger_rule": "all_success",
        "mapped": True,
    }
    assert tasks["prepare"]["setup"] is True
    assert tasks["tidy"]["teardown"] is True
    assert tasks["tidy"]["trigger_rule"] == "all_done_setup_success"
    assert tasks["left"]["empty"] is True
    assert tasks["inner.at_the_second"]["retries"] == 1
    assert ["choose", "left"] in graph["edges"]
    assert ["prepare", "tidy"] in graph["edges"]
    assert graph["groups"] == [{"id": "inner", "children": ["inner.at_the_second"]}]


def test_honest_use_holds_and_what_a_killed_task_lost_is_read_once(
    world: World, mlops_chain: Cli, tmp_path: Path
) -> None:
    copy = world.copied(tmp_path)
    code, out, _ = mlops_chain("--home", copy.home, "verify")
    assert (code, "What Airflow shows is what was recorded" in out) == (0, True), out
    code, out, _ = mlops_chain("--home", copy.home, "airflow", "reconcile", "--min-age", "0s")
    assert code == 0
    assert "dag killed/run two" in out
    assert "lost  task dies, try 1, failed" in out
    assert "every_end" not in out
    words = ("airflow", "reconcile", "--min-age", "0s", "--json")
    code, out, _ = mlops_chain("--home", copy.home, *words)
    assert json.loads(out) == {"ok": True, "recorded": []}
    (event,) = (
        event
        for event in relayed_events(copy.home)
        if event.type == keys.DAG_RUN_RECONCILED and event.subject.id == "killed/two"
    )
    payload: Any = event.payload
    assert payload["observer"]["component"] == "reconciler"
    assert payload["reasons"] == ["task_events_lost"]
    assert event.actor.claimed
    code, out, _ = mlops_chain("--home", copy.home, "verify")
    assert code == 0
    assert "2 tries of a task of which the reconciler tells" in " ".join(out.split())


def test_what_airflow_deletes_on_purpose_is_no_finding(
    world: World, mlops_chain: Cli, tmp_path: Path
) -> None:
    copy = world.copied(tmp_path)
    copy.airflow.run_airflow("dags", "delete", "killed", "--yes")
    assert copy.airflow.rows("select run_id from dag_run") == [("one",)]
    # What told of the first deletion is put aside with the rest.
    until = "2100-01-01"
    copy.airflow.run_airflow("db", "clean", "--clean-before-timestamp", until, "--yes")
    assert copy.airflow.rows("select count(*) from log where event = 'cli_dag_delete'") == [(0,)]
    assert copy.airflow.rows("select count(*) from dag_run") == [(0,)]
    code, out, _ = mlops_chain("--home", copy.home, "verify")
    assert (code, "3 DAG runs deleted on purpose" in " ".join(out.split())) == (0, True), out


@contextlib.contextmanager
def editing(file: Path) -> Iterator[sqlite3.Connection]:
    """A database as somebody with its file has it."""
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        yield database


def findings(mlops_chain: Cli, home: Path) -> dict[tuple[str, str], Any]:
    """What verification names, by kind and subject."""
    code, out, err = mlops_chain("--home", home, "verify", "--json")
    assert code == 1, out + err
    return {(found["kind"], found["subject"]): found for found in json.loads(out)["findings"]}


def test_each_row_that_was_edited_removed_or_inserted_is_named(
    world: World, mlops_chain: Cli, tmp_path: Path
) -> None:
    copy = world.copied(tmp_path)
    with editing(copy.airflow.database) as rows:
        rows.execute("update task_instance set state = 'success' where task_id = 'fails'")
        rows.execute("delete from task_instance where task_id = 'prepare'")
        rows.execute("update dag_run set state = 'success' where run_id = 'two'")
        rows.execute("delete from dag_run where run_id = 'three'")
        columns = [row[1] for row in rows.execute("pragma table_info(task_instance)")]
        other = {"id": "'01a1fb3eea3a73faa38e5f7d694f54cd'", "task_id": "'forged'"}
        some = ", ".join(other.get(column, column) for column in columns)
        of_tidy = "from task_instance where task_id = 'tidy'"
        rows.execute(f"insert into task_instance select {some} {of_tidy}")
        columns = [row[1] for row in rows.execute("pragma table_info(dag_run)") if row[1] != "id"]
        names = ", ".join(columns)
        some = ", ".join({"run_id": "'forged'"}.get(column, column) for column in columns)
        of_two = "from dag_run where run_id = 'two'"
        rows.execute(f"insert into dag_run ({names}) select {some} {of_two}")
    found = findings(mlops_chain, copy.home)
    run = "dag every_end/run one"
    assert set(found) == {
        ("task_instance_changed", f"{run}/task fails/try 2"),
        ("task_instance_missing", f"{run}/task prepare/try 1"),
        ("task_instance_unrecorded", f"{run}/task forged/try 1"),
        ("dag_run_changed", "dag killed/run two"),
        ("dag_run_missing", "dag killed/run three"),
        ("dag_run_unrecorded", "dag killed/run forged"),
    }
    changed = found[("task_instance_changed", f"{run}/task fails/try 2")]
    assert (changed["expected"], changed["actual"]) == ({"state": "failed"}, {"state": "success"})


def test_a_task_event_that_was_removed_from_the_log_is_named(
    world: World, mlops_chain: Cli, tmp_path: Path
) -> None:
    copy = world.copied(tmp_path)
    removed = {
        (keys.TASK_SUCCEEDED, "every_end/one/prepare/-1"),
        (keys.TASK_RETRY_SCHEDULED, "every_end/one/inner.at_the_second/-1"),
    }
    with editing(copy.home / "log.db") as log:
        for index, text in log.execute("select log_index, event from payloads").fetchall():
            if any(one.encode() in text and of.encode() in text for one, of in removed):
                log.execute("delete from payloads where log_index = ?", (index,))
                log.execute("delete from entries where log_index = ?", (index,))
    found = findings(mlops_chain, copy.home)
    subject = "dag every_end/run one/task prepare/try 1"
    assert found[("task_event_missing", subject)]["expected"] == {
        "dag_id": "every_end",
        "run_id": "one",
        "task_id": "prepare",
        "map_index": -1,
        "try_number": 1,
        "event": keys.TASK_SUCCEEDED,
    }
    beside = [one["detail"] for (kind, _), one in found.items() if kind == "event_missing"]
    assert len(beside) == 2
    assert any("run one/task inner.at_the_second/try 1" in detail for detail in beside)


def test_without_the_database_the_log_alone_is_compared(
    world: World, mlops_chain: Cli, tmp_path: Path
) -> None:
    copy = world.copied(tmp_path)
    copy.airflow.database.unlink()
    code, out, _ = mlops_chain("--home", copy.home, "verify")
    assert code == 2
    assert "FileNotFoundError" in out
    assert not copy.airflow.database.exists()
