"""Events of an Airflow and rows of its database, for tables: one DAG ``train``, one run ``r``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from airflow_chain import keys
from airflow_chain.keys import DagRunKey, TaskKey
from airflow_chain.verifying.comparison import Comparison
from airflow_chain.verifying.missing_events import find_missing_events
from airflow_chain.verifying.replay import replay
from airflow_chain.verifying.two_roles import find_two_roles
from airflow_chain.verifying.unexplained_states import find_unexplained_states
from chain_client import records
from chain_client.events import Actor, Event, Json, OutcomeStatus, Subject, Timing, new_event_id
from chain_client.hosts import Finding, Remark
from chain_client.types import SourceId

RUN = DagRunKey("train", "r")
BEGIN_US = 1_800_000_000_000_000
S = 1_000_000
"""One second."""


def ti_id(number: int, at_s: int = 0) -> str:
    """A UUIDv7 that was minted at a second of the run."""
    ms = BEGIN_US // 1000 + at_s * 1000
    return str(UUID(int=ms << 80 | 0x7 << 76 | 0b10 << 62 | number))


def source(number: int) -> SourceId:
    """A process's source."""
    return SourceId(bytes([number]) * 16)


def event(
    type: str,
    subject: Subject,
    payload: Mapping[str, Json],
    *,
    at_s: float,
    of: int = 1,
    sequence: int = 0,
) -> Event:
    """Any event."""
    return Event(
        new_event_id(), type, source(of), sequence, BEGIN_US + int(at_s * S), OutcomeStatus.DONE,
        subject, Actor(), Timing(0), payload,
    )  # fmt: skip


def task_event(
    type: str,
    *,
    task: str = "fit",
    ti: str | None = None,
    try_number: int = 1,
    at_s: float = 2,
    of: int = 2,
    component: str = "task",
    state: str | None = None,
    map_index: int = -1,
) -> Event:
    """What a task's process, the scheduler or a person told of a try."""
    payload: dict[str, Json] = {
        "ti_id": ti or ti_id(1),
        "try_number": try_number,
        "observer": {"component": component, "pid": of, "host": "h"},
    }
    if state is not None:
        payload["state"] = state
    key = TaskKey(RUN.dag_id, RUN.run_id, task, map_index)
    return event(type, Subject("airflow", "task_instance", key.to_id()), payload, at_s=at_s, of=of)


def item(
    task: str = "fit",
    *,
    ti: str | None = None,
    state: str | None = "success",
    try_number: int = 1,
    pid: int | None = 2,
    started_s: float | None = 1,
    ended_s: float | None = 3,
    map_index: int = -1,
) -> dict[str, Any]:
    """A row of a task instance."""
    return {
        "task_id": task,
        "map_index": map_index,
        "try_number": try_number,
        "state": state,
        "operator": "PythonOperator",
        "ti_id": ti or ti_id(1),
        "pid": pid,
        "started_us": None if started_s is None else BEGIN_US + int(started_s * S),
        "ended_us": None if ended_s is None else BEGIN_US + int(ended_s * S),
    }


def run_item(state: str = "success", *, ended_s: float | None = 5, **more: Any) -> dict[str, Any]:
    """A row of the DAG run."""
    return {
        "dag_id": RUN.dag_id,
        "run_id": RUN.run_id,
        "state": state,
        "run_type": "manual",
        "row_id": 1,
        "run_after_us": BEGIN_US,
        "started_us": BEGIN_US + S,
        "ended_us": None if ended_s is None else BEGIN_US + int(ended_s * S),
        **more,
    }


def run_event(
    type: str,
    row: Mapping[str, Any],
    tasks: Iterable[Mapping[str, Any]] | None = None,
    *,
    at_s: float = 5,
    of: int = 1,
    **more: Json,
) -> Event:
    """What was told of the DAG run."""
    payload: dict[str, Json] = {"dag_run": dict(row), **more}
    if tasks is not None:
        payload["task_instances"] = [dict(task) for task in tasks]
    key = DagRunKey(row["dag_id"], row["run_id"])
    return event(type, Subject("airflow", "dag_run", key.to_id()), payload, at_s=at_s, of=of)


def graph_event(sha256: str = "aa", *, at_s: float = 0.5, **tasks: Json) -> Event:
    """The graph that the DAG had; of each task its class, or more of what a graph says of it."""
    found: list[Json] = [
        {"id": name, **(told if isinstance(told, dict) else {"operator": told})}
        for name, told in tasks.items()
    ]
    payload: dict[str, Json] = {"graph": {"dag_id": RUN.dag_id, "tasks": found}, "sha256": sha256}
    subject = Subject("airflow", "dag_version", f"{RUN.dag_id}/{sha256}")
    return event(keys.DAG_VERSION_RECORDED, subject, payload, at_s=at_s)


def closed(of: int) -> Event:
    """A process ended in order."""
    subject = Subject("", records.SOURCE, source(of).hex())
    return event(records.SOURCE_CLOSED, subject, {"events": 3}, at_s=4, of=of)


def lossy(of: int) -> Event:
    """A process could not write some of its records."""
    subject = Subject("", records.SOURCE, source(of).hex())
    return event(records.RECORDS_LOST, subject, {"count": 1}, at_s=4, of=of)


def honest(task: Mapping[str, Any] | None = None) -> list[Event]:
    """A run of one task that succeeded, with everything recorded."""
    return [
        run_event(keys.DAG_RUN_STARTED, run_item("running", ended_s=None), at_s=1),
        task_event(keys.TASK_STARTED),
        task_event(keys.TASK_SUCCEEDED, at_s=3),
        closed(2),
        run_event(keys.DAG_RUN_SUCCEEDED, run_item(), [task or item()]),
    ]


def without(events: Iterable[Event], *types: str) -> list[Event]:
    """The events, as if those of some types had been removed."""
    return [event for event in events if event.type not in types]


def rows(
    run: Mapping[str, Any] | None,
    tasks: Iterable[Mapping[str, Any]] = (),
    history: Iterable[Mapping[str, Any]] = (),
    first: Iterable[list[Any]] = (),
) -> list[list[Any]]:
    """The lines of a database with at most this one run."""
    lines = [*first]
    if run is not None:
        lines.append(["dag_run", dict(run), False, []])
    lines += [["history", RUN.dag_id, RUN.run_id, dict(row), False] for row in history]
    lines += [["task", RUN.dag_id, RUN.run_id, dict(row), False] for row in tasks]
    return lines


def compare(events: Iterable[Event], lines: Iterable[list[Any]]) -> list[Finding]:
    """All findings, as `AirflowHost.compare` gives them."""
    return [found for found in _compare(events, lines) if isinstance(found, Finding)]


def remarks(events: Iterable[Event], lines: Iterable[list[Any]]) -> list[str]:
    """The texts of what is told beside them."""
    return [found.text for found in _compare(events, lines) if isinstance(found, Remark)]


def _compare(events: Iterable[Event], lines: Iterable[list[Any]]) -> Iterator[Finding | Remark]:
    recorded = replay(events)
    yield from find_missing_events(recorded)
    yield from find_unexplained_states(recorded)
    yield from find_two_roles(recorded)
    comparison = Comparison(recorded, "Airflow airflow")
    for line in lines:
        yield from comparison.take(line)
    yield from comparison.finish()
