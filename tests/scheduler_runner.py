"""Run as a program: Airflow's own scheduler in this process, until all DAG runs have ended.

Usage: ``python scheduler_runner.py STEPS_JSON RESULT_FILE``, with ``AIRFLOW_HOME`` set and
`tests/forking_executor.py` as its executor. A step is ``{"trigger": DAG_ID, "run_id": …}``,
``{"clear": DAG_ID, "run_id": …, "tasks": […]}`` or ``{"schedule": true}``.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_ROUNDS = 40


def main(steps: str, result: str) -> None:
    """Carry out the steps, and write the states of all DAG runs."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    _load()
    for step in json.loads(steps):
        if "trigger" in step:
            _trigger(step["trigger"], step["run_id"])
        elif "clear" in step:
            _clear(step["clear"], step["run_id"], step["tasks"])
        else:
            _schedule()
    with create_session() as session:
        rows = session.execute(select(DagRun.dag_id, DagRun.run_id, DagRun.state)).all()
    Path(result).write_text(json.dumps([[str(value) for value in row] for row in rows]))


def _load() -> None:
    forking_executor: Any = import_module("forking_executor")
    from airflow.configuration import conf
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.session import create_session

    newest = "airflow.dag_processing.dagbag"  # Airflow 3.1 has it elsewhere
    dagbag: Any = import_module(newest if find_spec(newest) else "airflow.models.dagbag")
    with create_session() as session:
        DagBundlesManager().sync_bundles_to_db(session=session)
    folder = Path(conf.get("core", "dags_folder"))
    bag = dagbag.DagBag(folder, bundle_path=folder)
    assert not bag.import_errors, bag.import_errors
    dagbag.sync_bag_to_db(bag, "dags-folder", None)
    forking_executor.BAG.update(bag.dags)


def _trigger(dag_id: str, run_id: str) -> None:
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.utils.types import DagRunTriggeredByType

    trigger_dag(dag_id=dag_id, run_id=run_id, triggered_by=DagRunTriggeredByType.TEST)


def _clear(dag_id: str, run_id: str, tasks: list[str]) -> None:
    from airflow.models.taskinstance import TaskInstance, clear_task_instances
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        where = (TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        found = session.scalars(select(TaskInstance).where(*where)).all()
        clear_task_instances([ti for ti in found if ti.task_id in tasks], session)


def _schedule() -> None:
    from airflow.jobs.job import Job, run_job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    def is_done() -> bool:
        with create_session() as session:
            states = session.scalars(select(DagRun.state)).all()
        return all(state in ("success", "failed") for state in states)

    for _ in range(_ROUNDS):
        job = Job()
        runner = SchedulerJobRunner(job=job, num_runs=10, scheduler_idle_sleep_time=0)
        run_job(job=job, execute_callable=runner._execute)
        if is_done():
            return
    raise AssertionError("the DAG runs did not end")


if __name__ == "__main__":
    main(*sys.argv[1:3])
