"""Airflow's rows against what was recorded: each tampering is named, honest use is not."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from airflow_chain import keys
from chain_client.events import Event, Json
from tests.unit.airflow_chain.recorded_airflow import (
    BEGIN_US,
    RUN,
    S,
    closed,
    compare,
    honest,
    item,
    remarks,
    rows,
    run_event,
    run_item,
    task_event,
    ti_id,
    without,
)

Rows = list[list[Any]]
END = keys.DAG_RUN_SUCCEEDED
WHOLE = rows(run_item(), [item()])


def names(events: list[Event], lines: Rows) -> list[tuple[str, str]]:
    """Kind and subject of all findings."""
    return [(finding.kind, finding.subject) for finding in compare(events, lines)]


NAME_RUN = "dag train/run r"
NAME_TASK = f"{NAME_RUN}/task fit/try 1"
WHOSE = [RUN.dag_id, RUN.run_id]
FORGED = item(ti=ti_id(8))
CHANGED = item(ti=ti_id(9))
EMPTY_SHA256 = hashlib.sha256(b"{}").hexdigest()
OTHER_RUN = {**run_item(), "run_id": "forged", "row_id": 2}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(
            rows(run_item("failed"), [item()]), ("dag_run_changed", NAME_RUN), id="run edited"
        ),
        pytest.param(
            rows(run_item(ended_s=6), [item()]), ("dag_run_changed", NAME_RUN), id="end edited"
        ),
        pytest.param(
            rows(run_item(row_id=7), [item()]), ("dag_run_changed", NAME_RUN), id="run made again"
        ),
        pytest.param(rows(None), ("dag_run_missing", NAME_RUN), id="run removed"),
        pytest.param(
            [["dag_run", OTHER_RUN, False, []], *WHOLE],
            ("dag_run_unrecorded", "dag train/run forged"),
            id="run inserted",
        ),
        pytest.param(
            rows(run_item(), [item(state="failed")]),
            ("task_instance_changed", NAME_TASK),
            id="task edited",
        ),
        pytest.param(
            rows(run_item(), [item(ended_s=4)]),
            ("task_instance_changed", NAME_TASK),
            id="end of task edited",
        ),
        pytest.param(
            rows(run_item(), [item(ti=ti_id(9))]),
            ("task_instance_changed", NAME_TASK),
            id="task replaced by another",
        ),
        pytest.param(rows(run_item()), ("task_instance_missing", NAME_TASK), id="task removed"),
        pytest.param(
            rows(run_item(), [item(), item("forged", ti=ti_id(2))]),
            ("task_instance_unrecorded", f"{NAME_RUN}/task forged/try 1"),
            id="task inserted",
        ),
        pytest.param(
            rows(run_item(), [item(ti=ti_id(2, 60), try_number=2)], [item(state="failed")]),
            ("task_instance_changed", NAME_TASK),
            id="earlier try edited",
        ),
    ],
)
def test_each_tampering_with_a_row_is_named(lines: Rows, expected: tuple[str, str]) -> None:
    assert expected in names(honest(), lines)
    assert names(honest(), WHOLE) == []


def test_what_was_and_what_is_stand_in_the_finding() -> None:
    (finding,) = compare(honest(), rows(run_item("failed"), [item(state="failed")]))[:1]
    assert (finding.expected, finding.actual) == ({"state": "success"}, {"state": "failed"})
    assert finding.recorded_us == BEGIN_US + 5 * S


def test_a_run_that_ended_only_in_the_database_is_named() -> None:
    events = without(honest(), END)
    (finding,) = compare(events, WHOLE)
    assert finding.kind == "dag_run_unrecorded"
    assert "airflow reconcile" in finding.detail


RESTARTED = [
    *honest(),
    run_event(keys.DAG_RUN_STARTED, run_item("running", ended_s=None), at_s=100),
]
SECOND = item(ti=ti_id(2, 90), try_number=2, started_s=110, ended_s=120, pid=3)
ENDED_AGAIN = [
    *RESTARTED,
    task_event(keys.TASK_STARTED, ti=ti_id(2, 90), try_number=2, at_s=110, of=3),
    task_event(keys.TASK_SUCCEEDED, ti=ti_id(2, 90), try_number=2, at_s=120, of=3),
    closed(3),
    run_event(END, run_item(ended_s=130), [SECOND], at_s=130),
]
WAITING = item(ti=ti_id(2, 90), state=None, try_number=1)
DELETED = {"time_us": BEGIN_US + 90 * S, "who": "ada"}
ANEW = item(ti=ti_id(2, 95), started_s=110, ended_s=120, pid=3)
"""Of a run that was made anew."""
ANEW_EVENTS = [
    task_event(keys.TASK_STARTED, ti=ti_id(2, 95), at_s=110, of=3),
    task_event(keys.TASK_SUCCEEDED, ti=ti_id(2, 95), at_s=120, of=3),
    closed(3),
]
AGAIN = [*RESTARTED, *ANEW_EVENTS, run_event(END, run_item(ended_s=130), [ANEW], at_s=130)]
BY_DAG_TEST: dict[str, Json] = {"component": "local", "pid": 1, "host": "h"}
CANCELLED = {
    **run_item("failed", ended_s=None, backfill_id=4, started_us=None, run_type="backfill"),
    "run_id": "b",
}
CLEANED = {
    "time_us": BEGIN_US + 99 * S,
    "who": "root",
    "before_us": BEGIN_US + 50 * S,
    "tables": [],
    "dag_ids": [],
    "excluded": [],
    "is_sure": True,
}


@pytest.mark.parametrize(
    ("events", "lines"),
    [
        pytest.param([], [], id="nothing was recorded, and nothing is there"),
        pytest.param(honest(), WHOLE, id="as it was recorded"),
        pytest.param(
            honest(),
            rows(run_item("queued", ended_s=None), [WAITING], [item()]),
            id="cleared, and not yet begun again",
        ),
        pytest.param(
            RESTARTED,
            rows(run_item("running", ended_s=None), [{**SECOND, "state": "running"}], [item()]),
            id="cleared, and running again",
        ),
        pytest.param(
            ENDED_AGAIN, rows(run_item(ended_s=130), [SECOND], [item()]), id="cleared and run again"
        ),
        pytest.param(
            honest(),
            rows(run_item(), [WAITING], [item()]),
            id="a task cleared without its run",
        ),
        pytest.param(
            without(honest(), END, keys.TASK_SUCCEEDED),
            rows(run_item("running", ended_s=None), [item()]),
            id="its run goes on, and its end lies in another spool yet",
        ),
        pytest.param(
            without(honest(), END, keys.TASK_SUCCEEDED),
            rows(run_item("running", ended_s=None), [item(state="running", ended_s=None)]),
            id="it runs",
        ),
        pytest.param(
            [
                task_event(keys.TASK_STARTED),
                task_event(keys.TASK_RETRY_SCHEDULED, at_s=3),
                closed(2),
                run_event(END, run_item(), [SECOND]),
                task_event(keys.TASK_STARTED, ti=ti_id(2, 90), try_number=2, at_s=110, of=3),
                task_event(keys.TASK_SUCCEEDED, ti=ti_id(2, 90), try_number=2, at_s=120, of=3),
            ],
            rows(run_item(), [SECOND], [item(state="failed")]),
            id="a retry",
        ),
        pytest.param(
            [
                *honest(),
                task_event(
                    keys.TASK_MARKED, component="api_server", of=9, at_s=200, state="failed"
                ),
            ],
            rows(run_item(), [item(state="failed")]),
            id="a task marked after the run",
        ),
        pytest.param(
            [
                *honest(),
                run_event(keys.DAG_RUN_MARKED, run_item("failed"), [item()], at_s=200, of=9),
            ],
            rows(run_item("failed"), [item()]),
            id="a run marked after its end",
        ),
        pytest.param(
            [run_event(END, run_item("failed"), [item(state=None, pid=None, ended_s=None)])],
            rows(run_item("queued", ended_s=None), [item(state="success")]),
            id="a task that had not begun runs after its run was cleared",
        ),
        pytest.param(
            [run_event(END, run_item("failed"), [item(state=None, pid=None, ended_s=None)])],
            rows(run_item("failed"), [WAITING], [item(state="failed", pid=None)]),
            id="a task that had not begun is cleared: its row is put aside as failed",
        ),
        pytest.param(
            [run_event(END, run_item(), [item(state="upstream_failed", pid=None, ti=ti_id(3))])],
            rows(run_item(), [WAITING], [item(state="failed", ti=ti_id(1))]),
            id="cleared twice: one row is put aside for the two",
        ),
        pytest.param(
            [run_event(END, run_item(), [item(pid=None)], task_instances_denied=1)],
            rows(run_item(), [item(), item("secret", ti=ti_id(2))]),
            id="a task that the policy left out then",
        ),
        pytest.param(
            [run_event(END, run_item())],
            rows(run_item(), [item(), item("more", ti=ti_id(2))]),
            id="tasks that were too many to be read",
        ),
        pytest.param(
            honest(),
            [["archived_dag_run", "train", "r"]],
            id="cleaned up by airflow db clean",
        ),
        pytest.param(
            honest(),
            [["deletion", {"time_us": BEGIN_US + 99 * S, "who": "ada", "dag_id": "train"}]],
            id="the whole DAG deleted",
        ),
        pytest.param(
            honest(),
            [
                ["deletion", CLEANED],
            ],
            id="cleaned up without an archive",
        ),
        pytest.param(
            honest(),
            [
                ["deletion", {**CLEANED, "is_sure": False}],
                ["deletion", {"time_us": BEGIN_US + 100 * S, "who": "root", "dropped": True}],
            ],
            id="cleaned up, and the tables that told it were dropped",
        ),
        *(
            pytest.param(AGAIN, rows(run_item(ended_s=130), [ANEW], first=[told]), id=id_)
            for told, id_ in (
                (["deletion", {**DELETED, "dag_id": "train"}], "a DAG deleted, and run again"),
                (
                    ["deletion", {**DELETED, "dag_id": "train", "run_id": "r"}],
                    "a run deleted, and another one with its id",
                ),
                (["archived_dag_run", "train", "r"], "a run cleaned up, and run again"),
            )
        ),
        pytest.param(
            honest(),
            rows(
                run_item("queued", ended_s=None),
                first=[["deletion", {**DELETED, "dag_id": "train"}]],
            ),
            id="a DAG deleted, and a run with the same id waits",
        ),
        pytest.param(
            [
                *honest(),
                *ANEW_EVENTS,
                run_event(END, run_item(ended_s=130), [ANEW], at_s=130, observer=BY_DAG_TEST),
            ],
            rows(run_item(ended_s=130), [ANEW]),
            id="dag.test() took the place of a run",
        ),
        pytest.param(
            honest(),
            [["dag_run", CANCELLED, False, []], *WHOLE, ["task", "train", "b", WAITING, False]],
            id="a backfill cancelled before its run began",
        ),
        pytest.param(
            honest(),
            rows({**CANCELLED, "run_id": "r"}, [WAITING], [item()]),
            id="a backfill that was to run a run again, cancelled",
        ),
        pytest.param(
            RESTARTED,
            rows({**CANCELLED, "run_id": "r"}, [WAITING], [item()]),
            id="the same of a run that had begun",
        ),
        pytest.param(
            honest(),
            rows(run_item(), first=[["archived_task", ti_id(1)]]),
            id="only its tasks cleaned up",
        ),
        pytest.param(
            honest(),
            [["dag_run", OTHER_RUN, True, []], *WHOLE],
            id="a run that the policy leaves out",
        ),
        pytest.param(
            honest(),
            [["dag_run", {**OTHER_RUN, "ended_us": BEGIN_US - S}, False, []], *WHOLE],
            id="a run from before recording began",
        ),
        pytest.param(
            honest(),
            [["dag_run", {**OTHER_RUN, "state": "running"}, False, []], *WHOLE],
            id="a run that runs",
        ),
    ],
)
def test_honest_use_gives_no_finding(events: list[Event], lines: Rows) -> None:
    assert compare(events, lines) == []


@pytest.mark.parametrize(
    "deletion",
    [
        {"time_us": BEGIN_US + 99 * S, "who": "ada", "dag_id": "other"},
        {"time_us": BEGIN_US - 999 * S, "who": "ada", "dag_id": "train"},
        {"time_us": BEGIN_US + 99 * S, "who": "ada", "dag_id": "train", "run_id": "other"},
        {**CLEANED, "before_us": BEGIN_US - S},
        {**CLEANED, "tables": ["log"]},
        {**CLEANED, "dag_ids": ["toy"]},
        {**CLEANED, "excluded": ["train"]},
        {**CLEANED, "is_sure": False},
    ],
)
def test_a_deletion_of_something_else_excuses_nothing(deletion: dict[str, Any]) -> None:
    assert names(honest(), [["deletion", deletion]]) == [("dag_run_missing", NAME_RUN)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(
            rows(run_item(), [{**CHANGED, "state": "failed"}], [FORGED]),
            [("task_instance_changed", NAME_TASK)],
            id="another id and another state",
        ),
        pytest.param(
            rows(run_item(), [], [FORGED]), [("task_instance_missing", NAME_TASK)], id="row removed"
        ),
        pytest.param(
            rows(run_item(), [{**CHANGED, "state": None}], [FORGED]),
            [("task_instance_changed", NAME_TASK)],
            id="as if it had been cleared",
        ),
    ],
)
def test_a_forged_row_of_an_earlier_try_covers_nothing(
    lines: Rows, expected: list[tuple[str, str]]
) -> None:
    assert names(honest(), lines) == expected


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(rows(run_item(), [CHANGED], [FORGED]), id="it got a state"),
        pytest.param(rows(run_item(), [], [FORGED]), id="it was removed"),
    ],
)
def test_nor_of_one_that_never_ran(lines: Rows) -> None:
    recorded = item(state="upstream_failed", pid=None, started_s=None)
    events = [run_event(END, run_item(), [recorded])]
    assert len(compare(events, lines)) == 1


def test_a_deletion_covers_nothing_that_ran_later() -> None:
    early = {**DELETED, "dag_id": "train", "time_us": BEGIN_US + 20 * S}
    lines = rows(run_item(ended_s=130), first=[["deletion", early], ["archived_dag_run", *WHOSE]])
    found = names(AGAIN, lines)
    assert found == [("task_instance_missing", NAME_TASK)]


@pytest.mark.parametrize(
    "run",
    [
        {**CANCELLED, "run_id": "r"},
        {**CANCELLED, "run_id": "r", "backfill_id": None},
        {**CANCELLED, "run_id": "r", "ended_us": BEGIN_US},
    ],
)
def test_a_run_whose_tasks_ran_was_not_cancelled(run: dict[str, Any]) -> None:
    assert names(honest(), rows(run, [item()])) == [("dag_run_changed", NAME_RUN)]


WHO = {"triggered_by": "UI", "triggering_user_name": "ada", "bundle_version": "abc"}
CONF: dict[str, Json] = {"sha256": "11"}


@pytest.mark.parametrize(
    ("recorded", "now", "field"),
    [
        (WHO, {**WHO, "triggering_user_name": "bob"}, "triggering_user_name"),
        (WHO, {**WHO, "triggered_by": "CLI"}, "triggered_by"),
        (WHO, {**WHO, "bundle_version": "def"}, "bundle_version"),
        (WHO, {**WHO, "bundle_version": None}, "bundle_version"),
        ({}, {"bundle_version": "def"}, "bundle_version"),
        ({}, {"triggering_user_name": "bob"}, "triggering_user_name"),
    ],
)
def test_who_triggered_a_run_and_which_code_it_ran_is_compared(
    recorded: dict[str, Any], now: dict[str, Any], field: str
) -> None:
    events = [*without(honest(), END), run_event(END, run_item(**recorded), [item()])]
    assert compare(events, rows(run_item(**recorded), [item()])) == []
    (finding,) = compare(events, rows(run_item(**now), [item()]))
    assert finding.kind == "dag_run_changed"
    assert finding.expected == {field: recorded.get(field)}
    assert finding.actual == {field: now[field]}


@pytest.mark.parametrize(
    ("recorded", "digests", "expected"),
    [
        (CONF, ["22", "11"], []),
        (CONF, ["22"], ["dag_run_changed"]),
        (CONF, [], ["dag_run_changed"]),
        ({"omitted": "too large"}, ["22"], []),
        (None, ["22"], []),
        ({"value": {}}, [EMPTY_SHA256], []),
    ],
)
def test_the_conf_of_a_run_is_compared_by_its_hash(
    recorded: dict[str, Json] | None, digests: list[str], expected: list[str]
) -> None:
    more: dict[str, Any] = {} if recorded is None else {"conf": recorded}
    events = [*without(honest(), END), run_event(END, run_item(), [item()], **more)]
    lines = [["dag_run", run_item(), False, digests], *WHOLE[1:]]
    assert [kind for kind, _ in names(events, lines)] == expected


def test_a_task_that_records_in_the_name_of_the_api_server_is_seen() -> None:
    forged = task_event(
        keys.TASK_MARKED, task="other", ti=ti_id(7), component="api_server", of=2, state="success"
    )
    (finding,) = compare([*honest(), forged], WHOLE)
    assert finding.kind == "source_in_two_roles"
    assert NAME_TASK in finding.detail
    assert "task_instance.marked of dag train/run r/task other/try 1" in finding.detail


def test_cancelled_runs_are_counted() -> None:
    told = remarks(honest(), [["dag_run", CANCELLED, False, []], *WHOLE])
    assert told == ["1 DAG run of a backfill that was cancelled before it began"]


def test_a_run_whose_place_another_run_of_the_same_date_took_is_not_missing() -> None:
    """As `dag.test()` does it with a logical date."""
    first, second = run_item(logical_us=5), {**run_item(logical_us=5), "run_id": "again"}
    events = [run_event(END, first, [item(pid=None)]), run_event(END, second, [])]
    assert compare(events, [["dag_run", second, False, []]]) == []


def test_a_state_that_its_own_process_contradicts_is_named_while_the_run_goes_on() -> None:
    events = without(honest(), END)
    lines = rows(run_item("running", ended_s=None), [item(state="failed")])
    assert names(events, lines) == [("task_instance_changed", NAME_TASK)]


def test_two_machines_that_recorded_at_about_the_same_time_are_both_believed() -> None:
    events = [*honest(), run_event(keys.DAG_RUN_MARKED, run_item("failed"), [item()], at_s=6, of=9)]
    assert compare(events, WHOLE) == []
    assert compare(events, rows(run_item("failed"), [item()])) == []
    later = [*honest(), run_event(keys.DAG_RUN_MARKED, run_item("failed"), [item()], at_s=99, of=9)]
    assert names(later, WHOLE) == [("dag_run_changed", NAME_RUN)]


def test_what_the_reconciler_alone_recorded_is_told() -> None:
    found = run_event(
        keys.DAG_RUN_RECONCILED, run_item(), [item()], at_s=99, of=7, lost=[{"ti_id": ti_id(1)}]
    )
    events = [run_event(keys.DAG_RUN_STARTED, {**OTHER_RUN, "run_id": "s"}, at_s=1), found]
    lines = [*WHOLE, ["dag_run", {**OTHER_RUN, "run_id": "s", "state": "running"}, False, []]]
    assert compare(events, lines) == []
    told = " ".join(remarks(events, lines))
    assert "1 DAG run that the reconciler alone recorded" in told
    assert "1 try of a task of which the reconciler tells" in told


def test_runs_that_were_deleted_on_purpose_are_counted() -> None:
    told = remarks(honest(), [["archived_dag_run", RUN.dag_id, RUN.run_id]])
    assert told == ["1 DAG run deleted on purpose, as Airflow tells"]
