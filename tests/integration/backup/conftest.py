"""A home and an MLflow database at one place: a home knows its databases by their paths."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.backup import made_folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The place, with an older and a newer copy of everything."""
    folder = tmp_path_factory.mktemp("backup")
    environment = os.environ | {
        "MLOPS_CHAIN_HOME": str(folder / "home"),
        "MLOPS_CHAIN_RELAY_AUTOSTART": "false",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    words = [sys.executable, made_folder.__file__, str(folder)]
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place with all of the newest, and nothing else but the copies."""
    for path in made.iterdir():
        if path.name not in ("old", "new"):
            remove(path)
    restore(made, "new", *made_folder.PARTS)
    monkeypatch.chdir(made)
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(made / "home"))
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    return made


def remove(path: Path) -> None:
    """A file or a folder; nothing happens if it is not there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def restore(folder: Path, copy: str, *parts: str) -> None:
    """Put parts of a copy in the place of what is there."""
    for part in parts:
        remove(folder / part)
        source = folder / copy / part
        if source.is_dir():
            shutil.copytree(source, folder / part)
        else:
            shutil.copy(source, folder / part)
