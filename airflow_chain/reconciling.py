"""What a DAG run's end left out, read later and outside of the scheduler.

Recorded as it is: seen by the reconciler, after the fact. A difference between what was recorded
and what the database says is none of it: that is for verification to name.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_chain import keys
from airflow_chain.keys import DagRunKey
from airflow_chain.mapping.final_states import MOST_TASK_INSTANCES
from airflow_chain.verifying.lost_events import find_lost
from airflow_chain.verifying.records import FINAL, Item, RunRecord, TaskTry
from airflow_chain.verifying.replay import replay
from chain_client.events import Event, Json
from chain_client.hosts import Reading, Recorded

END_UNRECORDED = "end_unrecorded"
"""Nobody recorded how the run ended."""
TASKS_UNREAD = "task_instances_unread"
"""Its end was recorded, and it had too many task instances to be read in the scheduler."""
EVENTS_LOST = "task_events_lost"
"""Processes of tasks ran, and left less behind than they must have recorded."""


@dataclass(slots=True)
class _Open:
    """A run of which something may be to be recorded."""

    item: Item
    run: RunRecord
    tries: dict[str, TaskTry]
    reads_all: bool
    tasks: list[Item] = field(default_factory=list)
    lost: list[dict[str, Json]] = field(default_factory=list)


def reconcile(
    lines: Iterable[list[Any]], recorded: Recorded, *, until_us: int
) -> Iterator[Reading]:
    """What is to be recorded of DAG runs that have ended; see `chain_client.reconciles`.

    Args:
        lines: of `airflow_chain.reading.database`.
        recorded: gives what was recorded of a subject.
        until_us: runs that ended later are left out.
    """
    found: dict[DagRunKey, _Open] = {}
    for line in lines:
        if line[0] == "dag_run":
            item, denied = line[1], line[2]
            ended_us = item.get("ended_us") or 0
            if item.get("state") in FINAL and ended_us <= until_us and not denied:
                key = DagRunKey(item["dag_id"], item["run_id"])
                found[key] = _open(key, item, recorded)
        elif line[0] in ("history", "task"):
            opened = found.get(DagRunKey(line[1], line[2]))
            if opened is not None and not line[4]:
                _take(opened, line[3], history=line[0] == "history")
    for opened in found.values():
        yield from _readings(opened)


def _open(key: DagRunKey, item: Item, recorded: Recorded) -> _Open:
    known = replay(_events(key, recorded))
    run = known.run(key)
    return _Open(item, run, known.tries, reads_all=run.end is None or run.unread)


def _events(key: DagRunKey, recorded: Recorded) -> Iterator[Event]:
    yield from recorded(keys.DAG_RUN, key.to_id(), False)
    for event in recorded(keys.TASK_INSTANCE, f"{key.to_id()}/", True):
        # An id of a run may hold slashes: another run may begin like this one.
        if event.subject.id.rsplit("/", 2)[0] == key.to_id():
            yield event


def _take(opened: _Open, item: Item, *, history: bool) -> None:
    if opened.reads_all and not history:
        opened.tasks.append(item)
    ti_id = item["ti_id"]
    known = opened.tries.get(ti_id)
    if ti_id in opened.run.lost or not opened.run.seen:
        return  # of a run that no scheduler recorded, nothing can be said to be lost
    events = find_lost(opened.run, item, known, history=history)
    if events:
        opened.lost.append(
            {
                "task_id": item["task_id"],
                "map_index": item["map_index"],
                "try_number": item["try_number"],
                "ti_id": ti_id,
                "state": item["state"],
                "pid": item["pid"],
                "events": list(events),
            }
        )


def _readings(opened: _Open) -> Iterator[Reading]:
    reasons: list[Json] = []
    if opened.run.end is None:
        reasons.append(END_UNRECORDED)
    elif opened.run.unread:
        reasons.append(TASKS_UNREAD)
    if opened.lost:
        reasons.append(EVENTS_LOST)
    if not reasons:
        return
    tasks = sorted(opened.tasks, key=lambda item: (item["task_id"], item["map_index"]))
    task_parts = _split(tasks) if opened.reads_all else []
    lost_parts = _split(opened.lost)
    count = max(len(task_parts), len(lost_parts), 1)
    for number in range(count):
        payload: dict[str, Json] = {
            "dag_run": dict(opened.item),
            "reasons": reasons,
            "seen_by_scheduler": opened.run.seen,
            "observer": {
                "component": "reconciler",
                "pid": os.getpid(),
                "host": socket.gethostname(),
            },
        }
        if count > 1:
            payload["part"] = [number + 1, count]
        if opened.reads_all:
            items = task_parts[number] if number < len(task_parts) else []
            payload["task_instances"] = [dict(item) for item in items]
        if number < len(lost_parts):
            payload["lost"] = [dict(item) for item in lost_parts[number]]
        yield Reading(keys.DAG_RUN_RECONCILED, keys.DAG_RUN, opened.run.key.to_id(), payload)


def _split(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [
        items[start : start + MOST_TASK_INSTANCES]
        for start in range(0, len(items), MOST_TASK_INSTANCES)
    ]
