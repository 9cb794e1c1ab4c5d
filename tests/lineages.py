"""One whole lineage in memory: two tries of a task, of which the second one made the champion."""

from __future__ import annotations

from typing import Any

from airflow_chain.keys import TaskKey
from airflow_chain.mapping.dag_runs import map_dag_run_row
from airflow_chain.mapping.graph import map_dag_version
from airflow_chain.mapping.tasks import TaskFacts, map_end, map_start
from chain_client.traces import DAG_RUN, TARGET, Node
from tests.logged_events import AIRFLOW, MLFLOW, LogInMemory, task_tags

LOGGED = "m-0123456789abcdef0123456789abcdef"
CHAMPION = Node(TARGET, MLFLOW, "fraud/alias:champion")
THE_RUN = Node(DAG_RUN, AIRFLOW, "train/manual/1")
ROW = {"dag_id": "train", "run_id": "manual/1", "state": "running"}
VERSION = map_dag_version({"format": 1, "dag_id": "train", "tasks": [], "edges": []})


def add_task(
    log: LogInMemory, number: int, *, run: str = "", map_index: int = -1, **more: Any
) -> None:
    """A try that starts a run in the middle, 10 s long."""
    facts = TaskFacts(TaskKey("train", "manual/1", "fit", map_index), try_number=number)
    began, ended = map_start(facts), map_end(facts, "success")
    at_s = float(len(log.logged))
    log.add(began.type, began.id, began.payload, store=AIRFLOW, at_s=at_s, **more)
    if run:
        tags = task_tags(try_number=number, map_index=map_index)
        log.add("run.created", run, {"tags": tags}, at_s=at_s + 5)
    log.add(ended.type, ended.id, ended.payload, store=AIRFLOW, at_s=at_s + 10, **more)


def whole_log() -> LogInMemory:
    """See the top; everything in the order in which it happens."""
    log = LogInMemory()
    log.add(VERSION.type, VERSION.id, VERSION.payload, store=AIRFLOW)
    started = map_dag_run_row(ROW, "dag_run.started", graph=VERSION.id.partition("/")[2])
    log.add(started.type, started.id, started.payload, store=AIRFLOW)
    add_task(log, 1, run="r1", source=2)
    add_task(log, 2, run="r2", source=3)
    log.add("run.inputs_logged", "r2", {"datasets": [["iris", "1", None, None, None, None, []]]})
    log.add("logged_model.created", LOGGED, {"source_run_id": "r2"})
    log.add("model_version.created", "fraud/1", {"source": f"models:/{LOGGED}", "run_id": "r2"})
    log.add("registered_model.alias_set", "fraud", {"alias": "champion", "version": 1})
    return log
