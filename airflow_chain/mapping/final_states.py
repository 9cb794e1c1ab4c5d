"""The states of all task instances of a DAG run, from one query of columns. Reads, never writes."""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chain_client.events import Json

MOST_TASK_INSTANCES = 1000
"""Of a DAG run with more, none is read in the scheduler: ``mlops-chain airflow reconcile`` does."""

COLUMNS = (
    "id",
    "task_id",
    "map_index",
    "try_number",
    "state",
    "operator",
    "pid",
    "start_date",
    "end_date",
)
"""What is read of a task instance; every supported Airflow has them, also in the history."""


@dataclass(frozen=True, slots=True)
class FinalStates:
    """What one query gave.

    Args:
        items: one for each task instance, in the order of task and map index; empty if unread.
        unread: whether there are more than are read here.
        read_us: what reading took, in µs.
    """

    items: tuple[dict[str, Json], ...]
    unread: bool
    read_us: int


def read_final_states(dag_run: Any, limit: int = MOST_TASK_INSTANCES) -> FinalStates | None:
    """Ask the session that the run is in; nothing is flushed, loaded lazily or kept.

    Args:
        dag_run: Airflow's object, as a hook gets it.
        limit: greatest number of task instances that is read.

    Returns:
        None if the run is in no session.
    """
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    session = find_session(dag_run)
    if session is None:
        return None
    began = time.perf_counter_ns()
    loaded = vars(dag_run)
    columns = TaskInstance.__table__.c
    query = (
        select(*(columns[name] for name in COLUMNS))
        .where(columns.dag_id == loaded["dag_id"], columns.run_id == loaded["run_id"])
        .limit(limit + 1)
    )
    with session.no_autoflush:
        rows = session.execute(query).all()
    if len(rows) > limit:
        return FinalStates((), True, _since_us(began))
    unwritten = _unwritten(session.dirty, TaskInstance)
    items = [to_item({**dict(zip(COLUMNS, row)), **unwritten.get(row[0], {})}) for row in rows]
    items.sort(key=lambda item: (item["task_id"], item["map_index"]))
    return FinalStates(tuple(items), False, _since_us(began))


def find_session(dag_run: Any) -> Any:
    """The session that a run is in, else the one that its thread has; None if there is neither.

    Airflow takes a run out of its session in the middle of ``dag.test()``.
    """
    from airflow import settings
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None and settings.Session is not None and settings.Session.registry.has():
        return settings.Session()
    return session


def to_item(row: Mapping[str, Any]) -> dict[str, Json]:
    """What is recorded of one task instance.

    Args:
        row: the columns of `COLUMNS` by name.

    Returns:
        ``pid`` is that of the process that ran it, None where none did. A try that was cleared
        before it began may still show pid and start of the try before.
    """
    return {
        "task_id": row["task_id"],
        "map_index": row["map_index"],
        "try_number": row["try_number"],
        "state": None
        if row["state"] is None
        else str(getattr(row["state"], "value", row["state"])),
        "operator": row["operator"],
        "ti_id": str(row["id"]),
        "pid": row["pid"],
        "started_us": to_us(row["start_date"]),
        "ended_us": to_us(row["end_date"]),
    }


def to_us(moment: datetime | None) -> int | None:
    """Microseconds since the epoch, exact; also of a kind of datetime that subtracts otherwise.

    A run that was made in this session has Airflow's own (pendulum), not those of the database.
    """
    if moment is None:
        return None
    return calendar.timegm(moment.utctimetuple()) * 1_000_000 + moment.microsecond


def to_text(value: Any) -> str | None:
    """Of Airflow's enumerations their values."""
    return None if value is None else str(getattr(value, "value", value))


def _unwritten(dirty: Iterable[Any], kind: type) -> dict[Any, dict[str, Any]]:
    """What the session will write of task instances, by id; the query did not see it yet."""
    found = {}
    for thing in dirty:
        if isinstance(thing, kind):
            loaded = vars(thing)
            if "id" in loaded:
                found[loaded["id"]] = {n: loaded[n] for n in COLUMNS if n in loaded}
    return found


def _since_us(began_ns: int) -> int:
    return (time.perf_counter_ns() - began_ns) // 1000
