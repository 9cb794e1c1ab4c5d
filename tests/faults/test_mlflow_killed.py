"""A training process killed between its writes: what MLflow committed is what was recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chain_client.testing.crash import run_killed
from tests.faults import mlflow_script

SCRIPT = Path(mlflow_script.__file__)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


# The script's writes: experiment, run, param, batch, metric, tag, tag, file, end of the run, model,
# version, alias. Before the outcome is written, MLflow has committed; before that, it has not.
BEFORE, AFTER = "spool.intent.synced", "spool.outcome.before_write"
KILLS = [(AFTER, 1), (AFTER, 2), (BEFORE, 5), (AFTER, 7), (AFTER, 8), (AFTER, 11), (AFTER, 12)]


def test_after_kills_at_many_writes_everything_is_recorded_once(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(home))
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"chain+sqlite:///{tmp_path}/mlflow.db")
    for step, count in KILLS:
        run_killed(SCRIPT, f"{step} {count}", step_name=step, count=count)
    done = command(str(SCRIPT), "whole")
    assert done.returncode == 0, done.stderr
    relayed = command("-m", "chain_client.cli", "relay", "--once", "--json")
    assert relayed.returncode == 0, relayed.stderr
    verified = command("-m", "chain_client.cli", "verify", "--json")
    report = json.loads(verified.stdout)
    assert report["findings"] == []
    assert report["ok"], report["checks"]
    assert verified.returncode == 0
