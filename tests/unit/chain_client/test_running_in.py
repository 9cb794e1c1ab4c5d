"""The keys that tie a run to a task: what is known travels, and nothing is made up."""

from __future__ import annotations

import pytest

from airflow_chain import keys
from chain_client import running_in
from chain_client.running_in import (
    RunningIn,
    from_environment,
    from_tags,
    split_dag_run_id,
    split_task_instance_id,
    task_instance_id,
    to_environment,
)

FULL = RunningIn("train", "manual/1", "group.fit", 2, 7, "airflow-eu")
EXPORTED = {
    "AIRFLOW_CTX_DAG_ID": "train",
    "AIRFLOW_CTX_DAG_RUN_ID": "manual/1",
    "AIRFLOW_CTX_TASK_ID": "group.fit",
    "AIRFLOW_CTX_TRY_NUMBER": "2",
}
"""By Airflow itself."""


def test_airflow_and_the_listener_together_tell_all() -> None:
    assert from_environment({**EXPORTED, **to_environment(FULL)}) == FULL


def test_without_the_listener_map_index_and_name_are_not_known() -> None:
    assert from_environment(EXPORTED) == RunningIn("train", "manual/1", "group.fit", 2)


def test_a_task_that_is_not_mapped_overwrites_what_another_one_left() -> None:
    left = to_environment(FULL)
    ours = to_environment(RunningIn("train", "manual/1", "report", 1, None, None))
    found = from_environment({**left, **EXPORTED, **ours})
    assert found is not None
    assert (found.map_index, found.name) == (-1, None)


@pytest.mark.parametrize("missing", list(EXPORTED)[:3])
@pytest.mark.parametrize("blank", [False, True])
def test_a_process_without_all_of_the_ids_runs_in_no_task(missing: str, blank: bool) -> None:
    environment = {**EXPORTED, missing: ""} if blank else EXPORTED.copy()
    if not blank:
        del environment[missing]
    assert from_environment(environment) is None


@pytest.mark.parametrize("text", ["", "two", "2.5", "２", "--2", "9" * 30, "0x2"])
def test_what_is_no_number_is_not_known(text: str) -> None:
    found = from_environment({**EXPORTED, "AIRFLOW_CTX_TRY_NUMBER": text})
    assert found is not None
    assert found.try_number is None


def test_tags_tell_what_is_known_and_come_back() -> None:
    assert FULL.to_tags() == {
        "airflow.dag_id": "train",
        "airflow.dag_run_id": "manual/1",
        "airflow.task_id": "group.fit",
        "airflow.try_number": "2",
        "airflow.map_index": "7",
        "airflow.name": "airflow-eu",
    }
    for known in (FULL, RunningIn("train", "manual/1", "fit")):
        assert from_tags(known.to_tags()) == known
    assert set(RunningIn("train", "r", "fit").to_tags()) == {
        "airflow.dag_id",
        "airflow.dag_run_id",
        "airflow.task_id",
    }
    assert from_tags({"mlflow.user": "ann"}) is None


def test_ids_are_those_of_the_recorded_events() -> None:
    task = keys.TaskKey("train", "manual/1", "group.fit", 7)
    assert task_instance_id("train", "manual/1", "group.fit", 7) == task.to_id()
    assert split_task_instance_id(task.to_id()) == ("train", "manual/1", "group.fit", 7)
    assert running_in.dag_run_id("train", "manual/1") == task.dag_run.to_id()
    assert split_dag_run_id("train/manual/1") == ("train", "manual/1")
    assert (running_in.DAG_RUN, running_in.TASK_INSTANCE) == (keys.DAG_RUN, keys.TASK_INSTANCE)


@pytest.mark.parametrize("text", ["", "train", "train/", "/run", "train/run/fit", "a/b/c/x", "//"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected DAG_ID"):
        split_task_instance_id(text)
    if text.count("/") < 2 or text == "//":
        with pytest.raises(ValueError, match="expected DAG_ID/RUN_ID"):
            split_dag_run_id(text)
