"""The states of a DAG run's tasks, read from its own session by one query of columns."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from airflow_chain.mapping.final_states import read_final_states
from tests.airflow_home import AirflowHome

BEGAN = datetime(2026, 11, 20, 1, 2, 3, 456789, tzinfo=UTC)


@pytest.fixture
def engine(airflow_in_process: AirflowHome) -> Any:
    """Of the metadata database, with a run of 1,001 task instances and one of 1,000."""
    from airflow import settings
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import insert, select
    from sqlalchemy.orm import configure_mappers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow 3.1 imports all of its models by old names
        configure_mappers()
    engine: Any = settings.engine
    kind = TaskInstance.__table__.c.id.type.python_type  # a text in Airflow 3.1
    with engine.begin() as connection:
        if connection.execute(select(DagRun.__table__).where(DagRun.dag_id == "many")).first():
            return engine
        for count in (1000, 1001):
            run = {"dag_id": "many", "run_id": f"r{count}"}
            connection.execute(
                insert(DagRun.__table__).values(
                    **run, run_type="manual", state="running", run_after=BEGAN, log_template_id=None
                )
            )
            rows = [
                {
                    **run,
                    "id": kind(str(UUID(int=count * 10_000 + number))),
                    "task_id": f"t{number % 10}",
                    "map_index": number // 10,
                    "state": "success",
                    "try_number": 1,
                    "pool": "default_pool",
                    "operator": "BashOperator",
                    "pid": 7,
                    "start_date": BEGAN,
                    "end_date": BEGAN,
                }
                for number in range(count)
            ]
            connection.execute(insert(TaskInstance.__table__), rows)
    return engine


@contextmanager
def statements(engine: Any) -> Iterator[list[str]]:
    """What is sent to the database."""
    from sqlalchemy import event

    sent: list[str] = []

    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def run_of(session: Any, run_id: str) -> Any:
    """Airflow's object, as the scheduler has it."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    return session.scalar(select(DagRun).where(DagRun.run_id == run_id))


def test_a_thousand_tasks_are_one_query_of_columns(engine: Any) -> None:
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy.orm import Session

    with Session(engine, autoflush=False) as session:
        dag_run = run_of(session, "r1000")
        with statements(engine) as sent:
            found = read_final_states(dag_run)
        assert not any(isinstance(thing, TaskInstance) for thing in session.identity_map.values())
    assert len(sent) == 1
    assert found is not None
    assert not found.unread
    assert len(found.items) == 1000
    assert found.items[11] == {
        "task_id": "t0",
        "map_index": 11,
        "try_number": 1,
        "state": "success",
        "operator": "BashOperator",
        "ti_id": str(UUID(int=10_000_110)),
        "pid": 7,
        "started_us": 1_795_136_523_456_789,
        "ended_us": 1_795_136_523_456_789,
    }
    assert found.read_us > 0


def test_of_one_more_only_that_there_are_more_is_told(engine: Any) -> None:
    from sqlalchemy.orm import Session

    with Session(engine) as session, statements(engine) as sent:
        found = read_final_states(run_of(session, "r1001"))
    assert found is not None
    assert (found.items, found.unread) == ((), True)
    assert "LIMIT" in sent[-1]


def test_what_the_session_has_not_written_yet_counts_and_stays_unwritten(engine: Any) -> None:
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select
    from sqlalchemy.orm import Session

    with Session(engine, autoflush=False) as session:
        dag_run = run_of(session, "r1000")
        where = (TaskInstance.run_id == "r1000", TaskInstance.map_index == 0)
        changed = session.scalars(select(TaskInstance).where(*where)).all()[0]
        changed.state = "skipped"
        found = read_final_states(dag_run)
        assert found is not None
        states = {(item["task_id"], item["map_index"]): item["state"] for item in found.items}
        assert states[(changed.task_id, 0)] == "skipped"
        assert changed in session.dirty
        session.rollback()


def test_a_run_in_no_session_is_not_read(engine: Any) -> None:
    from airflow import settings
    from sqlalchemy.orm import Session

    with Session(engine) as session:
        dag_run = run_of(session, "r1000")
    settings.Session.remove()  # type: ignore[union-attr]
    assert read_final_states(dag_run) is None
