"""Tasks hand their spool over before they stop, and never notice when that fails."""

from __future__ import annotations

from pathlib import Path

from chain_client.spool import list_sources
from tests.airflow_home import AirflowHome, dag_test, relayed_events

_DAG = """
import os
from pathlib import Path
from airflow.sdk import dag, task

SENT = Path({sent!r})

@dag(schedule=None, catchup=False)
def pods():
    @task
    def first():
        return None

    @task
    def away():
        assert len([p for p in SENT.iterdir() if len(p.name) == 32]) >= 1, "first() was handed over"
        SENT.rename(SENT.with_name("unmounted"))

    @task
    def back():
        SENT.with_name("unmounted").rename(SENT)

    first() >> away() >> back()

pods()
"""


def test_each_task_hands_its_spool_over_or_leaves_it_to_the_next(
    airflow_home: AirflowHome, home: Path, tmp_path: Path
) -> None:
    sent = tmp_path / "sent"
    sent.mkdir()
    airflow_home.put_dag("pods.py", _DAG.format(sent=str(sent)))
    done = dag_test(airflow_home, "pods", home, ship_to=f"folder:{sent}", ship_timeout_s=20)
    assert done.state == "success", done.output
    assert {task.state for task in done.tasks.values()} == {"success"}
    assert "No such file or directory" in done.output, "the task's log says what was not shipped"
    # What the relay has found in the home is of the DAG run; every task's is elsewhere.
    assert done.events_of("dag_run")
    assert not [e for e in done.events_of("task_instance") if e.type != "task_instance.started"]
    assert len(list_sources(sent)) >= 3
    sent.rename(home / "inbox")
    ends = [event for event in relayed_events(home) if event.type == "task_instance.succeeded"]
    ids = [event.subject.id.split("/")[-2] for event in ends]
    assert sorted(ids) == ["away", "back", "first"]
    assert list_sources(home / "inbox") == []
