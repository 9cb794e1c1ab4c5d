"""What was deleted on purpose, as far as Airflow itself tells. Pure.

It tells by its audit log, which notes what its API and its commands delete, and by the tables in
which ``airflow db clean`` puts aside what it deletes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_chain.keys import DagRunKey, TaskKey
from airflow_chain.verifying.records import SKEW_US

_RUNS = frozenset({"dag_run"})
_TASKS = frozenset({"task_instance", "task_instance_history"})


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What one ``airflow db clean`` was told to delete.

    Args:
        before_us: what began before.
        when_us: when it was told so.
        tables: in which; empty: in all.
        dag_ids: of which DAGs; empty: of all.
        excluded: of which DAGs not.
        is_sure: whether it asked nobody before it did so.
    """

    before_us: int
    when_us: int
    tables: frozenset[str]
    dag_ids: frozenset[str]
    excluded: frozenset[str]
    is_sure: bool

    def names(self, dag_id: str, tables: frozenset[str]) -> bool:
        """Whether it was to delete of a DAG in any of some tables."""
        return (
            (not self.tables or bool(self.tables & tables))
            and (not self.dag_ids or dag_id in self.dag_ids)
            and dag_id not in self.excluded
        )


@dataclass(slots=True)
class Deleted:
    """What Airflow tells of deletions.

    Args:
        archived_runs: that a clean-up has put aside.
        archived_tries: likewise, by Airflow's id of the try.
        times: of deletions, by DAG, by DAG and run, or by DAG, run and task.
        cleaned: what clean-ups were told to delete.
        dropped_us: when the tables of clean-ups were dropped last; 0 if never.
    """

    archived_runs: set[DagRunKey] = field(default_factory=set)
    archived_tries: set[str] = field(default_factory=set)
    times: dict[tuple[str, ...], int] = field(default_factory=dict)
    cleaned: list[Cleaned] = field(default_factory=list)
    dropped_us: int = 0

    def take(self, told: dict[str, Any]) -> None:
        """Add one ``deletion`` of `airflow_chain.reading`."""
        when = told["time_us"] or 0
        if "before_us" in told:
            self.cleaned.append(
                Cleaned(
                    told["before_us"],
                    when,
                    tables=frozenset(told["tables"]),
                    dag_ids=frozenset(told["dag_ids"]),
                    excluded=frozenset(told["excluded"]),
                    is_sure=told["is_sure"],
                )
            )
            return
        if "dropped" in told:
            self.dropped_us = max(self.dropped_us, when)
            return
        names = ("dag_id", "run_id", "task_id")
        key = tuple(told[name] for name in names if told.get(name) is not None)
        self.times[key] = max(self.times.get(key, 0), when)

    def has_run(self, key: DagRunKey, started_us: int | None, last_us: int) -> bool:
        """Whether a run was deleted after the last that was recorded of it."""
        if key in self.archived_runs:
            return True
        when = max(self.times.get((key.dag_id,), 0), self.times.get((key.dag_id, key.run_id), 0))
        return when >= last_us - SKEW_US or self._cleaned(key.dag_id, _RUNS, started_us, last_us)

    def has_try(
        self,
        key: TaskKey,
        ti_id: str,
        started_us: int | None,
        last_us: int,
        *,
        is_current: bool,
    ) -> bool:
        """Whether a try was, for itself or with its run, of which there is another one since.

        Args:
            key: of its task instance.
            ti_id: Airflow's id of the try.
            started_us: when it began.
            last_us: the last that was recorded of it.
            is_current: whether the latest recorded end of the run that is there now has it.
        """
        if ti_id in self.archived_tries:
            return True
        if key.dag_run in self.archived_runs and not is_current:
            return True
        whole = (key.dag_id, key.run_id, key.task_id)
        when = max(self.times.get(whole[:count], 0) for count in (1, 2, 3))
        return when >= last_us - SKEW_US or self._cleaned(key.dag_id, _TASKS, started_us, last_us)

    def _cleaned(
        self, dag_id: str, tables: frozenset[str], started_us: int | None, last_us: int
    ) -> bool:
        return any(
            one.names(dag_id, tables)
            and (started_us is not None and started_us < one.before_us)
            and one.when_us >= last_us - SKEW_US
            # Where it is not sure that it was done, the tables tell, until they are dropped.
            and (one.is_sure or self.dropped_us >= one.when_us)
            for one in self.cleaned
        )
