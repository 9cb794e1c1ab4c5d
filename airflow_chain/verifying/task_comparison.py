"""Airflow's rows against what was recorded: tries of task instances. Pure.

Airflow gives each try an id of its own and keeps the rows of earlier tries; so a retry, or a
cleared task, changes no row that was recorded, and is no difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass

from airflow_chain import keys
from airflow_chain.keys import DagRunKey, TaskKey
from airflow_chain.verifying.deleted import Deleted
from airflow_chain.verifying.missing_events import ran, to_key
from airflow_chain.verifying.names import name_task, to_parts
from airflow_chain.verifying.records import (
    FINISHED,
    LOCAL,
    SKEW_US,
    Item,
    Recorded,
    RunRecord,
    TaskTry,
)
from chain_client.events import Json
from chain_client.hosts import Finding

TASK_CHANGED = "task_instance_changed"
TASK_MISSING = "task_instance_missing"
TASK_UNRECORDED = "task_instance_unrecorded"

_FIELDS = ("try_number", "operator", "started_us", "ended_us")
_STATES = {
    keys.TASK_SUCCEEDED: ("success",),
    keys.TASK_FAILED: ("failed",),
    keys.TASK_SKIPPED: ("skipped",),
    keys.TASK_RETRY_SCHEDULED: ("up_for_retry", "failed"),
}
_FAILED = "failed"
_REMOVED = "removed"
"""Airflow gives it to any task instance whose task is not in the DAG any more."""
_LASTING = frozenset({"success", "failed", "skipped"})
"""States that only clearing changes while the run goes on; that gives the try another id."""


@dataclass(frozen=True, slots=True)
class _Other:
    """A row whose id was never recorded, of a task instance that was, under another id."""

    key: TaskKey
    item: Item
    run: RunRecord
    recorded: Item


class TaskComparison:
    """Compares the rows of tries; see `comparison.Comparison`.

    Args:
        recorded: what the events say.
        deleted: what Airflow tells of deletions; complete before the first row.
        final: runs that have ended, by their rows; complete before the first row.
    """

    def __init__(self, recorded: Recorded, deleted: Deleted, final: Set[DagRunKey]) -> None:
        self._recorded = recorded
        self._deleted = deleted
        self._final = final
        self._seen: set[str] = set()
        self._history: set[tuple[TaskKey, int]] = set()
        self._moved: set[TaskKey] = set()
        self._others: list[_Other] = []
        self._denied: dict[DagRunKey, int] = {}

    def take(
        self, run_key: DagRunKey, item: Item, *, history: bool, denied: bool
    ) -> Iterator[Finding]:
        """Compare a row.

        Args:
            run_key: its DAG run.
            item: as `mapping.final_states.to_item` gives it.
            history: whether it is an earlier try.
            denied: whether the policy leaves it out now.
        """
        run = self._recorded.runs.get(run_key)
        if run is None:
            return
        key = to_key(run, item)
        ti_id = item["ti_id"]
        held, known = run.items.get(ti_id), self._recorded.tries.get(ti_id)
        if history:
            self._history.add((key, item["try_number"]))
        elif ti_id not in run.latest:
            self._moved.add(key)
        if held is not None or known is not None:
            self._seen.add(ti_id)
            yield from self._compare(key, item, run, held, known, history)
        elif not history and run_key in self._final and run.end is not None and not run.unread:
            yield from self._take_unknown(key, item, run, denied)

    def finish(self, present: Set[DagRunKey]) -> Iterator[Finding]:
        """What was recorded and is not there.

        Args:
            present: runs that are there; of others nothing is said here.
        """
        replaced = set()
        for other in self._others:
            is_moved = other.recorded["ti_id"] in self._seen or self._has_history(
                other.key, other.recorded["ti_id"], other.recorded
            )
            # In a run that has ended, another id has a state only with another recorded end.
            if not is_moved or other.item["state"] in FINISHED - {_REMOVED}:
                replaced.add(other.recorded["ti_id"])
                yield self._changed(
                    other.key, other.item, {"ti_id": other.recorded["ti_id"]},
                    {"ti_id": other.item["ti_id"]}, other.run.last_us,
                )  # fmt: skip
        for run_key in present:
            run = self._recorded.runs.get(run_key)
            if run is None:
                continue
            for ti_id, (time_us, item) in run.items.items():
                if ti_id not in self._seen and ti_id not in replaced:
                    key = to_key(run, item)
                    yield from self._find_missing(run, key, item, time_us)
        for ti_id, known in self._recorded.tries.items():
            run = self._recorded.runs.get(known.key.dag_run) or RunRecord(known.key.dag_run)
            is_told = ti_id in self._seen or ti_id in run.items
            if not is_told and run.key in present:
                item = {
                    "ti_id": ti_id,
                    "try_number": known.try_number,
                    "started_us": None,
                    "pid": None,
                    "state": None,
                }
                yield from self._find_missing(run, known.key, item, known.last_own[0])

    def _compare(
        self,
        key: TaskKey,
        item: Item,
        run: RunRecord,
        held: tuple[int, Item] | None,
        known: TaskTry | None,
        history: bool,
    ) -> Iterator[Finding]:
        expected: dict[str, Json] = {}
        actual: dict[str, Json] = {}
        states = _states_of_end(held, known) if held is not None else _states_of_events(known)
        if history:
            # Airflow calls a try failed that it puts aside before it has ended.
            unfinished = held is None or held[1]["state"] not in FINISHED
            states = states | {_FAILED} if states and unfinished else states
        elif run.key not in self._final:
            # It goes on: what had not ended may have changed, and will be told at its next end.
            states = states | {_REMOVED} if states and states <= _LASTING else set()
        if states and item["state"] not in states:
            expected["state"] = _shown(states)
            actual["state"] = item["state"]
        if held is not None and held[1]["state"] in FINISHED:
            for name in _FIELDS:
                if held[1][name] is not None and held[1][name] != item[name]:
                    expected[name], actual[name] = held[1][name], item[name]
        if expected:
            when = run.last_us if held is None else held[0]
            yield self._changed(key, item, expected, actual, when)

    def _take_unknown(
        self, key: TaskKey, item: Item, run: RunRecord, denied: bool
    ) -> Iterator[Finding]:
        for ti_id in run.latest:
            recorded = run.items[ti_id][1]
            if (recorded["task_id"], recorded["map_index"]) == (key.task_id, key.map_index):
                self._others.append(_Other(key, item, run, recorded))
                return
        left = self._denied.setdefault(run.key, run.denied)
        if denied or left > 0:
            self._denied[run.key] = left - 1
            return
        yield Finding(
            TASK_UNRECORDED,
            name_task(key, item["try_number"]),
            None,
            to_parts(key, item["try_number"], state=item["state"], ti_id=item["ti_id"]),
            "Airflow's database has this task instance, and the end of its DAG run was recorded "
            "without it",
            run.last_us,
        )

    def _find_missing(
        self, run: RunRecord, key: TaskKey, item: Item, when_us: int
    ) -> Iterator[Finding]:
        ti_id, try_number = item["ti_id"], item["try_number"]
        if self._has_history(key, ti_id, item):
            return
        is_current = run.end is not None and ti_id in run.latest
        if not is_current and any(
            end.component == LOCAL and end.time_us >= when_us for end in run.ends
        ):
            return  # `dag.test()` deletes a run whose place it takes
        if self._deleted.has_try(key, ti_id, item["started_us"], when_us, is_current=is_current):
            return
        yield Finding(
            TASK_MISSING,
            name_task(key, try_number),
            to_parts(key, try_number, state=item["state"], ti_id=ti_id),
            None,
            "this try was recorded, and neither is it in Airflow's database, nor does Airflow's "
            "audit log or a table of `airflow db clean` tell that it was deleted on purpose",
            when_us,
        )

    def _has_history(self, key: TaskKey, ti_id: str, item: Item) -> bool:
        """Whether another row stands for a try, as of one that was cleared before it ran.

        Airflow keeps one row for each number of a try, and gives a try another number when it
        is to run; so of two with one number, only the one that never ran may have no row.
        """
        known = self._recorded.tries.get(ti_id)
        return (
            (key, item["try_number"]) in self._history
            and not ran(item)
            and (known is None or not known.own)
            and (key in self._moved or self._is_there(key))
        )

    def _is_there(self, key: TaskKey) -> bool:
        """Whether the task instance has its newest row, under an id that was recorded."""
        run = self._recorded.runs.get(key.dag_run)
        return run is not None and any(
            ti_id in self._seen and to_key(run, run.items[ti_id][1]) == key for ti_id in run.latest
        )

    def _changed(
        self,
        key: TaskKey,
        item: Item,
        expected: dict[str, Json],
        actual: dict[str, Json],
        when_us: int,
    ) -> Finding:
        return Finding(
            TASK_CHANGED,
            name_task(key, item["try_number"]),
            expected,
            actual,
            f"Airflow's database says another {', '.join(expected)} of this task instance than "
            "was recorded",
            when_us,
        )


def _states_of_end(held: tuple[int, Item] | None, known: TaskTry | None) -> set[str | None]:
    """Which states may be the last that was recorded, of the run's end and what people did."""
    told: list[tuple[int, str | None]] = [] if held is None else [(held[0], held[1]["state"])]
    told += [] if known is None else known.marks
    last = max(time_us for time_us, _ in told)
    return {state for time_us, state in told if time_us >= last - SKEW_US}


def _states_of_events(known: TaskTry | None) -> set[str | None]:
    """Which states a try may have of which no run's end tells; empty if nobody can say."""
    if known is None:
        return set()
    found: set[str | None] = {state for _, state in known.marks}
    for event_type in (*known.own, *known.seen_ends):
        found.update(_STATES.get(event_type, ()))
    return found


def _shown(states: set[str | None]) -> Json:
    shown: list[Json] = [*sorted(str(state) for state in states)]
    return shown[0] if len(shown) == 1 else shown
