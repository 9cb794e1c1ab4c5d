"""The bench measures every row without an error; its figures are not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from tests.bench.bench_home import ROOT
from tests.bench.comparing import Comparison, Side
from tests.bench.figures import percentile
from tests.bench.group import GROUPS
from tests.bench.load import ACTOR, METRIC_LOGGED, points, run_subject

DEAR = {*GROUPS["anvil"], "airflow_hook_power", "airflow_dag_test"}
"""They wait for the blocks of a node, or start many Airflows: as long as all others together."""

MEASURED = [name for names in GROUPS.values() for name in names if name not in DEAR]


def test_a_quick_run_measures_every_row_and_leaves_nothing_behind(tmp_path: Path) -> None:
    work, results = tmp_path / "work", tmp_path / "results.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.bench", "--quick", "--rows", ",".join(MEASURED)),
            *("--work", str(work), "--json", str(results)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(results.read_text())
    machine, rows = document["machine"], document["rows"]
    assert machine["cpus_usable"] >= 1
    assert machine["fsync_p50_s"] > 0
    assert [row["name"] for row in rows] == MEASURED
    for row in rows:
        assert row["target"], row["name"]
        assert row["raw"], row["name"]
        assert row["result"], row["name"]
        assert row["result"] in done.stdout, row["name"]
    raw = {row["name"]: row["raw"] for row in rows}
    assert fsyncs_an_event(raw["recorder_process"]) == 0
    # The outcomes are synced together, five times a second.
    assert 1 <= fsyncs_an_event(raw["recorder_power"]) < 2
    assert list(work.iterdir()) == []


def fsyncs_an_event(raw: dict[str, Any]) -> float:
    """Of a recorder's row."""
    counted: int = raw["fsyncs"]
    return counted / sum(map(len, raw["rounds_s"]))


def test_an_unknown_row_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--rows", "log_metric,speed_of_light"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "speed_of_light" in done.stderr


def test_the_load_has_the_form_of_what_the_adapter_records() -> None:
    from mlflow.entities import Metric

    from mlflow_chain.stores.methods import TRACKING

    shown = points(7, 1)
    (point,) = cast("list[tuple[str, float, int, int]]", shown["metrics"])
    subject = run_subject(7)
    method = TRACKING["log_metric"]
    mapped = method.mapping(subject.id, Metric(*point))
    assert mapped == (subject.kind, subject.id, shown)
    assert method.type == METRIC_LOGGED
    assert ACTOR.claimed


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 2), (51, 3), (90, 4), (100, 4)])
def test_percentiles_are_by_nearest_rank(percent: float, value: float) -> None:
    assert percentile([4, 1, 3, 2], percent) == value


def test_a_comparison_sets_medians_against_each_other() -> None:
    plain = Side([[1.0, 2.0, 9.0], [2.0, 2.0, 2.0]], fsyncs=12)
    wrapped = Side([[3.0, 3.0, 3.0], [3.0, 3.0, 8.0]], fsyncs=18)
    found = Comparison(plain, wrapped)
    assert found.ratio_p50 == 1.5
    assert found.round_ratios == [1.5, 1.5]
    assert (plain.fsyncs_a_call, wrapped.fsyncs_a_call) == (2, 3)
