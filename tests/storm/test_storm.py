"""A storm of twenty kills: everything that MLflow committed has one leaf, and no leaf lies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEED = 20
KILLS = 20


@pytest.mark.timeout(1200)
def test_after_twenty_kills_each_committed_change_has_exactly_one_leaf(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.storm", "--seed", str(SEED), "--work", str(tmp_path)),
            *("--kills", str(KILLS), "--seconds", "40"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1100,
        check=False,
    )
    assert done.stdout, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["findings"] == [], done.stderr[-3000:]
    assert done.returncode == 0
    assert report["kills_in_all"] == KILLS
    assert report["events"] > KILLS
    assert report["changes"] > report["events"]
