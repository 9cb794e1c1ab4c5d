"""Which events of a try its process did not leave behind, by the try's row. Pure."""

from __future__ import annotations

from airflow_chain import keys
from airflow_chain.verifying.missing_events import (
    BEGAN,
    ENDED,
    PAUSED,
    by_mark_of_run,
    ran,
)
from airflow_chain.verifying.records import TIMED_OUT, Item, RunRecord, TaskTry

_END_OF = {
    "success": keys.TASK_SUCCEEDED,
    "failed": keys.TASK_FAILED,
    "skipped": keys.TASK_SKIPPED,
}


def find_lost(
    run: RunRecord, item: Item, known: TaskTry | None, *, history: bool = False
) -> list[str]:
    """Types of the events that a process must have recorded, had it lived and been able to.

    Args:
        run: what was recorded of the DAG run.
        item: the row of the try.
        known: what was recorded of the try.
        history: whether a later try followed.
    """
    state = item["state"]
    if state not in _END_OF or not ran(item) or (known is None and run.is_before(item)):
        return []
    own = set() if known is None else set(known.own)
    lost = []
    if not own & BEGAN:
        lost.append(keys.TASK_STARTED)
    is_marked = known is not None and (known.marks or known.last_own[1] in PAUSED)
    by_time_out = state == "skipped" and any(end.message == TIMED_OUT for end in run.ends)
    if not own & ENDED and not is_marked and not by_time_out and not by_mark_of_run(run, item):
        is_retried = history and state == "failed"
        lost.append(keys.TASK_RETRY_SCHEDULED if is_retried else _END_OF[state])
    return lost
