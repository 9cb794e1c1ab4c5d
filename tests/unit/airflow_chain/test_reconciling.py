"""What is read later of DAG runs: once, in parts, and saying what was lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from airflow_chain import keys
from airflow_chain.reconciling import reconcile
from airflow_chain.verifying.replay import replay
from chain_client.events import Event, Subject
from chain_client.hosts import Reading, Recorded
from tests.unit.airflow_chain.recorded_airflow import (
    BEGIN_US,
    RUN,
    S,
    closed,
    compare,
    event,
    honest,
    item,
    rows,
    run_event,
    run_item,
    task_event,
    ti_id,
    without,
)

Rows = list[list[Any]]
LATER_US = BEGIN_US + 3600 * S
END = keys.DAG_RUN_SUCCEEDED


def recorded_of(events: Sequence[Event]) -> Recorded:
    """What a log with these events answers."""

    def recorded(kind: str, subject_id: str, below: bool) -> Iterator[Event]:
        for one in events:
            same = one.subject.id.startswith(subject_id) if below else one.subject.id == subject_id
            if one.subject.kind == kind and same:
                yield one

    return recorded


def readings(events: Sequence[Event], lines: Rows) -> list[Reading]:
    """What is to be recorded."""
    return list(reconcile(lines, recorded_of(events), until_us=LATER_US))


def as_event(reading: Reading, at_s: float) -> Event:
    """The event that is recorded of it."""
    subject = Subject("airflow", reading.kind, reading.id)
    return event(reading.type, subject, reading.payload, at_s=at_s, of=7)


def after(events: Sequence[Event], lines: Rows) -> list[Event]:
    """The log once it was reconciled."""
    return [*events, *(as_event(found, 4000) for found in readings(events, lines))]


def payloads(events: Sequence[Event], lines: Rows) -> list[Any]:
    """Payloads of what is to be recorded."""
    return [found.payload for found in readings(events, lines)]


def test_nothing_is_read_again_of_a_run_that_was_recorded() -> None:
    assert readings(honest(), rows(run_item(), [item()])) == []


def test_an_end_that_nobody_recorded_is_recorded_once_and_says_by_whom() -> None:
    lines = rows(run_item(), [item()])
    events = without(honest(), END)
    (payload,) = payloads(events, lines)
    assert payload["reasons"] == ["end_unrecorded"]
    assert payload["dag_run"] == run_item()
    assert payload["task_instances"] == [item()]
    assert payload["observer"]["component"] == "reconciler"
    assert payload["seen_by_scheduler"] is True
    assert compare(events, lines) != []
    assert readings(after(events, lines), lines) == []
    assert compare(after(events, lines), lines) == []


def test_a_run_that_no_scheduler_saw_is_recorded_as_such() -> None:
    (payload,) = payloads([], rows(run_item(), [item()]))
    assert payload["seen_by_scheduler"] is False
    assert "lost" not in payload


def test_a_run_with_thousands_of_tasks_is_read_in_parts_and_all_of_them() -> None:
    tasks = [item(f"t{n}", ti=ti_id(n), pid=None) for n in range(2500)]
    lines = rows(run_item(), tasks)
    events = [run_event(END, run_item(), task_instances_unread=True)]
    found = payloads(events, lines)
    assert [payload["part"] for payload in found] == [[1, 3], [2, 3], [3, 3]]
    assert sum(len(payload["task_instances"]) for payload in found) == 2500
    assert {payload["reasons"][0] for payload in found} == {"task_instances_unread"}
    whole = after(events, lines)
    assert readings(whole, lines) == []
    assert compare(whole, lines) == []
    tampered = rows(run_item(), [*tasks[:-1], {**tasks[-1], "state": "failed"}])
    assert [finding.kind for finding in compare(whole, tampered)] == ["task_instance_changed"]


def test_a_reconciliation_that_was_interrupted_is_done_again() -> None:
    lines = rows(run_item(), [item(f"t{n}", ti=ti_id(n), pid=None) for n in range(1500)])
    events = [run_event(END, run_item(), task_instances_unread=True)]
    interrupted = after(events, lines)[:-1]
    assert len(readings(interrupted, lines)) == 2


def test_what_a_killed_task_left_out_is_told_once() -> None:
    failed = item(state="failed")
    events = [
        task_event(keys.TASK_STARTED),
        task_event(keys.TASK_FAILED, component="scheduler", of=1),
        run_event(keys.DAG_RUN_FAILED, run_item("failed"), [failed]),
    ]
    lines = rows(run_item("failed"), [failed])
    (payload,) = payloads(events, lines)
    assert payload["reasons"] == ["task_events_lost"]
    (lost,) = payload["lost"]
    assert lost["events"] == ["task_instance.failed"]
    assert (lost["task_id"], lost["try_number"], lost["pid"]) == ("fit", 1, 2)
    assert "task_instances" not in payload
    assert readings(after(events, lines), lines) == []


def test_earlier_tries_are_looked_at_too() -> None:
    second = item(ti=ti_id(2, 90), try_number=2, started_s=110, ended_s=120, pid=3)
    events = [
        run_event(keys.DAG_RUN_STARTED, run_item("running", ended_s=None), at_s=1),
        *(task_event(type_, ti=ti_id(2, 90), try_number=2, of=3, at_s=110) for type_ in (
            keys.TASK_STARTED, keys.TASK_SUCCEEDED
        )),
        run_event(END, run_item(), [second]),
    ]  # fmt: skip
    lines = rows(run_item(), [second], [item(state="failed")])
    (payload,) = payloads(events, lines)
    (lost,) = payload["lost"]
    assert lost["events"] == ["task_instance.started", "task_instance.retry_scheduled"]


def test_nothing_is_lost_of_what_no_process_ran_or_a_person_ended() -> None:
    events = [
        task_event(keys.TASK_STARTED),
        task_event(keys.TASK_MARKED, component="api_server", of=9, state="success"),
        run_event(END, run_item(), [item(), item("empty", ti=ti_id(2), pid=None)]),
    ]
    assert readings(events, rows(run_item(), [item(), item("empty", ti=ti_id(2), pid=None)])) == []


def test_nothing_is_lost_of_what_ran_before_recording_began() -> None:
    events = [
        run_event(keys.DAG_RUN_STARTED, run_item("running", ended_s=None, clear_number=1), at_s=90),
        run_event(END, run_item(), [item()], at_s=95),
    ]
    assert readings(events, rows(run_item(), [item()])) == []


def test_what_differs_is_left_to_verification() -> None:
    lines = rows(run_item("failed"), [item(state="failed")])
    assert readings(honest(), lines) == []


def test_runs_that_go_on_have_just_ended_or_are_denied_are_left_out() -> None:
    running = rows(run_item("running", ended_s=None))
    late = rows(run_item(ended_s=7200))
    denied: Rows = [["dag_run", run_item(), True, []]]
    assert readings([], running) == readings([], late) == readings([], denied) == []


def test_events_of_a_run_whose_id_begins_alike_are_not_taken_for_its_own() -> None:
    longer = keys.TaskKey(RUN.dag_id, f"{RUN.run_id}/2", "fit").to_id()
    strange = task_event(keys.TASK_STARTED)
    subject = Subject("airflow", "task_instance", longer)
    other = event(strange.type, subject, strange.payload, at_s=2, of=2)
    its_own = without(honest(), keys.TASK_STARTED, keys.TASK_SUCCEEDED)
    (payload,) = payloads([other, *its_own], rows(run_item(), [item()]))
    assert payload["lost"][0]["events"] == ["task_instance.started", "task_instance.succeeded"]


def test_a_second_end_after_a_restart_counts_anew() -> None:
    events = [
        *honest(),
        closed(2),
        run_event(keys.DAG_RUN_STARTED, run_item("running", ended_s=None), at_s=100),
    ]
    run = replay(events).run(RUN)
    assert run.end is None
    (payload,) = payloads(events, rows(run_item(ended_s=130), [item()]))
    assert payload["reasons"] == ["end_unrecorded"]
