"""The folders in which the tests run Airflow."""

from __future__ import annotations

from pathlib import Path

from tests.airflow_home import AirflowHome, dag_test, relayed_events

DAG = """
from airflow.sdk import dag, task

@dag(schedule=None)
def shop():
    @task
    def weigh(grams):
        return grams

    weigh.expand(grams=[1, 2])

shop()
"""


def test_a_dag_runs_to_its_end_in_a_fresh_home_and_what_it_left_in_the_log_is_given(
    airflow_home: AirflowHome, home: Path
) -> None:
    airflow_home.put_dag("shop.py", DAG)

    done = dag_test(airflow_home, "shop", home)

    assert done.state == "success", done.output
    states = {key: task.state for key, task in done.tasks.items()}
    assert states == {("weigh", 0): "success", ("weigh", 1): "success"}
    assert airflow_home.rows("select run_id from dag_run") == [(done.run_id,)]
    ended = [event.subject.id for event in done.events if event.type == "task_instance.succeeded"]
    assert sorted(ended) == [f"shop/{done.run_id}/weigh/{index}" for index in (0, 1)]
    assert [event.type for event in done.events_of("dag_run")][-1] == "dag_run.succeeded"
    assert relayed_events(home, relay=False) == done.events


def test_airflow_imported_in_process_is_that_of_the_tests(
    airflow_in_process: AirflowHome,
) -> None:
    from airflow import configuration

    assert Path(configuration.AIRFLOW_HOME) == airflow_in_process.folder
    assert configuration.conf.get("core", "dags_folder") == str(airflow_in_process.dags)
