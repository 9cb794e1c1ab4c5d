"""The keys that tie what a task did to the task: one spelling for both sides.

An Airflow task knows them from its environment, a run of MLflow carries them as tags, and the
events of the task have them in the ids of their subjects. Pure: whoever reads or sets an
environment hands it in. What the kinds and types of Airflow's events are: `airflow_chain.keys`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

UNMAPPED: Final = -1
"""Map index of a task instance that is not one of several."""

DAG_RUN: Final = "dag_run"
TASK_INSTANCE: Final = "task_instance"
DAG_VERSION: Final = "dag_version"
"""Kinds of subjects in an Airflow's events."""

_DAG_ID: Final = "AIRFLOW_CTX_DAG_ID"
_RUN_ID: Final = "AIRFLOW_CTX_DAG_RUN_ID"
_TASK_ID: Final = "AIRFLOW_CTX_TASK_ID"
_TRY_NUMBER: Final = "AIRFLOW_CTX_TRY_NUMBER"
_MAP_INDEX: Final = "AIRFLOW_CTX_MAP_INDEX"
_NAME: Final = "MLOPS_CHAIN_AIRFLOW_NAME"

TAG_PREFIX: Final = "airflow."
"""Tags of runs that tell the task begin so."""


@dataclass(frozen=True, slots=True)
class RunningIn:
    """The try of a task instance in which something was done.

    Args:
        dag_id: of the DAG; holds no slash.
        run_id: of the DAG run; may hold slashes.
        task_id: of the task; holds no slash.
        try_number: from 1; None if it is not known.
        map_index: `UNMAPPED`, or which of several; None if it is not known, as Airflow exports
            all but this.
        name: of the Airflow in the log; None if it is not known.
    """

    dag_id: str
    run_id: str
    task_id: str
    try_number: int | None = None
    map_index: int | None = None
    name: str | None = None

    def to_tags(self) -> dict[str, str]:
        """Tags for a run of MLflow; what is not known has none."""
        values: dict[str, str | int | None] = {
            "dag_id": self.dag_id,
            "dag_run_id": self.run_id,
            "task_id": self.task_id,
            "try_number": self.try_number,
            "map_index": self.map_index,
            "name": self.name,
        }
        return {
            f"{TAG_PREFIX}{name}": str(value) for name, value in values.items() if value is not None
        }


def to_environment(running_in: RunningIn) -> dict[str, str]:
    """What Airflow does not export by itself: map index, and the Airflow's name in the log.

    To be set in the task's process at every start of a task, so that nothing of another task that
    ran in the same process (`dag.test()`) stays.
    """
    map_index = UNMAPPED if running_in.map_index is None else running_in.map_index
    return {_MAP_INDEX: str(map_index), _NAME: running_in.name or ""}


def from_environment(environment: Mapping[str, str]) -> RunningIn | None:
    """The task that a process runs in, or was started by; None outside of any."""
    return _read(environment, _DAG_ID, _RUN_ID, _TASK_ID, _TRY_NUMBER, _MAP_INDEX, _NAME)


def from_tags(tags: Mapping[str, str]) -> RunningIn | None:
    """The task that a run's tags name; None if they name none."""
    names = ("dag_id", "dag_run_id", "task_id", "try_number", "map_index", "name")
    return _read(tags, *(f"{TAG_PREFIX}{name}" for name in names))


def _read(values: Mapping[str, str], *names: str) -> RunningIn | None:
    dag_id, run_id, task_id, try_number, map_index, name = (values.get(one) or "" for one in names)
    if not (dag_id and run_id and task_id):
        return None
    return RunningIn(dag_id, run_id, task_id, _number(try_number), _number(map_index), name or None)


def _number(text: str) -> int | None:
    """A number as Airflow writes it; None for anything else, as these are no secure channel."""
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None


def dag_run_id(dag_id: str, run_id: str) -> str:
    """Id of the subject of a DAG run."""
    return f"{dag_id}/{run_id}"


def task_instance_id(dag_id: str, run_id: str, task_id: str, map_index: int = UNMAPPED) -> str:
    """Id of the subject of a task instance, whatever try."""
    return f"{dag_id}/{run_id}/{task_id}/{map_index}"


def split_dag_run_id(text: str) -> tuple[str, str]:
    """DAG id and run id; the inverse of `dag_run_id`.

    Raises:
        ValueError: it is none.
    """
    dag_id, slash, run_id = text.partition("/")
    if not (dag_id and slash and run_id):
        raise ValueError("expected DAG_ID/RUN_ID")
    return dag_id, run_id


def split_task_instance_id(text: str) -> tuple[str, str, str, int]:
    """DAG id, run id, task id and map index; the inverse of `task_instance_id`.

    Raises:
        ValueError: it is none.
    """
    run, slash, rest = text.rpartition("/")
    run, second, task_id = run.rpartition("/")
    map_index = _number(rest)
    if not (slash and second and task_id) or map_index is None:
        raise ValueError("expected DAG_ID/RUN_ID/TASK_ID/MAP_INDEX")
    return *split_dag_run_id(run), task_id, map_index
