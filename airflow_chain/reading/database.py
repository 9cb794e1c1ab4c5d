"""Airflow's metadata database as this process sees it: lines of another process.

Each line is a JSON list that begins with its kind:

- ``["airflow", {"name", "version"}]``, the first one;
- ``["archived_dag_run", dag_id, run_id]`` and ``["archived_task", ti_id]``: `airflow db clean`
  has put it aside;
- ``["deletion", {…}]``: Airflow's audit log says that it was deleted on purpose;
- ``["dag_run", {…}, denied, digests]``, as `mapping.dag_runs.to_dag_run_item` gives it, with what
  may have been recorded as SHA-256 of its conf;
- ``["history" | "task", dag_id, run_id, {…}, denied]``, as `mapping.final_states.to_item` gives
  it: an earlier try, or the newest one; denied: by the policy as it is now;
- ``["end", count]``, the last one; ``["failed", class]`` in its place if it could not be read.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, cast

from chain_client.errors import HostUnavailable
from chain_client.events import Json
from chain_client.hosts import StoreBinding

SCHEME = "airflow://"
_SILENCE_S = 300.0
"""How long nothing may come before the process is given up."""
_CHUNK = 1 << 16

Line = list[Any]


def read_database(
    store: StoreBinding, *, dag_id: str | None = None, since_us: int | None = None
) -> Iterator[Line]:
    """Every line that the reading process writes, but the first and the last; it is ended after.

    The Airflow that the environment names by ``AIRFLOW_HOME`` is read, unless it has another name
    than the store, and the one that recorded into the home is on this machine.

    Args:
        store: the binding; its URI is ``airflow://`` and the path of an ``AIRFLOW_HOME``.
        dag_id: of one DAG only.
        since_us: leaves out runs that had ended before, in µs since the epoch.

    Raises:
        HostUnavailable: there is no such Airflow, or its database can't be read to the end.
    """
    words = [sys.executable, "-m", "airflow_chain.reading"]
    if dag_id is not None:
        words += ["--dag", dag_id]
    if since_us is not None:
        words += ["--since-us", str(since_us)]
    recorded = Path(store.uri.removeprefix(SCHEME))
    named = os.environ.get("AIRFLOW_HOME", "")
    folder = Path(named).expanduser() if named else recorded
    if not folder.is_dir():
        raise HostUnavailable(
            f"there is no folder {folder}, the AIRFLOW_HOME "
            + ("that the environment names" if named else "of the Airflow that recorded here")
            + "; set AIRFLOW_HOME, and the variables that say where Airflow's database is"
        )
    lines = _read(words, folder)
    first = next(lines)
    is_another = first[1]["name"] != store.store_id and folder != recorded
    if is_another and recorded.is_dir():
        lines.close()
        lines = _read(words, recorded)
        next(lines)
    yield from lines


def _read(words: list[str], folder: Path) -> Generator[Line]:
    """Every line but the last, and what the last one says checked."""
    with contextlib.ExitStack() as stack:
        environment = _to_environment(folder, stack)
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        stack.callback(_end, process)
        count = -1
        for line in _lines(process):
            if line[0] == "failed":
                raise _unreadable(folder, str(line[1]))
            if line[0] == "end":
                if line[1] != count:
                    raise _unreadable(folder, "lines were lost")
                return
            count += 1
            yield line
        raise _unreadable(folder, "the reading process ended early")


def _to_environment(folder: Path, stack: contextlib.ExitStack) -> dict[str, str]:
    """Of the reading process: nothing is recorded there, and no configuration file is made."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__MLOPS_CHAIN__LISTENER": "False",
        "MLOPS_CHAIN_RELAY_AUTOSTART": "false",
    }
    if "AIRFLOW_CONFIG" not in environment and not (folder / "airflow.cfg").exists():
        # Airflow writes one where there is none.
        empty = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "airflow.cfg"
        empty.touch()
        environment["AIRFLOW_CONFIG"] = str(empty)
    return environment


def _lines(process: subprocess.Popen[bytes]) -> Iterator[Line]:
    pipe = cast("Any", process.stdout)
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(_SILENCE_S):
            chunk = os.read(pipe.fileno(), _CHUNK)
            if not chunk:
                return
            *whole, rest = (rest + chunk).split(b"\n")
            for text in whole:
                yield _to_line(text)


def _to_line(text: bytes) -> Line:
    try:
        line: Json = json.loads(text)
    except ValueError:
        line = None
    if not isinstance(line, list) or not line:
        raise HostUnavailable("the process that reads Airflow's database wrote no JSON line")
    return cast("Line", line)


def _unreadable(folder: Path, why: str) -> HostUnavailable:
    return HostUnavailable(
        f"the metadata database of the Airflow in {folder} can't be read ({why}); see that "
        "Airflow is installed here, and that its variables say where its database is"
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
