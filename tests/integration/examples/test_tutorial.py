"""The tutorial works as it is written: its shell blocks are run, one after the other."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def shell_blocks(text: str) -> list[str]:
    """Every block of the document that is marked as ``sh``."""
    return re.findall(r"^```sh\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def test_the_tutorial_ends_with_the_tampering_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = shell_blocks((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))
    assert len(blocks) == 5
    shutil.copy(ROOT / "examples" / "quickstart.py", tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_IDLE_S", "1")
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
    train, relay, clean, tampered, log_edited = done.stdout.split("--- next block")
    assert "best F1" in train
    assert "finalized" in relay
    assert "It holds." in clean
    assert "metric_changed" in tampered
    assert "0.9999" in tampered
    assert "exit code 1" in tampered
    assert "log_entry_missing" in log_edited
    assert "exit code 1" in log_edited
