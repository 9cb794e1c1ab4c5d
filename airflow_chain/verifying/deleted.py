"""What was deleted on purpose, as far as Airflow itself tells. Pure.

It tells by its audit log, which notes what its API and its commands delete, and by the tables in
which ``airflow db clean`` puts aside what it deletes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_chain.keys import DagRunKey, TaskKey
from airflow_chain.verifying.records import SKEW_US

_RUNS = "dag_run"
_TASKS = frozenset({"task_instance", "task_instance_history"})


@dataclass(slots=True)
class Deleted:
    """What Airflow tells of deletions.

    Args:
        archived_runs: that a clean-up has put aside.
        archived_tries: likewise, by Airflow's id of the try.
        times: of deletions, by DAG, by DAG and run, or by DAG, run and task.
        cleaned: until when, in which tables (empty: in all), and when that was done.
    """

    archived_runs: set[DagRunKey] = field(default_factory=set)
    archived_tries: set[str] = field(default_factory=set)
    times: dict[tuple[str, ...], int] = field(default_factory=dict)
    cleaned: list[tuple[int, frozenset[str], int]] = field(default_factory=list)

    def take(self, told: dict[str, Any]) -> None:
        """Add one ``deletion`` of `airflow_chain.reading`."""
        when = told["time_us"] or 0
        if "before_us" in told:
            self.cleaned.append((told["before_us"], frozenset(told["tables"]), when))
            return
        names = ("dag_id", "run_id", "task_id")
        key = tuple(told[name] for name in names if told.get(name) is not None)
        self.times[key] = max(self.times.get(key, 0), when)

    def has_run(self, key: DagRunKey, started_us: int | None, last_us: int) -> bool:
        """Whether a run was deleted after the last that was recorded of it."""
        if key in self.archived_runs:
            return True
        when = max(self.times.get((key.dag_id,), 0), self.times.get((key.dag_id, key.run_id), 0))
        return when >= last_us - SKEW_US or self._cleaned({_RUNS}, started_us, last_us)

    def has_try(self, key: TaskKey, ti_id: str, started_us: int | None, last_us: int) -> bool:
        """Whether a try was, for itself."""
        if ti_id in self.archived_tries:
            return True
        when = self.times.get((key.dag_id, key.run_id, key.task_id), 0)
        return when >= last_us - SKEW_US or self._cleaned(_TASKS, started_us, last_us)

    def _cleaned(
        self, tables: set[str] | frozenset[str], started_us: int | None, last_us: int
    ) -> bool:
        return any(
            (not named or named & tables)
            and (started_us is not None and started_us < before)
            and when >= last_us - SKEW_US
            for before, named, when in self.cleaned
        )
