"""What the recorded things of Airflow are called: kinds and ids of subjects, types of events; pure.

The `store` of every subject is the name of the Airflow (`[mlops_chain] name`).
"""

from __future__ import annotations

from dataclasses import dataclass

from chain_client import running_in
from chain_client.running_in import DAG_RUN, DAG_VERSION, TASK_INSTANCE, UNMAPPED

__all__ = [
    "ADAPTER",
    "DAG_RUN",
    "DAG_RUN_FAILED",
    "DAG_RUN_MARKED",
    "DAG_RUN_RECONCILED",
    "DAG_RUN_STARTED",
    "DAG_RUN_SUCCEEDED",
    "DAG_VERSION",
    "DAG_VERSION_RECORDED",
    "TASK_DEFERRED",
    "TASK_FAILED",
    "TASK_INSTANCE",
    "TASK_MARKED",
    "TASK_POKED",
    "TASK_RESCHEDULED",
    "TASK_RESUMED",
    "TASK_RETRY_SCHEDULED",
    "TASK_SKIPPED",
    "TASK_STARTED",
    "TASK_SUCCEEDED",
    "UNMAPPED",
    "DagRunKey",
    "DagVersionKey",
    "TaskKey",
]

ADAPTER = "airflow"
"""Name of this adapter in the entry point group ``mlops_chain`` and in store bindings."""

TASK_STARTED = "task_instance.started"
"""The first time that a try begins to run its code."""
TASK_RESUMED = "task_instance.resumed"
"""The same try goes on after a deferral."""
TASK_POKED = "task_instance.poked"
"""The same try of a sensor in mode ``reschedule`` looks again."""
TASK_SUCCEEDED = "task_instance.succeeded"
TASK_FAILED = "task_instance.failed"
TASK_RETRY_SCHEDULED = "task_instance.retry_scheduled"
"""The try failed, and another one follows."""
TASK_SKIPPED = "task_instance.skipped"
TASK_DEFERRED = "task_instance.deferred"
"""The task's process ended, and a trigger waits for it."""
TASK_RESCHEDULED = "task_instance.rescheduled"
"""The task's process ended, and the same try is called again later."""
TASK_MARKED = "task_instance.marked"
"""A person gave it a state."""

DAG_RUN_STARTED = "dag_run.started"
DAG_RUN_SUCCEEDED = "dag_run.succeeded"
DAG_RUN_FAILED = "dag_run.failed"
DAG_RUN_MARKED = "dag_run.marked"
"""A person gave it a state."""
DAG_RUN_RECONCILED = "dag_run.reconciled"
"""What the metadata database said of it and its task instances later."""

DAG_VERSION_RECORDED = "dag_version.recorded"
"""A graph that a DAG had; once for each."""


@dataclass(frozen=True, slots=True, order=True)
class DagRunKey:
    """A run of a DAG.

    Args:
        dag_id: without a slash, as Airflow demands.
        run_id: may hold slashes.
    """

    dag_id: str
    run_id: str

    def to_id(self) -> str:
        """Id of the subject.

        Example:
            >>> DagRunKey("train", "manual__2026").to_id()
            'train/manual__2026'
        """
        return running_in.dag_run_id(self.dag_id, self.run_id)

    @classmethod
    def from_id(cls, id: str) -> DagRunKey:
        """The key that an id was made of.

        Raises:
            ValueError: it is no such id.
        """
        return cls(*running_in.split_dag_run_id(id))


@dataclass(frozen=True, slots=True, order=True)
class TaskKey:
    """A task instance, whatever its try.

    Args:
        dag_id: without a slash, as Airflow demands.
        run_id: may hold slashes.
        task_id: without a slash, as Airflow demands.
        map_index: `UNMAPPED` if it is not mapped.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = UNMAPPED

    @property
    def dag_run(self) -> DagRunKey:
        """The DAG run that it belongs to."""
        return DagRunKey(self.dag_id, self.run_id)

    def to_id(self) -> str:
        """Id of the subject.

        Example:
            >>> TaskKey("train", "manual__2026", "fit").to_id()
            'train/manual__2026/fit/-1'
        """
        return running_in.task_instance_id(self.dag_id, self.run_id, self.task_id, self.map_index)

    @classmethod
    def from_id(cls, id: str) -> TaskKey:
        """The key that an id was made of.

        Raises:
            ValueError: it is no such id.
        """
        return cls(*running_in.split_task_instance_id(id))


@dataclass(frozen=True, slots=True, order=True)
class DagVersionKey:
    """One graph of a DAG.

    Args:
        dag_id: without a slash, as Airflow demands.
        graph_sha256: of the canonical graph, 64 hexadecimal digits.
    """

    dag_id: str
    graph_sha256: str

    def to_id(self) -> str:
        """Id of the subject."""
        return f"{self.dag_id}/{self.graph_sha256}"

    @classmethod
    def from_id(cls, id: str) -> DagVersionKey:
        """The key that an id was made of.

        Raises:
            ValueError: it is no such id.
        """
        dag_id, slash, graph_sha256 = id.partition("/")
        if not slash or len(graph_sha256) != 64:
            raise ValueError(f"no id of a DAG version: {id!r}")
        return cls(dag_id, graph_sha256)
