"""Which of Airflow's components this process is, as far as the hooks tell."""

from __future__ import annotations

from typing import Any

from airflow_chain import acting_user

TASK = "task"
SCHEDULER = "scheduler"
API_SERVER = "api_server"
LOCAL = "local"
"""A process that is none of these, such as one that calls ``dag.test()``."""

_has_job = False


def starting(component: Any) -> None:
    """A component says that it starts: one with a job of its own, or the runner of a task."""
    global _has_job
    if not is_task_runner(component):
        _has_job = True


def is_task_runner(component: Any) -> bool:
    """Whether a hook's component is the runner of a task."""
    return type(component).__name__ == "TaskRunnerMarker"


def component_with_rows() -> str:
    """The component, for a hook that was given rows of the metadata database.

    Of those with a job, only the scheduler calls such hooks.
    """
    if acting_user.is_api_server():
        return API_SERVER
    return SCHEDULER if _has_job else LOCAL
