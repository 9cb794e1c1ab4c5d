"""An executor for tests: each task in a process that is forked of the scheduler's, one at a time.

For `tests/scheduler_runner.py`, beside which it lies. A task runs as ``dag.test()`` runs it; unlike
there it has a process of its own, which may be killed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from airflow.executors.base_executor import BaseExecutor

BAG: dict[str, Any] = {}
"""The DAGs, as their files define them; filled by the program that starts the scheduler."""


class ForkingExecutor(BaseExecutor):
    """Runs what is queued when the scheduler's loop comes by, and waits for it."""

    is_local = True

    def start(self) -> None:
        """Import and build once what each task's process would need to build for itself."""
        import airflow.sdk.execution_time.task_runner  # noqa: F401
        from airflow.listeners.listener import get_listener_manager
        from airflow.sdk.api.datamodels._generated import API_VERSION
        from airflow.sdk.execution_time.supervisor import in_process_api_server
        from starlette.testclient import TestClient

        get_listener_manager()
        # The first request makes the API's version of it; the thread ends with the request.
        TestClient(in_process_api_server().app).get(
            "/health", headers={"Airflow-API-Version": API_VERSION}
        )

    def _process_workloads(self, workload_items: Sequence[Any]) -> None:
        for workload in workload_items:
            key = workload.ti.key
            del self.queued_tasks[key]
            self.running.add(key)
            child = os.fork()
            if child == 0:
                _run(workload.ti)
            _, status = os.waitpid(child, 0)
            if status == 0:
                self.success(key)
            else:
                self.fail(key)

    def end(self) -> None:
        """Nothing runs on."""

    def terminate(self) -> None:
        """Nothing runs on."""


def _run(ti: Any) -> None:
    """Run a task, and end this process as a task's process is ended."""
    code = 1
    try:
        from airflow.sdk.api.datamodels._generated import TaskInstance
        from airflow.sdk.execution_time.supervisor import run_task_in_process

        named = TaskInstance(
            id=UUID(str(ti.id)),
            task_id=ti.task_id,
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            try_number=ti.try_number,
            map_index=ti.map_index,
            dag_version_id=UUID(str(ti.dag_version_id)),
        )
        run_task_in_process(ti=named, task=BAG[ti.dag_id].get_task(ti.task_id))
        code = 0
    finally:
        os._exit(code)
