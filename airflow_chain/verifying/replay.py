"""From events to what they say of DAG runs and tries. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_chain import keys
from airflow_chain.keys import DagRunKey, TaskKey
from airflow_chain.mapping.disclosing import digest_disclosed
from airflow_chain.verifying.names import name_event
from airflow_chain.verifying.records import (
    FINAL,
    LOCAL,
    GraphTask,
    Recorded,
    RunEnd,
    RunRecord,
    TaskTry,
)
from chain_client import records
from chain_client.events import Event

_ENDED = frozenset(
    {
        keys.TASK_SUCCEEDED,
        keys.TASK_FAILED,
        keys.TASK_RETRY_SCHEDULED,
        keys.TASK_SKIPPED,
    }
)
_WITH_ROWS = frozenset({"scheduler", "api_server"})
_OWN = "task"
"""The component whose events are those of a task's own process."""


def replay(events: Iterable[Event]) -> Recorded:
    """What all events together say; in whatever order those of several processes stand.

    Events that are not about Airflow, or that have not the form of ours, say nothing here: the
    log's own check names what was edited.
    """
    found = Recorded()
    for event in events:
        try:
            take(found, event)
        except (KeyError, ValueError, TypeError, AttributeError):
            continue
    return found


def take(found: Recorded, event: Event) -> None:
    """Add one event.

    Raises:
        ValueError: or KeyError, TypeError, AttributeError: it has not the form of ours.
    """
    if _component_of(event.payload) in _WITH_ROWS:
        source = bytes(event.source_id)
        if source not in found.components:
            found.components[source] = event.time_us, name_event(event)
    if event.subject.kind == keys.DAG_RUN:
        _take_run(found, event)
    elif event.subject.kind == keys.TASK_INSTANCE:
        _take_task(found, event)
    elif event.type == keys.DAG_VERSION_RECORDED:
        _take_graph(found, event.payload)
    elif event.type == records.SOURCE_CLOSED:
        found.closed.add(bytes(event.source_id))
    elif event.type == records.RECORDS_LOST:
        source = bytes(event.source_id)
        found.lossy[source] = max(found.lossy.get(source, 0), event.time_us)


def _component_of(payload: Mapping[str, Any]) -> str:
    observer = payload.get("observer")
    return str(observer.get("component")) if isinstance(observer, Mapping) else ""


def _take_run(found: Recorded, event: Event) -> None:
    run = found.run(DagRunKey.from_id(event.subject.id))
    payload: Mapping[str, Any] = event.payload
    run.first_us = min(run.first_us or event.time_us, event.time_us)
    run.last_us = max(run.last_us, event.time_us)
    if "graph" in payload:
        run.graphs.add(str(payload["graph"]))
    is_first = found.began_us is None or event.time_us < found.began_us
    if event.type == keys.DAG_RUN_STARTED:
        run.started_us = max(run.started_us, event.time_us)
        run.whole = run.whole or not payload["dag_run"].get("clear_number")
    elif event.type in (
        keys.DAG_RUN_SUCCEEDED,
        keys.DAG_RUN_FAILED,
        keys.DAG_RUN_MARKED,
        keys.DAG_RUN_RECONCILED,
    ):
        _take_end(run, event, payload)
        is_first = is_first and event.type != keys.DAG_RUN_RECONCILED
    if is_first:
        found.began_us = event.time_us


def _take_end(run: RunRecord, event: Event, payload: Mapping[str, Any]) -> None:
    marked = event.type == keys.DAG_RUN_MARKED
    reconciled = event.type == keys.DAG_RUN_RECONCILED
    component = _component_of(payload)
    run.whole = run.whole or component == LOCAL
    if marked:
        run.marks.append(event.time_us)
        _take_marked(run, payload)
    for lost in payload.get("lost", ()):
        run.lost.add(lost["ti_id"])
    item = payload["dag_run"]
    if item.get("state") not in FINAL:
        return  # a person gave it a state that it has only after its teardown tasks
    items = payload.get("task_instances", ())
    for task in items:
        known = run.items.get(task["ti_id"])
        if known is None or known[0] <= event.time_us:
            run.items[task["ti_id"]] = (event.time_us, task)
    is_new = not run.ends or event.time_us >= run.ends[-1].time_us
    same_end = bool(run.ends) and item.get("ended_us") == run.ends[-1].item.get("ended_us")
    ids = {task["ti_id"] for task in items}
    denied = int(payload.get("task_instances_denied", 0))
    if denied:
        run.denying.append((event.time_us, ids))
    number, count = payload.get("part", (1, 1))
    if reconciled and same_end:
        # It fills in what the end itself left out, in as many parts as it takes.
        run.latest |= ids
        if "task_instances" in payload:
            run.parts.add(number)
            run.unread = len(run.parts) < count
    elif is_new:
        run.latest = ids
        run.parts = {number}
        run.unread = "task_instances" not in payload or count > 1
        run.denied = denied
    message = str(payload.get("message", ""))
    source = bytes(event.source_id)
    conf = digest_disclosed(payload.get("conf", {}))
    end = RunEnd(event.time_us, source, item, message, marked, reconciled, component, conf)
    run.ends.append(end)
    if not is_new:
        run.ends.sort(key=lambda end: end.time_us)


def _take_marked(run: RunRecord, payload: Mapping[str, Any]) -> None:
    run.marked_unread = run.marked_unread or "task_instances" not in payload
    for task in payload.get("task_instances", ()):
        run.marked.add((task["ti_id"], task["state"]))


def _take_graph(found: Recorded, payload: Mapping[str, Any]) -> None:
    graph = payload["graph"]
    tasks = {
        str(task["id"]): GraphTask(
            str(task["operator"]).rpartition(".")[2],
            bool(task.get("empty") or task.get("starts_in_trigger")),
        )
        for task in graph["tasks"]
    }
    found.graphs[str(payload["sha256"])] = tasks
    idle = found.idle.setdefault(str(graph["dag_id"]), set())
    idle.update(name for name, task in tasks.items() if task.idle)


def _take_task(found: Recorded, event: Event) -> None:
    payload: Mapping[str, Any] = event.payload
    ti_id = str(payload["ti_id"])
    known = found.tries.get(ti_id)
    if known is None:
        known = found.tries[ti_id] = TaskTry(TaskKey.from_id(event.subject.id), ti_id)
    if isinstance(payload.get("try_number"), int):
        known.try_number = payload["try_number"]
    if event.type == keys.TASK_MARKED:
        known.marks.append((event.time_us, str(payload.get("state"))))
    elif payload["observer"]["component"] == _OWN:
        known.own.append(event.type)
        known.last_own = max(known.last_own, (event.time_us, event.type))
        known.sources.add(bytes(event.source_id))
    elif event.type in _ENDED:
        known.seen_ends.add(event.type)
