"""Rows of Airflow's audit log that tell of deletions, as Airflow 3.3 writes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_chain.reading.deletions import to_deletions

WHEN = datetime(2026, 11, 20, tzinfo=UTC)
WHEN_US = 1_795_132_800_000_000


def told(event: str, extra: Any = None, **of: str) -> list[dict[str, Any]]:
    """What one row says was deleted, without who and when."""
    text = extra if isinstance(extra, str) else json.dumps(extra)
    found = list(
        to_deletions(
            event, WHEN, of.get("dag_id"), of.get("run_id"), of.get("task_id"), "ada", text
        )
    )
    for one in found:
        assert one.pop("time_us") == WHEN_US
        assert one.pop("who") == "ada"
    return found


@pytest.mark.parametrize("event", ["delete_dag", "cli_dag_delete"])
def test_a_dag(event: str) -> None:
    assert told(event, {}, dag_id="d") == [{"dag_id": "d"}]


def test_a_dag_run() -> None:
    assert told("delete_dag_run", {}, dag_id="d", run_id="r") == [{"dag_id": "d", "run_id": "r"}]
    assert told("delete_dag_run", {}, dag_id="d") == []


def test_a_task_instance() -> None:
    whole = {"dag_id": "d", "run_id": "r", "task_id": "t"}
    assert told("delete_task_instance", {}, **whole) == [whole]


def test_several_at_once_but_not_what_was_only_changed() -> None:
    body = {
        "actions": [
            {"action": "delete", "entities": ["r1", {"dag_run_id": "r2", "dag_id": "e"}]},
            {"action": "update", "entities": [{"dag_run_id": "r3", "dag_id": "d"}]},
        ]
    }
    assert told("bulk_dag_runs", body, dag_id="d") == [
        {"dag_id": "d", "run_id": "r1"},
        {"dag_id": "e", "run_id": "r2"},
    ]
    of_any = told("bulk_dag_runs", body, dag_id="~")
    assert of_any == [{"dag_id": "e", "run_id": "r2"}]
    tasks = {"actions": [{"action": "delete", "entities": ["t", {"task_id": "u"}]}]}
    assert told("bulk_task_instances", tasks, dag_id="d", run_id="r") == [
        {"dag_id": "d", "run_id": "r", "task_id": "t"},
        {"dag_id": "d", "run_id": "r", "task_id": "u"},
    ]


ALL = {"before_us": WHEN_US, "tables": [], "dag_ids": [], "excluded": [], "is_sure": True}
BEFORE = ["--clean-before-timestamp", "2026-11-20"]


def cleaned(*words: str, command: str = "clean", event: str = "cli_cleanup_tables") -> Any:
    """What a command of ``airflow db`` says was deleted."""
    full = ["/usr/bin/airflow", "db", command, *words]
    return told(event, {"host_name": "h", "full_command": str(full)})


@pytest.mark.parametrize(
    ("words", "more"),
    [
        ([*BEFORE, "--yes"], {}),
        (["-y", "--clean-before-timestamp=2026-11-20T00:00:00+00:00"], {}),
        (["-y", "--clean-before-timestamp", "2026-11-20 00:00:00"], {}),
        (["-y", "--clean-before", "2026-11-20"], {}),
        ([*BEFORE, "-yv", "-t", "log, xcom"], {"tables": ["log", "xcom"]}),
        ([*BEFORE, "-y", "--dag-ids", "toy,other"], {"dag_ids": ["toy", "other"]}),
        ([*BEFORE, "-y", "--exclude-dag-ids=paid"], {"excluded": ["paid"]}),
        ([*BEFORE, "--skip-archive", "--batch-size", "9"], {}),
        (BEFORE, {"is_sure": False}),
    ],
)
def test_a_clean_up_says_until_when_and_of_what(words: list[str], more: dict[str, Any]) -> None:
    assert cleaned(*words) == [{**ALL, **more}]


@pytest.mark.parametrize("words", [[*BEFORE, "--dry-run"], ["-y"], [*BEFORE, "-y", "--invented"]])
def test_a_clean_up_that_deletes_nothing_or_is_not_understood_tells_nothing(
    words: list[str],
) -> None:
    assert cleaned(*words) == []


def test_its_times_are_read_as_airflow_reads_them() -> None:
    def parse(text: str) -> datetime:
        assert text == "2026-12"
        return WHEN

    full = ["airflow", "db", "clean", "--clean-before-timestamp", "2026-12", "-y"]
    extra = json.dumps({"full_command": str(full)})
    row = ("cli_cleanup_tables", WHEN, None, None, None, "ada", extra)
    (one,) = to_deletions(*row, parse=parse)
    assert one["before_us"] == WHEN_US
    assert list(to_deletions(*row)) == []


def test_tables_of_clean_ups_that_were_dropped() -> None:
    assert cleaned("-y", command="drop-archived", event="cli_drop_archived") == [{"dropped": True}]
    exported = {"command": "export-archived", "event": "cli_export_archived"}
    assert cleaned("--drop-arch", "--output-path", "/x", **exported) == [{"dropped": True}]
    assert cleaned("--output-path", "/x", **exported) == []


@pytest.mark.parametrize("extra", ["", "no json", "[]", '{"full_command": "airflow db clean"}'])
def test_what_is_not_understood_excuses_nothing(extra: str) -> None:
    assert told("cli_cleanup_tables", extra) == []
    assert told("bulk_dag_runs", extra, dag_id="d") == []
