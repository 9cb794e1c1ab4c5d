"""Somebody writes into Airflow's database while a DAG run goes on: it is believed, and named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.airflow_home import AirflowHome

RUNNER = Path(__file__).parents[2] / "scheduler_runner.py"
EXECUTOR = "forking_executor.ForkingExecutor"

_DAG = """
import sqlite3

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, task


class Gate(EmptyOperator):
    pass


with DAG("guarded", schedule=None):

    @task
    def validate():
        raise RuntimeError("the model is bad")

    @task(trigger_rule="all_done")
    def tamper():
        with sqlite3.connect({database!r}, timeout=60) as database:
            succeed = "update task_instance set state = 'success' where task_id = ?"
            database.execute(succeed, ["validate"])
            database.execute(succeed, ["inspect"])
            again = "update task_instance set state = null where task_id = 'promote'"
            database.execute(again)

    @task
    def wait():
        pass

    @task(task_id="inspect")
    def look():
        raise RuntimeError("it would be seen here, too")

    @task
    def promote():
        pass

    validated, inspected, promoted = validate(), look(), promote()
    validated >> tamper() >> wait() >> Gate(task_id="gate") >> inspected >> promoted
    validated >> promoted
"""


def test_a_failure_that_was_overwritten_and_a_task_that_was_skipped_over_are_named(
    airflow_template: AirflowHome,
    founded_home: Path,
    mlops_chain: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
) -> None:
    airflow = airflow_template.copied(tmp_path / "airflow")
    airflow.write({"core": {"executor": EXECUTOR, "dags_are_paused_at_creation": False}})
    airflow.put_dag("guarded.py", _DAG.format(database=str(airflow.database)))
    home = shutil.copytree(founded_home, tmp_path / "home")
    steps = [{"trigger": "guarded", "run_id": "one"}, {"schedule": True}]
    result = airflow.folder / "states.json"
    airflow.configured(home=home).run_python(RUNNER, json.dumps(steps), str(result))
    states = dict(airflow.rows("select task_id, state from task_instance"))
    assert set(states.values()) == {"success"}, states
    assert airflow.rows("select state from dag_run") == [("success",)]
    code, out, err = mlops_chain("--home", home, "verify", "--json")
    assert code == 1, out + err
    named = {(one["kind"], one["subject"]): one for one in json.loads(out)["findings"]}
    run = "dag guarded/run one"
    assert set(named) == {
        ("task_state_unexplained", f"{run}/task validate/try 1"),
        ("task_state_unexplained", f"{run}/task inspect/try 0"),
    }
    overwritten = named[("task_state_unexplained", f"{run}/task validate/try 1")]
    assert (overwritten["expected"], overwritten["actual"]) == (
        {"state": "failed"},
        {"state": "success"},
    )
