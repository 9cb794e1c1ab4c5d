"""The tutorial works as it is written: its shell blocks are run, one after the other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.shell_pages import DOCS, run_shell_blocks


def test_the_tutorial_ends_with_the_tampering_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(DOCS.parent / "examples" / "quickstart.py", tmp_path)
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_IDLE_S", "1")
    train, relay, clean, tampered, log_edited = run_shell_blocks("tutorial.md", tmp_path)
    assert "best F1" in train
    assert "finalized" in relay
    assert "It holds." in clean
    assert "metric_changed" in tampered
    assert "0.9999" in tampered
    assert "exit code 1" in tampered
    assert "log_entry_missing" in log_edited
    assert "exit code 1" in log_edited
