"""Several processes, one database, one home."""

from __future__ import annotations

import os
import subprocess
import sys

import mlflow
from mlflow.entities import Metric
from mlflow.tracking._tracking_service.utils import _get_store

from tests.recorded_database import Recorded

WORKER = """
import sys, warnings
warnings.simplefilter("ignore")
import mlflow
from mlflow.exceptions import MlflowException
mlflow.set_tracking_uri(sys.argv[1])
client = mlflow.MlflowClient()
for step in range(15):
    client.log_metric(sys.argv[2], "loss", float(sys.argv[3]), step=step)
    try:
        client.set_tag(sys.argv[2], "contended", f"{sys.argv[3]}-{step}")
    except MlflowException:
        pass  # SQLite may refuse one of two writers
"""


def test_processes_that_write_to_one_run_give_no_finding(tracked: Recorded) -> None:
    run_id = mlflow.start_run().info.run_id
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, tracked.uri, run_id, str(number)])
        for number in range(3)
    ]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert tracked.types().count("run.metric_logged") == 45
    assert tracked.types().count("run.tag_set") == 45
    assert tracked.findings() == []


def test_a_fork_records_through_a_source_of_its_own(tracked: Recorded) -> None:
    run_id = mlflow.start_run().info.run_id
    store = _get_store()
    store.log_metric(run_id, Metric("before", 1.0, 1, 1))
    store._dispose_engine()
    child = os.fork()
    if child == 0:
        try:
            store.log_metric(run_id, Metric("child", 1.0, 1, 1))
            tracked.client.recorder.close()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    store.log_metric(run_id, Metric("after", 1.0, 1, 1))
    logged = [e for e in tracked.events() if e.type == "run.metric_logged"]
    assert len(logged) == 3
    assert len({e.source_id for e in logged}) == 2
    assert tracked.findings() == []
