"""Tasks to which things happen: they wait in a folder for what a test does to them.

Each says in ``<task_id>.pid`` who it is, and ends well once there is ``<task_id>.go``.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from airflow.sdk import TriggerRule, dag, task

PATIENCE_S = 600


def wait_for_go(context: Any) -> int:
    """The try in which it was let go."""
    instance, folder = context["ti"], Path(context["params"]["folder"])
    started = folder / f"{instance.task_id}.pid.new"
    started.write_text(str(os.getpid()))
    started.rename(folder / f"{instance.task_id}.pid")
    deadline = time.monotonic() + PATIENCE_S
    while not (folder / f"{instance.task_id}.go").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(instance.try_number)


@dag(schedule=None, catchup=False, params={"folder": ""})
def troubled() -> None:
    @task
    def killed(**context: Any) -> int:
        """Somebody sends it SIGKILL."""
        return wait_for_go(context)

    @task
    def stuck(**context: Any) -> int:
        """A person marks it as a success, and Airflow ends it."""
        return wait_for_go(context)

    @task(retries=3, retry_delay=0.1)
    def outlives(**context: Any) -> int:
        """Its scheduler dies, and it with it; the next scheduler runs it again."""
        return wait_for_go(context)

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def afterwards() -> None:
        """Runs whatever became of the others."""

    [killed(), stuck(), outlives()] >> afterwards()


troubled()
