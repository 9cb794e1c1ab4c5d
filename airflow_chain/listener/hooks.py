"""The hooks by which Airflow tells of DAG runs, task instances and its own components.

Airflow imports this module in each of its processes where a home is configured, so what the hooks
need is imported by the first of them. Each has a `Guard` around it.
"""

from __future__ import annotations

from typing import Any

from pluggy import HookimplMarker

from airflow_chain.guard import Guard

_hookimpl = HookimplMarker("airflow")


@_hookimpl
def on_starting(component: Any) -> None:
    """A component, or the runner of a task, starts."""
    with Guard("on_starting"):
        from airflow_chain.listener import lifecycle

        lifecycle.start(component)


@_hookimpl
def before_stopping(component: Any) -> None:
    """A component, or the runner of a task, stops."""
    with Guard("before_stopping"):
        from airflow_chain.listener import lifecycle

        lifecycle.stop(component)


@_hookimpl
def on_task_instance_running(previous_state: Any, task_instance: Any) -> None:
    """A task runs: for the first time, after a deferral, or a rescheduled sensor once more."""
    with Guard("on_task_instance_running"):
        from airflow_chain.listener import task_instances

        task_instances.begin(task_instance)


@_hookimpl
def on_task_instance_success(previous_state: Any, task_instance: Any) -> None:
    """A task succeeded, or a person marked it so."""
    with Guard("on_task_instance_success"):
        from airflow_chain.listener import task_instances

        task_instances.end(task_instance, "success", None, previous_state)


@_hookimpl
def on_task_instance_failed(previous_state: Any, task_instance: Any, error: Any) -> None:
    """A task failed, whether or not it is tried again, or a person marked it so."""
    with Guard("on_task_instance_failed"):
        from airflow_chain.listener import task_instances

        task_instances.end(task_instance, "failed", error, previous_state)


@_hookimpl
def on_task_instance_skipped(previous_state: Any, task_instance: Any) -> None:
    """A task skipped itself, or a person marked it so."""
    with Guard("on_task_instance_skipped"):
        from airflow_chain.listener import task_instances

        task_instances.end(task_instance, "skipped", None, previous_state)


@_hookimpl
def on_dag_run_running(dag_run: Any, msg: str) -> None:
    """A DAG run begins."""
    with Guard("on_dag_run_running"):
        from airflow_chain.listener import dag_runs

        dag_runs.change(dag_run, "running", msg)


@_hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    """A DAG run succeeded, or a person marked it so."""
    with Guard("on_dag_run_success"):
        from airflow_chain.listener import dag_runs

        dag_runs.change(dag_run, "success", msg)


@_hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """A DAG run failed, or a person marked it so."""
    with Guard("on_dag_run_failed"):
        from airflow_chain.listener import dag_runs

        dag_runs.change(dag_run, "failed", msg)
