"""What is read of Airflow's task instances, and what is recorded of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from airflow_chain.keys import TaskKey
from airflow_chain.listener.facts import is_row, read_facts
from airflow_chain.mapping.tasks import (
    TaskError,
    TaskFacts,
    map_end,
    map_mark,
    map_pause,
    map_start,
)

MOMENT = datetime(2026, 11, 20, 23, 0, 0, 7, tzinfo=UTC)
MOMENT_US = 1_795_215_600_000_007


class Base(DeclarativeBase):
    """Of the rows."""


class Row(Base):
    """As Airflow's rows of task instances, as far as they are read."""

    __tablename__ = "task_instance"

    id: Mapped[str] = mapped_column(primary_key=True)
    dag_id: Mapped[str]
    run_id: Mapped[str]
    task_id: Mapped[str]
    map_index: Mapped[int]
    try_number: Mapped[int]
    state: Mapped[str]
    operator: Mapped[str]


def _row(**values: Any) -> Row:
    return Row(
        **{
            "id": "one",
            "dag_id": "shop",
            "run_id": "r",
            "task_id": "fit",
            "map_index": 2,
            "try_number": 1,
            "state": "running",
            "operator": "PythonOperator",
            **values,
        }
    )


class PythonOperator:
    """An operator as a task's process has it."""

    task_type = "PythonOperator"


def _runtime(**values: Any) -> SimpleNamespace:
    known: dict[str, Any] = {
        "id": "one",
        "dag_id": "shop",
        "run_id": "r",
        "task_id": "fit",
        "map_index": None,
        "try_number": 1,
        "max_tries": 3,
        "state": None,
        "task": PythonOperator(),
        "start_date": MOMENT,
        "end_date": None,
        "_ti_context_from_server": SimpleNamespace(next_method=None, task_reschedule_count=0),
    }
    return SimpleNamespace(**(known | values))


def test_a_tasks_own_process_tells_what_it_knows() -> None:
    assert not is_row(_runtime())
    assert read_facts(_runtime()) == TaskFacts(
        TaskKey("shop", "r", "fit"),
        ti_id="one",
        try_number=1,
        operator="PythonOperator",
        operator_module=__name__,
        max_tries=3,
        started_us=MOMENT_US,
    )


def test_a_row_tells_what_is_loaded() -> None:
    assert is_row(_row())
    assert read_facts(_row()) == TaskFacts(
        TaskKey("shop", "r", "fit", 2),
        ti_id="one",
        try_number=1,
        state="running",
        operator="PythonOperator",
    )


def test_a_row_of_a_failed_try_has_the_id_of_that_try_though_the_next_has_one() -> None:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        row = _row()
        session.add(row)
        session.commit()
        session.refresh(row)
        row.state, row.id = "up_for_retry", "two"
        assert read_facts(row).ti_id == "one"
        session.commit()
        session.refresh(row)
        assert read_facts(row).ti_id is None
    engine.dispose()


@pytest.mark.parametrize(
    ("server", "type_"),
    [
        ({"next_method": None, "task_reschedule_count": 0}, "task_instance.started"),
        ({"next_method": "execute_complete", "task_reschedule_count": 0}, "task_instance.resumed"),
        ({"next_method": None, "task_reschedule_count": 2}, "task_instance.poked"),
        ({"next_method": "execute_complete"}, "task_instance.resumed"),
        (None, "task_instance.started"),
    ],
)
def test_a_start_a_resumption_and_a_further_look_are_told_apart(
    server: dict[str, Any] | None, type_: str
) -> None:
    context = None if server is None else SimpleNamespace(**server)
    assert map_start(read_facts(_runtime(_ti_context_from_server=context))).type == type_


FACTS = TaskFacts(TaskKey("shop", "r", "fit"), ti_id="one", try_number=1)
KNOWN = {"ti_id": "one", "try_number": 1}


@pytest.mark.parametrize(
    ("state", "error", "type_", "more"),
    [
        ("success", None, "succeeded", {}),
        ("skipped", None, "skipped", {}),
        ("failed", TaskError("ValueError"), "failed", {"error_class": "ValueError"}),
        ("failed", TaskError(None, {"sha256": "ab"}), "failed", {"error_text": {"sha256": "ab"}}),
        ("up_for_retry", TaskError("ValueError"), "retry_scheduled", {"error_class": "ValueError"}),
    ],
)
def test_each_end_is_told_apart(
    state: str, error: TaskError | None, type_: str, more: dict[str, Any]
) -> None:
    mapped = map_end(FACTS, state, error)
    assert (mapped.type, mapped.kind) == (f"task_instance.{type_}", "task_instance")
    assert mapped.id == "shop/r/fit/-1"
    assert mapped.payload == {**KNOWN, "state": state, **more}


@pytest.mark.parametrize(
    ("state", "type_"),
    [
        ("deferred", "task_instance.deferred"),
        ("awaiting_input", "task_instance.deferred"),
        ("up_for_reschedule", "task_instance.rescheduled"),
        ("running", None),
        (None, None),
    ],
)
def test_a_pause_is_told_only_where_the_try_goes_on(state: str | None, type_: str | None) -> None:
    mapped = map_pause(replace(FACTS, state=state))
    assert (mapped and mapped.type) == type_


def test_a_mark_names_the_state_and_the_auth_managers_id() -> None:
    assert map_mark(FACTS, "success", "7").payload == {**KNOWN, "state": "success", "user_id": "7"}
    assert map_mark(FACTS, "failed").payload == {**KNOWN, "state": "failed"}
