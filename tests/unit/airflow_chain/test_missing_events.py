"""What the log alone shows to be missing of a task, and the holes that are no finding."""

from __future__ import annotations

import pytest

from airflow_chain import keys
from airflow_chain.verifying.missing_events import find_missing_events, ran
from airflow_chain.verifying.replay import replay
from chain_client.events import Event
from tests.unit.airflow_chain.recorded_airflow import (
    closed,
    honest,
    item,
    lossy,
    run_event,
    run_item,
    task_event,
    ti_id,
    without,
)

BEGAN, SUCCEEDED = keys.TASK_STARTED, keys.TASK_SUCCEEDED
RUNS_END = keys.DAG_RUN_SUCCEEDED


@pytest.mark.parametrize(
    ("removed", "missing"),
    [
        ((SUCCEEDED,), SUCCEEDED),
        ((BEGAN,), BEGAN),
        ((BEGAN, SUCCEEDED), SUCCEEDED),
    ],
)
def test_a_removed_task_event_is_named_by_dag_run_task_and_try(
    removed: tuple[str, ...], missing: str
) -> None:
    (finding,) = find_missing_events(replay(without(honest(), *removed)))
    assert finding.kind == "task_event_missing"
    assert finding.subject == "dag train/run r/task fit/try 1"
    assert finding.expected == {
        "dag_id": "train",
        "run_id": "r",
        "task_id": "fit",
        "map_index": -1,
        "try_number": 1,
        "event": missing,
    }
    assert finding.actual is None
    assert missing in finding.detail


def test_a_mapped_task_is_named_with_its_index() -> None:
    mapped = item(map_index=3)
    events = without(honest(mapped), SUCCEEDED, BEGAN)
    (finding,) = find_missing_events(replay(events))
    assert finding.subject == "dag train/run r/task fit[3]/try 1"


@pytest.mark.parametrize(
    "events",
    [
        pytest.param(honest(), id="everything is there"),
        pytest.param(
            [run_event(RUNS_END, run_item(), [item(pid=None)])],
            id="an EmptyOperator, or what a branch skipped: no process ran it",
        ),
        pytest.param(
            [run_event(RUNS_END, run_item(), [item(ti=ti_id(2, at_s=2), started_s=1)])],
            id="cleared, and given its state without a process: pid and start are stale",
        ),
        pytest.param(
            [
                task_event(BEGAN),
                run_event(RUNS_END, run_item("failed"), [item(state="failed")]),
            ],
            id="killed: its process did not end in order",
        ),
        pytest.param(
            [run_event(RUNS_END, run_item("failed"), [item(state="failed")])],
            id="failed before its first hook, as by an import error",
        ),
        pytest.param(
            [
                task_event(BEGAN),
                closed(2),
                run_event(RUNS_END, run_item("failed"), [item(state="failed")]),
            ],
            id="stopped by fail_fast, or its end was refused: no hook tells",
        ),
        pytest.param(
            [
                task_event(BEGAN),
                closed(2),
                task_event(keys.TASK_FAILED, component="scheduler", of=1),
                run_event(RUNS_END, run_item("failed"), [item(state="failed")]),
            ],
            id="the scheduler saw it fail",
        ),
        pytest.param(
            [
                task_event(BEGAN),
                closed(2),
                task_event(keys.TASK_MARKED, component="api_server", of=9, state="success"),
                run_event(RUNS_END, run_item(), [item()]),
            ],
            id="a person marked it",
        ),
        pytest.param(
            [
                task_event(BEGAN),
                closed(2),
                run_event(keys.DAG_RUN_MARKED, run_item(), [item()], of=9),
            ],
            id="a person marked the whole run",
        ),
        pytest.param(
            [
                task_event(BEGAN),
                closed(2),
                run_event(
                    RUNS_END, run_item("failed"), [item(state="skipped")], message="timed_out"
                ),
            ],
            id="skipped as the run timed out",
        ),
        pytest.param(
            [
                task_event(BEGAN),
                task_event(keys.TASK_DEFERRED, at_s=2.5),
                closed(2),
                run_event(RUNS_END, run_item(), [item()]),
            ],
            id="a trigger ended it",
        ),
        pytest.param(
            [
                task_event(BEGAN),
                lossy(2),
                closed(2),
                run_event(RUNS_END, run_item(), [item()]),
            ],
            id="its process says that it lost records",
        ),
        pytest.param(
            [
                *without(honest(), SUCCEEDED),
                run_event(
                    keys.DAG_RUN_RECONCILED,
                    run_item(),
                    at_s=90,
                    of=7,
                    lost=[{"ti_id": ti_id(1)}],
                ),
            ],
            id="the reconciler said that it was lost",
        ),
        pytest.param(
            [
                task_event(keys.TASK_RESUMED),
                task_event(SUCCEEDED, at_s=3),
                closed(2),
                run_event(RUNS_END, run_item(), [item()]),
            ],
            id="begun in the triggerer",
        ),
        pytest.param([task_event(BEGAN)], id="it runs"),
        pytest.param(
            [run_event(RUNS_END, run_item(), [item()])],
            id="it ran before recording began: nobody recorded the beginning of its run",
        ),
        pytest.param(
            [
                run_event(
                    keys.DAG_RUN_STARTED, run_item("running", ended_s=None, clear_number=1), at_s=90
                ),
                run_event(RUNS_END, run_item(ended_s=95), [item()], at_s=95),
            ],
            id="it ran before recording began, and its run was cleared since",
        ),
        pytest.param(
            [
                run_event(keys.DAG_RUN_STARTED, run_item("running", ended_s=None), at_s=1),
                run_event(RUNS_END, run_item(), [], task_instances_denied=1),
                run_event(RUNS_END, run_item(ended_s=95), [item()], at_s=95),
            ],
            id="the policy left it out when it ran, and does not any more",
        ),
        pytest.param(
            [
                run_event(keys.DAG_RUN_STARTED, run_item("running", ended_s=None), at_s=1),
                run_event(RUNS_END, run_item("failed"), [item(state="failed")]),
                run_event(keys.DAG_RUN_MARKED, run_item(), [item()], at_s=900, of=9),
            ],
            id="failed before its first hook, and Airflow 3.1 marked it with its run later",
        ),
    ],
)
def test_honest_holes_are_no_finding(events: list[Event]) -> None:
    assert list(find_missing_events(replay(events))) == []


def test_what_was_left_out_earlier_excuses_nothing_that_ran_later() -> None:
    later = item(started_s=90, ended_s=92)
    events = [
        run_event(keys.DAG_RUN_STARTED, run_item("running", ended_s=None), at_s=1),
        run_event(RUNS_END, run_item(), [], task_instances_denied=1),
        run_event(RUNS_END, run_item(ended_s=95), [later], at_s=95),
    ]
    (finding,) = find_missing_events(replay(events))
    assert finding.kind == "task_event_missing"


def test_events_of_another_form_say_nothing_and_stop_nothing() -> None:
    strange = [
        run_event(RUNS_END, {"dag_id": "x", "run_id": "y"}, [{"task_id": "t"}]),
        task_event("task_instance.invented"),
    ]
    assert list(find_missing_events(replay([*strange, *honest()]))) == []


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (item(), True),
        (item(pid=None), False),
        (item(started_s=None), False),
        (item(ti=ti_id(1, at_s=10), started_s=5), False),
        (item(ti="2f1f7f4e-0000-4000-8000-000000000001"), True),
    ],
)
def test_a_try_ran_if_its_process_began_after_its_id_was_minted(
    row: dict[str, object], expected: bool
) -> None:
    assert ran(row) is expected
