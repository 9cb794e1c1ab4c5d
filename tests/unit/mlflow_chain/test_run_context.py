"""Runs that are started inside a task get its tags; elsewhere nothing happens."""

from __future__ import annotations

import warnings

import pytest

from mlflow_chain.run_context import AirflowRunContext

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's own imports warn about its own dependencies
    from mlflow.tracking.context.registry import resolve_tags

TASK = {
    "AIRFLOW_CTX_DAG_ID": "train",
    "AIRFLOW_CTX_DAG_RUN_ID": "manual__1",
    "AIRFLOW_CTX_TASK_ID": "fit",
    "AIRFLOW_CTX_TRY_NUMBER": "2",
}


def _ours(tags: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if name.startswith("airflow.")}


def test_outside_of_a_task_there_are_no_tags() -> None:
    context = AirflowRunContext()
    assert not context.in_context()
    assert context.tags() == {}
    assert _ours(resolve_tags()) == {}


def test_mlflow_finds_it_and_tags_runs_inside_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TASK.items():
        monkeypatch.setenv(name, value)
    assert _ours(resolve_tags()) == {
        "airflow.dag_id": "train",
        "airflow.dag_run_id": "manual__1",
        "airflow.task_id": "fit",
        "airflow.try_number": "2",
    }
    monkeypatch.setenv("AIRFLOW_CTX_MAP_INDEX", "3")
    monkeypatch.setenv("MLOPS_CHAIN_AIRFLOW_NAME", "eu")
    found = _ours(resolve_tags({"airflow.task_id": "mine"}))
    assert (found["airflow.map_index"], found["airflow.name"]) == ("3", "eu")
    # Whoever starts the run has the last word, as with all of MLflow's own tags.
    assert found["airflow.task_id"] == "mine"
