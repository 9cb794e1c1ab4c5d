"""Airflow's components start and stop."""

from __future__ import annotations

from typing import Any

from airflow_chain import config, recording, versions
from airflow_chain.guard import Guard
from airflow_chain.listener import components, task_instances


def start(component: Any) -> None:
    """Get ready, so that the first hook that records is quick."""
    components.starting(component)
    if not components.is_task_runner(component):
        from airflow_chain.listener import dag_runs  # noqa: F401 - for the hooks of DAG runs
    versions.prepare()
    recording.prepare()


def stop(component: Any) -> None:
    """Close this process's source, so that a relay sees that it is finished.

    The runner of a task hands its spool over, where that is configured: its machine may be gone
    in a moment.
    """
    if not components.is_task_runner(component):
        recording.close()
        return
    with Guard("pause of a task"):
        task_instances.pause()
    ship_to, timeout_s = "", config.DEFAULT_SHIP_TIMEOUT_S
    with Guard("where a spool is handed over"):
        ship_to, timeout_s = config.ship_to(), config.ship_timeout_s()
    if not ship_to:
        recording.close()
        return
    from airflow_chain.shipping import ship_before_stopping

    ship_before_stopping(
        recording.find_recorder(),
        recording.get_recording().settings,
        ship_to=ship_to,
        timeout_s=timeout_s,
    )
