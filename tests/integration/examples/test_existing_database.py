"""The how-to for an existing database works as it is written: its shell blocks are run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

OLDER_RUNS = """
import mlflow

mlflow.set_tracking_uri("sqlite:///mlflow.db")
for depth in (2, 4):
    with mlflow.start_run():
        mlflow.log_param("depth", depth)
        mlflow.log_metric("f1", 0.9)
        mlflow.log_text("made before", "note.txt")
"""


def test_a_database_in_use_is_taken_over_and_a_later_edit_of_an_older_run_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "how-to" / "existing-database.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    subprocess.run([sys.executable, "-c", OLDER_RUNS], check=True, timeout=120)
    script = tmp_path / "blocks.sh"
    script.write_text("\necho '--- next block'\n".join(blocks), encoding="utf-8")
    done = subprocess.run(
        ["bash", str(script)],
        capture_output=True,
        text=True,
        timeout=250,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    _, taken_over, edited = done.stdout.split("--- next block")
    assert "1 experiments" in taken_over
    assert "It holds." in taken_over
    assert "2 files" in taken_over
    assert "param_changed" in edited
    assert "edited" in edited
    assert "exit code 1" in edited
