"""The how-to for an existing database works as it is written: its shell blocks are run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.shell_pages import run_shell_blocks

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
    tmp_path: Path, forking_programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    subprocess.run([sys.executable, "-c", OLDER_RUNS], check=True, timeout=120)
    _, taken_over, edited = run_shell_blocks(
        "how-to/existing-database.md", tmp_path, forking_programs
    )
    assert "1 experiments" in taken_over
    assert "It holds." in taken_over
    assert "2 files" in taken_over
    assert "param_changed" in edited
    assert "edited" in edited
    assert "exit code 1" in edited
