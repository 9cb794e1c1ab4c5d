"""What ``mlops-chain airflow reconcile`` takes and prints, without an Airflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from chain_client.cli.airflow import _print, _to_since_us

Cli = Callable[..., tuple[int, str, str]]

DAY_US = 86_400_000_000
NOW_US = 1_795_132_800_000_000
"""20 November 2026, midnight UTC."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-19", NOW_US - DAY_US),
        ("2026-11-19T01:00:00+01:00", NOW_US - DAY_US),
        ("1d", NOW_US - DAY_US),
        ("24h", NOW_US - DAY_US),
    ],
)
def test_since_is_a_date_a_time_or_how_long_ago(text: str, expected: int) -> None:
    assert _to_since_us(text, NOW_US) == expected


def test_any_other_since_is_refused() -> None:
    with pytest.raises(click.BadParameter, match="duration"):
        _to_since_us("yesterday", NOW_US)


def test_what_was_read_and_what_was_lost_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    lost: dict[str, Any] = {
        "task_id": "fit",
        "map_index": 3,
        "try_number": 2,
        "state": "failed",
        "pid": 77,
        "events": ["task_instance.failed"],
    }
    run = {
        "dag_id": "train",
        "run_id": "r[1]",
        "state": "failed",
        "reasons": ["end_unrecorded", "task_events_lost"],
        "task_instances": 1200,
        "lost": [lost],
    }
    _print([run])
    out = capsys.readouterr().out
    assert "dag train/run r[1]  failed: its end was not recorded; events of tasks were lost" in out
    assert "1,200 task instances read" in out
    assert "lost  task fit[3], try 2, failed, process 77: task_instance.failed" in out
    assert out.endswith("recorded 1 event\n")


def test_a_home_without_an_airflow_says_so(mlops_chain: Cli, home: Path) -> None:
    code, _, err = mlops_chain("--home", home, "airflow", "reconcile")
    assert code == 2
    assert "no Airflow records into" in err
