"""Airflow's rows against what was recorded: DAG runs. Pure.

Rows come in the order in which `airflow_chain.reading` gives them: deletions, runs, earlier tries,
newest tries. What is compared of tries is in `task_comparison`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_chain.keys import DagRunKey
from airflow_chain.verifying.deleted import Deleted
from airflow_chain.verifying.names import name_run
from airflow_chain.verifying.records import FINAL, SKEW_US, Item, Recorded, RunEnd, RunRecord
from airflow_chain.verifying.task_comparison import TaskComparison
from chain_client.events import Json
from chain_client.hosts import Finding, Remark

DAG_RUN_CHANGED = "dag_run_changed"
DAG_RUN_MISSING = "dag_run_missing"
DAG_RUN_UNRECORDED = "dag_run_unrecorded"

_FIELDS = ("state", "run_type", "row_id", "logical_us", "run_after_us", "started_us", "ended_us")
_AS_BEGUN = ("triggered_by", "interval_start_us", "interval_end_us")
_OR_NONE = ("bundle_version", "triggering_user_name")
"""What a run keeps from its beginning; the latter also if it had none."""
_RECONCILE = (
    "If its scheduler may have been unable to record, `mlops-chain airflow reconcile` records what "
    "the database says now, as what it is: read later"
)


class Comparison:
    """Compares line by line, with memory for what was recorded and no more.

    Args:
        recorded: what the events say.
        subject: what the remarks are about.
    """

    def __init__(self, recorded: Recorded, subject: str) -> None:
        self._recorded = recorded
        self._subject = subject
        self._deleted = Deleted()
        self._present: set[DagRunKey] = set()
        self._moments: set[tuple[str, int]] = set()
        self._final: set[DagRunKey] = set()
        self._cancelled: dict[DagRunKey, tuple[Item, bool]] = {}
        self._before = 0
        self._reconciled = 0
        self._gone = 0
        self._tasks = TaskComparison(recorded, self._deleted, self._final)

    def take(self, line: list[Any]) -> Iterator[Finding]:
        """Compare one line of `airflow_chain.reading.database`."""
        kind = line[0]
        if kind == "deletion":
            self._deleted.take(line[1])
        elif kind == "archived_dag_run":
            self._deleted.archived_runs.add(DagRunKey(line[1], line[2]))
        elif kind == "archived_task":
            self._deleted.archived_tries.add(line[1])
        elif kind == "dag_run":
            yield from self._take_run({**line[1], "conf": line[3]}, denied=line[2])
        elif kind in ("history", "task"):
            key, item = DagRunKey(line[1], line[2]), line[3]
            is_newest = kind == "task"
            if is_newest and key in self._cancelled and item["state"] not in (None, "removed"):
                # Of a run that was cancelled before it began, no task has a state.
                yield from self._judge(key, *self._cancelled.pop(key))
            yield from self._tasks.take(key, item, history=not is_newest, denied=line[4])

    def finish(self) -> Iterator[Finding | Remark]:
        """What was recorded and is not there, and what people should know beside it."""
        for key, run in self._recorded.runs.items():
            if key not in self._present and (run.ends or run.started_us):
                yield from self._find_missing(run)
        yield from self._tasks.finish(self._present)
        yield from self._remarks()

    def _take_run(self, item: Item, *, denied: bool) -> Iterator[Finding]:
        key = DagRunKey(item["dag_id"], item["run_id"])
        self._present.add(key)
        run = self._recorded.runs.get(key)
        if run is not None and item.get("logical_us") is not None:
            self._moments.add((key.dag_id, item["logical_us"]))
        if item.get("state") not in FINAL:
            return
        if _is_cancelled(item):
            self._cancelled[key] = item, denied
            return
        yield from self._judge(key, item, denied)

    def _judge(self, key: DagRunKey, item: Item, denied: bool) -> Iterator[Finding]:
        run = self._recorded.runs.get(key)
        self._final.add(key)
        if run is None or not (run.ends or run.started_us):
            if not denied:
                yield from self._find_unrecorded(key, item)
            return
        end = run.end
        if end is not None:
            self._reconciled += not run.seen
            yield from _compare_run(run, end, item)
        elif not denied:
            yield Finding(
                DAG_RUN_UNRECORDED,
                name_run(key),
                {"state": "running"},
                {"state": item["state"]},
                f"it was recorded that this run began, and not that it ended. {_RECONCILE}",
                run.last_us,
            )

    def _find_unrecorded(self, key: DagRunKey, item: Item) -> Iterator[Finding]:
        ended_us = item.get("ended_us") or item.get("run_after_us") or 0
        began_us = self._recorded.began_us
        if began_us is None or ended_us < began_us:
            self._before += 1
            return
        yield Finding(
            DAG_RUN_UNRECORDED,
            name_run(key),
            None,
            {name: item.get(name) for name in _FIELDS},
            "this run ended after recording had begun, and nothing of it was ever recorded. "
            + _RECONCILE,
        )

    def _find_missing(self, run: RunRecord) -> Iterator[Finding]:
        item: Item = run.ends[-1].item if run.ends else {}
        if self._deleted.has_run(run.key, item.get("started_us"), run.last_us):
            self._gone += 1
            return
        if (run.key.dag_id, item.get("logical_us")) in self._moments:
            # A run for the same logical date has taken its place, as `dag.test()` does it.
            self._gone += 1
            return
        yield Finding(
            DAG_RUN_MISSING,
            name_run(run.key),
            {name: item.get(name) for name in _FIELDS} if item else {"state": "running"},
            None,
            "this run was recorded, and neither is it in Airflow's database, nor does Airflow's "
            "audit log or a table of `airflow db clean` tell that it was deleted on purpose",
            run.last_us,
        )

    def _remarks(self) -> Iterator[Remark]:
        lost = sum(len(run.lost) for run in self._recorded.runs.values())
        told = (
            (self._before, "DAG run", "that ended before recording began"),
            (self._reconciled, "DAG run", "that the reconciler alone recorded, after the end"),
            (self._gone, "DAG run", "deleted on purpose, as Airflow tells"),
            (len(self._cancelled), "DAG run", "of a backfill that was cancelled before it began"),
            (lost, "try", "of a task of which the reconciler tells that events were lost"),
        )
        for count, one, what in told:
            if count:
                noun = one if count == 1 else {"try": "tries"}.get(one, f"{one}s")
                yield Remark(self._subject, f"{count} {noun} {what}")


def _is_cancelled(item: Item) -> bool:
    """Whether a run waited for its turn in a backfill that was cancelled: no hook is called."""
    never_began = item.get("started_us") is None and item.get("ended_us") is None
    return item["state"] == "failed" and item.get("backfill_id") is not None and never_began


def _compare_run(run: RunRecord, end: RunEnd, item: Item) -> Iterator[Finding]:
    differing = _differing(end, item)
    if not differing:
        return
    for other in run.ends:
        near = end.time_us - other.time_us <= SKEW_US and other.source_id != end.source_id
        if near and not _differing(other, item):
            return  # two machines recorded at about the same time: either may have been the last
    yield Finding(
        DAG_RUN_CHANGED,
        name_run(run.key),
        {name: before for name, (before, _) in differing.items()},
        {name: now for name, (_, now) in differing.items()},
        f"Airflow's database says another {', '.join(differing)} than was recorded at its end",
        end.time_us,
    )


def _differing(end: RunEnd, item: Item) -> dict[str, tuple[Json, Json]]:
    found: dict[str, tuple[Json, Json]] = {
        name: (end.item[name], item.get(name))
        for name in (*_FIELDS, *_AS_BEGUN, *_OR_NONE)
        if end.item.get(name) is not None and end.item[name] != item.get(name)
    }
    if "run_type" in end.item:  # else its row was not loaded when its end was recorded
        for name in _OR_NONE:
            if end.item.get(name) is None and item.get(name) is not None:
                found[name] = None, item[name]
    digests = item["conf"]
    if end.conf is not None and end.conf not in digests:
        found["conf"] = {"sha256": end.conf}, {"sha256": digests[0] if digests else None}
    return found
