"""Run as a program: ``dag.test()`` of one DAG, and what came of it as JSON.

Usage: ``python airflow_runner.py DAG_ID RESULT_FILE CONF_JSON``, with ``AIRFLOW_HOME`` set. In a
process of its own, because Airflow keeps its configuration and its listeners for a process's life.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def main(dag_id: str, result: str, conf: str) -> None:
    """Test the DAG, and write what came of it."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    run = load_dags()[dag_id].test(run_conf=json.loads(conf))
    with create_session() as session:
        columns = (
            TaskInstance.task_id,
            TaskInstance.map_index,
            TaskInstance.state,
            TaskInstance.try_number,
            TaskInstance.operator,
            TaskInstance.id,
        )
        where = (TaskInstance.dag_id == dag_id, TaskInstance.run_id == run.run_id)
        rows = session.execute(select(*columns).where(*where)).all()
    tasks = [[*row[:5], str(row[5])] for row in rows]
    Path(result).write_text(
        json.dumps({"run_id": run.run_id, "state": str(run.state), "tasks": tasks}, default=str)
    )


def load_dags() -> dict[str, Any]:
    """The DAGs of the folder of DAGs, which then stand in the metadata database, too."""
    from airflow.configuration import conf as configuration
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.session import create_session

    dagbag: Any = import_module(_module_of_dagbag())
    with create_session() as session:
        DagBundlesManager().sync_bundles_to_db(session=session)
    folder = Path(configuration.get("core", "dags_folder"))
    bag = dagbag.DagBag(folder, bundle_path=folder)
    assert not bag.import_errors, bag.import_errors
    dagbag.sync_bag_to_db(bag, "dags-folder", None)
    dags: dict[str, Any] = bag.dags
    return dags


def _module_of_dagbag() -> str:
    """Airflow 3.1 has it elsewhere."""
    newest = "airflow.dag_processing.dagbag"
    return newest if find_spec(newest) else "airflow.models.dagbag"


if __name__ == "__main__":
    main(*sys.argv[1:4])
