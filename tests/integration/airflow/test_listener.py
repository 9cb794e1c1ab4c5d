"""What the listener records of a DAG run with every kind of end that a task can have."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chain_client.events import Event
from chain_client.home import Home
from chain_client.hosts import StoreBinding
from tests.airflow_home import AirflowHome, dag_test

if TYPE_CHECKING:
    from tests.airflow_home import Tested

_DAG = '''
import os
from datetime import datetime, timedelta, timezone
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import PokeReturnValue, dag, task
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

@dag(schedule=None, catchup=False)
def shop():
    @task
    def train():
        """Records by the same recorder as whatever else does in this process."""
        from pathlib import Path
        from chain_client import ChainClient, Settings
        from airflow_chain import recording
        client = ChainClient.open(Settings.from_environment(os.environ, Path.cwd()))
        assert client.recorder is recording.find_recorder()
        assert client.recorder.source_id is not None
        return [os.environ["AIRFLOW_CTX_MAP_INDEX"], os.environ["MLOPS_CHAIN_AIRFLOW_NAME"]]

    @task
    def part(number):
        assert os.environ["AIRFLOW_CTX_MAP_INDEX"] == str(number)

    @task(retries=1, retry_delay=timedelta(0))
    def flaky(ti=None):
        if ti.try_number == 1:
            raise ValueError("hunter2 is no key")

    @task
    def skipped():
        raise AirflowSkipException("hunter2")

    @task
    def failed():
        raise AirflowFailException("hunter2 is wrong")

    @task
    def told():
        raise KeyError("what went wrong")

    @task
    def exits():
        raise SystemExit(3)

    @task.sensor(mode="reschedule", poke_interval=0.1, timeout=60)
    def looks(ti=None):
        # A try that was rescheduled is known by its count.
        return PokeReturnValue(is_done=bool(ti._ti_context_from_server.task_reschedule_count))

    @task
    def payroll():
        return "hunter2"

    waits = DateTimeSensorAsync(
        task_id="waits", target_time="{{ dag_run.start_date + macros.timedelta(seconds=1) }}"
    )
    speaks = BashOperator(task_id="speaks", bash_command="echo {{ dag_run.conf['word'] }}")
    train(), part.expand(number=[0, 1]), flaky(), skipped(), failed(), told(), exits(), looks()
    payroll(), waits, speaks

shop()
'''

_POLICY = """
[[rule]]
task = "payroll"
record = false
[[rule]]
task = "told"
error_text = "values"
"""


@pytest.fixture(scope="module")
def home(founded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(founded_home, tmp_path_factory.mktemp("shop") / "home"))


@pytest.fixture(scope="module")
def airflow(
    airflow_template: AirflowHome, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> AirflowHome:
    copied = airflow_template.copied(tmp_path_factory.mktemp("airflow") / "airflow")
    copied.put_dag("shop.py", _DAG)
    return copied


@pytest.fixture(scope="module")
def done(airflow: AirflowHome, home: Path) -> Tested:
    policy = airflow.folder / "policy.toml"
    policy.write_text(_POLICY)
    with_home = airflow.with_variables(MLOPS_CHAIN_HOME=home)
    return dag_test(with_home, "shop", home, conf={"word": "hunter2"}, name="north", policy=policy)


def _of(done: Tested, task_id: str, map_index: int = -1) -> list[Event]:
    id_ = f"shop/{done.run_id}/{task_id}/{map_index}"
    found = [event for event in done.events_of("task_instance") if event.subject.id == id_]
    return sorted(found, key=lambda event: event.time_us)


def _types(done: Tested, task_id: str, map_index: int = -1) -> list[str]:
    return [event.type.partition(".")[2] for event in _of(done, task_id, map_index)]


@pytest.mark.parametrize(
    ("task_id", "types"),
    [
        ("train", ["started", "succeeded"]),
        ("flaky", ["started", "retry_scheduled", "started", "succeeded"]),
        ("skipped", ["started", "skipped"]),
        ("failed", ["started", "failed"]),
        ("exits", ["started", "failed"]),
        ("looks", ["started", "rescheduled", "poked", "succeeded"]),
        ("waits", ["started", "deferred", "resumed", "succeeded"]),
        ("payroll", []),
    ],
)
def test_each_step_of_a_task_is_told_apart(done: Tested, task_id: str, types: list[str]) -> None:
    assert _types(done, task_id) == types


def test_mapped_tasks_are_told_apart(done: Tested) -> None:
    assert [_types(done, "part", index) for index in (0, 1)] == [["started", "succeeded"]] * 2


def test_what_is_recorded_is_what_airflow_has(done: Tested) -> None:
    last = [
        e for e in done.events_of("task_instance") if e.type.endswith((".succeeded", ".failed"))
    ]
    assert len(last) == 10
    for event in last:
        _, _, task_id, map_index = event.subject.id.rsplit("/", 3)
        task = done.tasks[task_id, int(map_index)]
        shown = (event.payload["ti_id"], event.payload["try_number"], event.payload["operator"])
        assert shown == (task.ti_id, task.try_number, task.operator)
        assert event.payload["state"] == task.state
        assert event.subject.store == "north"


def test_of_an_error_the_class_is_recorded_and_its_text_only_by_a_rule(done: Tested) -> None:
    errors = {
        task_id: _of(done, task_id)[1].payload for task_id in ("flaky", "failed", "told", "exits")
    }
    classes = [errors[task_id]["error_class"] for task_id in errors]
    assert classes == ["ValueError", "AirflowFailException", "KeyError", "SystemExit"]
    assert "error_text" not in errors["failed"]
    assert errors["told"]["error_text"] == {"value": "'what went wrong'"}


def test_by_default_nothing_but_identifiers_and_hashes_is_recorded(done: Tested) -> None:
    fields = _of(done, "speaks")[0].payload["rendered"]
    assert isinstance(fields, dict)
    command = fields["bash_command"]
    assert isinstance(command, dict)
    assert list(command) == ["sha256"]
    ended = [event for event in done.events if event.type == "dag_run.failed"]
    assert len(ended) == 1
    conf = ended[0].payload["conf"]
    assert isinstance(conf, dict)
    assert list(conf) == ["sha256"]
    assert "hunter2" not in json.dumps([event.to_fields() for event in done.events])


def test_a_denied_task_is_in_no_task_event_and_in_no_final_state(done: Tested) -> None:
    ended = next(event for event in done.events if event.type == "dag_run.failed")
    states = ended.payload["task_instances"]
    assert isinstance(states, list)
    named = {str(state["task_id"]) for state in states if isinstance(state, dict)}
    assert named == {task_id for task_id, _ in done.tasks} - {"payroll"}
    assert ended.payload["task_instances_denied"] == 1


def test_each_event_says_who_saw_it(done: Tested) -> None:
    seen = {
        (event.type.partition(".")[0], event.payload["observer"]["component"])  # type: ignore
        for event in done.events
        if "observer" in event.payload
    }
    assert seen == {("task_instance", "task"), ("dag_run", "local"), ("dag_version", "local")}


def test_every_source_is_closed_so_that_a_relay_knows_that_it_is_finished(done: Tested) -> None:
    opened = [event.source_id for event in done.events if event.type == "source.opened"]
    closed = [event.source_id for event in done.events if event.type == "source.closed"]
    assert sorted(opened) == sorted(closed)
    runs = [event for event in done.events_of("task_instance") if _begins(event)]
    assert len(opened) == len(runs) + 1  # and the last for the DAG run


def _begins(event: Event) -> bool:
    return event.type.endswith((".started", ".resumed", ".poked"))


@pytest.mark.usefixtures("done")
def test_the_home_knows_which_airflow_its_events_come_from(
    airflow: AirflowHome, home: Path
) -> None:
    (binding,) = Home(home).bindings()
    assert binding == StoreBinding("north", "airflow", f"airflow://{airflow.folder}")
