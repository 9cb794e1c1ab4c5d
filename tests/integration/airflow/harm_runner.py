"""Run as a program: one DAG under one fault of the listener after the other.

Usage: ``python harm_runner.py HOME RESULT_FILE``, in an ``AIRFLOW_HOME`` with the DAG ``shop``.
In one process, as Airflow's import costs seconds; what the listener keeps is forgotten between.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from airflow_chain import acting_user, guard, recording
from chain_client import client
from chain_client.recorder import Recorder
from chain_client.spool.disk import Disk
from tests.airflow_runner import load_dags

SECTION = "AIRFLOW__MLOPS_CHAIN__"


def main(home: str, result: str) -> None:
    """Try each fault, and write what came of it."""
    dags = load_dags()
    found: dict[str, Any] = {}
    for name, fault in _faults(Path(home)).items():
        _forget()
        with contextlib.ExitStack() as stack:
            for one in fault:
                stack.enter_context(one)
            began = time.monotonic()
            run = dags["shop"].test()
            took_s = time.monotonic() - began
        found[name] = {
            "state": str(run.state),
            "tasks": sorted((ti.task_id, str(ti.state)) for ti in run.get_task_instances()),
            "faults": dict(guard.faults),
            "recorded": recording.find_recorder() is not None and _recorded(Path(home)),
            "took_s": took_s,
        }
    Path(result).write_text(json.dumps(found))


def _faults(home: Path) -> dict[str, list[contextlib.AbstractContextManager[Any]]]:
    nowhere = home.parent / "nowhere"
    folder = home.parent / "folder.toml"
    folder.mkdir()
    unreadable = home.parent / "unreadable.toml"
    unreadable.write_text("[[rule]]\ndag = 'shop'\nrecrod = false\n")
    file = home.parent / "file"
    file.touch()
    return {
        "none": [],
        "Exception": [patch.object(Recorder, "note", side_effect=RuntimeError("no"))],
        "SystemExit": [patch.object(Recorder, "note", side_effect=SystemExit(1))],
        "KeyboardInterrupt": [patch.object(Recorder, "note", side_effect=KeyboardInterrupt)],
        "logging fails": [
            patch.object(Recorder, "note", side_effect=RuntimeError("no")),
            patch.object(guard._logger, "error", side_effect=SystemExit(1)),
        ],
        "full disk": [patch.object(Disk, "pwrite", side_effect=OSError(errno.ENOSPC, "full"))],
        "full disk, refused": [
            patch.object(Disk, "pwrite", side_effect=OSError(errno.ENOSPC, "full")),
            patch.dict(os.environ, MLOPS_CHAIN_SPOOL_ON_ERROR="refuse"),
        ],
        "locked files": [_locked(home)],
        "missing home": [_configured(home=nowhere)],
        "wrong setting": [patch.dict(os.environ, MLOPS_CHAIN_SPOOL_DURABILITY="often")],
        "wrong name": [_configured(name="../airflow")],
        "wrong patience": [_configured(ship_to=f"folder:{file}", ship_timeout_s="soon")],
        "rules are a folder": [_configured(policy=folder)],
        "wrong rules": [_configured(policy=unreadable)],
        "damaged home": [_damaged(home / "deployment.json")],
        "none again": [],
    }


def _configured(**options: object) -> Any:
    return patch.dict(
        os.environ, {f"{SECTION}{name.upper()}": str(value) for name, value in options.items()}
    )


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Another process, as far as flock is concerned, holds every file of the home."""
    (home / ".lock").touch()
    (home / "relay.lock").touch()
    with contextlib.ExitStack() as stack:
        for path in home.rglob("*"):
            if path.is_file():
                file = stack.enter_context(path.open("rb"))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


@contextlib.contextmanager
def _damaged(file: Path) -> Iterator[None]:
    text = file.read_text()
    file.write_text(text[: len(text) // 2])
    yield
    file.write_text(text)


def _forget() -> None:
    """As in a fresh process."""
    with contextlib.suppress(Exception):
        recording.close()
    guard.faults.clear()
    recording._current = recording._failed = None
    client._recorders.clear()
    assert not acting_user.is_api_server()


def _recorded(home: Path) -> int:
    """How many sources lie in the spool."""
    return sum(1 for path in (home / "spool").iterdir() if not path.name.startswith("."))


if __name__ == "__main__":
    main(*sys.argv[1:])
