"""What the log alone shows to be untrue: a run's end has a success that nothing recorded explains.

Whoever writes into Airflow's database while a DAG run goes on lets the scheduler believe it, and
the end of the run says what the scheduler believed. But a task succeeds only if its own process
says so, or a person, or because its graph says that it needs no process. Other states Airflow
gives by itself, in ways that call no hook, so nothing is said of those.
"""

from __future__ import annotations

from collections.abc import Iterator

from airflow_chain import keys
from airflow_chain.verifying.missing_events import PAUSED, ran, to_key
from airflow_chain.verifying.names import name_task, to_parts
from airflow_chain.verifying.records import LOCAL, SKEW_US, Item, Recorded, RunRecord, TaskTry
from chain_client.events import Json
from chain_client.hosts import Finding

TASK_STATE_UNEXPLAINED = "task_state_unexplained"

_SUCCESS = "success"
_STATES = {
    keys.TASK_SUCCEEDED: _SUCCESS,
    keys.TASK_FAILED: "failed",
    keys.TASK_SKIPPED: "skipped",
    keys.TASK_RETRY_SCHEDULED: "up_for_retry",
}


def find_unexplained_states(recorded: Recorded) -> Iterator[Finding]:
    """Each try that succeeded by the end of its run, and by nothing else that was recorded."""
    of_tasks = {source for known in recorded.tries.values() for source in known.sources}
    blind_us = max((at for one, at in recorded.lossy.items() if one not in of_tasks), default=0)
    for run in recorded.runs.values():
        for ti_id, (time_us, item) in run.items.items():
            known = recorded.tries.get(ti_id)
            if (
                item["state"] != _SUCCESS
                or item["task_id"] in recorded.idle.get(run.key.dag_id, ())
                or run.is_marked(item)
                # What a person did may be among the records that a process lost.
                or blind_us >= min(run.first_us, time_us) - SKEW_US
            ):
                continue
            told = _told(known)
            if told and _SUCCESS not in told and not _may_go_on(known, recorded):
                yield _contradicted(run, item, told, time_us)
            elif not told and (known is None or not known.own) and _cannot(recorded, run, item):
                yield _never_ran(run, item, time_us)


def _told(known: TaskTry | None) -> set[str]:
    """The states that its own process, the scheduler and people gave a try."""
    if known is None:
        return set()
    ends = {_STATES[type] for type in (*known.own, *known.seen_ends) if type in _STATES}
    return ends | {state for _, state in known.marks}


def _may_go_on(known: TaskTry | None, recorded: Recorded) -> bool:
    """Whether a trigger may have ended it, or its own process may have told more."""
    if known is None:
        return False
    return known.last_own[1] in PAUSED or bool(known.sources & recorded.lossy.keys())


def _cannot(recorded: Recorded, run: RunRecord, item: Item) -> bool:
    """Whether no process ran a try, and its graph says that it needs one."""
    if (
        ran(item)
        or run.is_before(item)
        or not run.whole
        or any(end.component == LOCAL for end in run.ends)
    ):
        return False  # `dag.test()` can be told to mark tasks as successful
    task_id = item["task_id"]
    graphs = [recorded.graphs[one] for one in run.graphs if one in recorded.graphs]
    operators = {graph[task_id].operator for graph in graphs if task_id in graph}
    # Its DAG may have had a graph in between, in which it was another task.
    is_other = len(run.graphs) > 1 and item["operator"] not in operators
    return bool(operators) and len(graphs) == len(run.graphs) and not is_other


def _contradicted(run: RunRecord, item: Item, told: set[str], when_us: int) -> Finding:
    shown: list[Json] = [*sorted(told)]
    return Finding(
        TASK_STATE_UNEXPLAINED,
        name_task(to_key(run, item), item["try_number"]),
        {"state": shown[0] if len(shown) == 1 else shown},
        {"state": _SUCCESS},
        "when its DAG run ended Airflow's database said success of this try, of which another end "
        "had been recorded, and nobody recorded that a person gave it that state",
        when_us,
    )


def _never_ran(run: RunRecord, item: Item, when_us: int) -> Finding:
    key = to_key(run, item)
    return Finding(
        TASK_STATE_UNEXPLAINED,
        name_task(key, item["try_number"]),
        None,
        to_parts(key, item["try_number"], state=_SUCCESS, ti_id=item["ti_id"]),
        "when its DAG run ended Airflow's database said success of this try, which no process ran, "
        "though its graph says that it needs one, and nobody recorded that a person gave it that "
        "state",
        when_us,
    )
