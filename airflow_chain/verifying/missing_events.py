"""What the log alone shows to be missing: a run's end says that a task ran, and no event does.

A try whose process was killed, that was marked by a person, or of which the reconciler said that
its events were lost, is no finding: Airflow's hooks leave such holes. Nor is a failure without its
event: what was removed of one shows as a gap in its source, with the name of what stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from airflow_chain import keys
from airflow_chain.keys import TaskKey
from airflow_chain.verifying.names import name_task, to_parts
from airflow_chain.verifying.records import (
    SKEW_US,
    Item,
    Recorded,
    RunRecord,
    TaskTry,
)
from chain_client.hosts import Finding

TASK_EVENT_MISSING = "task_event_missing"

BEGAN = frozenset({keys.TASK_STARTED, keys.TASK_RESUMED, keys.TASK_POKED})
ENDED = frozenset(
    {keys.TASK_SUCCEEDED, keys.TASK_FAILED, keys.TASK_SKIPPED, keys.TASK_RETRY_SCHEDULED}
)
PAUSED = frozenset({keys.TASK_DEFERRED, keys.TASK_RESCHEDULED})
_NO_RUN = RunRecord(keys.DagRunKey("", ""))


def find_missing_events(recorded: Recorded) -> Iterator[Finding]:
    """Each try of which something must have been recorded and is not there."""
    for run in recorded.runs.values():
        for ti_id, (time_us, item) in run.items.items():
            known = recorded.tries.get(ti_id)
            if (known is None or not known.own) and _must_have_run(run, item, known):
                key = to_key(run, item)
                yield _missing(
                    key,
                    item["try_number"],
                    keys.TASK_SUCCEEDED,
                    "the end of its DAG run says that a process ran it and that it succeeded, and "
                    "nothing that this process recorded is in the log",
                    time_us,
                )
    for known in recorded.tries.values():
        run = recorded.runs.get(known.key.dag_run, _NO_RUN)
        if known.own and known.ti_id not in run.lost and not known.sources & recorded.lossy.keys():
            yield from _find_of(known, run, recorded)


def to_key(run: RunRecord, item: Item) -> TaskKey:
    """The task instance that an item of a run's end is about."""
    return TaskKey(run.key.dag_id, run.key.run_id, item["task_id"], item["map_index"])


def ran(item: Item) -> bool:
    """Whether a process of this very try ran it, and not only one of a try before.

    A cleared task instance gets a new id, a UUIDv7, and keeps pid and start of the try before.
    """
    if item["pid"] is None or item["started_us"] is None:
        return False
    found = UUID(item["ti_id"])
    born_us = (found.int >> 80) * 1000 if found.version == 7 else 0
    return bool(item["started_us"] >= born_us)


def _must_have_run(run: RunRecord, item: Item, known: TaskTry | None) -> bool:
    """Whether only its own process can have given it the state ``success``."""
    return (
        item["state"] == "success"
        and item["ti_id"] not in run.lost
        and not (known is not None and known.marks)
        and not by_mark_of_run(run, item)
        and not run.is_before(item)
        and ran(item)
    )


def by_mark_of_run(run: RunRecord, item: Item) -> bool:
    """Whether a person may have ended it by giving the whole run a state.

    Airflow 3.1 gives that state to tasks that had ended before, too, and leaves the times of those.
    """
    ended_us = item["ended_us"]
    return run.is_marked(item) or any(
        ended_us is None or ended_us >= mark - SKEW_US for mark in run.marks
    )


def _find_of(known: TaskTry, run: RunRecord, recorded: Recorded) -> Iterator[Finding]:
    types = set(known.own)
    if types & ENDED and not types & BEGAN:
        yield _missing(
            known.key,
            known.try_number,
            keys.TASK_STARTED,
            "its process recorded how it ended, and that it began is not in the log",
            known.last_own[0],
        )
    if types & ENDED or known.seen_ends or known.marks or known.last_own[1] in PAUSED:
        return
    held = run.items.get(known.ti_id)
    if held is None or not known.sources <= recorded.closed:
        return
    item = held[1]
    # Only a task itself can make Airflow believe that it succeeded. That it failed, or is skipped,
    # Airflow may decide without it: by `fail_fast`, by a time-out of the run.
    if item["state"] != "success" or by_mark_of_run(run, item):
        return
    yield _missing(
        known.key,
        item["try_number"],
        keys.TASK_SUCCEEDED,
        "its process recorded that it began, and ended in order, the end of its DAG run says "
        "success, and what the process recorded of that is not in the log",
        held[0],
    )


def _missing(
    key: TaskKey, try_number: int | None, event_type: str, why: str, recorded_us: int
) -> Finding:
    return Finding(
        TASK_EVENT_MISSING,
        name_task(key, try_number),
        to_parts(key, try_number, event=event_type),
        None,
        f"{event_type} of task {key.task_id}, try {try_number}, in run {key.run_id} of DAG "
        f"{key.dag_id}: {why}",
        recorded_us,
    )
