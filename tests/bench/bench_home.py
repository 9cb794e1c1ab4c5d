"""Homes to measure in, and the processes that run in them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chain_client import ChainClient, Settings
from chain_client.log import EntryStatus
from chain_client.relay.service import LEASE
from chain_client.relay.starter import is_relay_running
from chain_client.verify import read_spooled
from tests.bench.fsyncs import counting_environment

ROOT = Path(__file__).parents[2]
_TEMPLATE = "template"
_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Options:
    """What a group of rows is told.

    Args:
        work: folder on the disk that is measured.
        quick: small sizes, to see that everything runs.
        rows: names of the rows that are wanted.
        library: counts fsyncs in processes that are started; None if there is none.
    """

    work: Path
    quick: bool
    rows: frozenset[str]
    library: Path | None


def found_template(work: Path) -> None:
    """Make the home of which all others are copies."""
    ChainClient.open(Settings(home=work / _TEMPLATE, relay_autostart=False), create=True).close()


def copy_home(options: Options, name: str) -> Path:
    """A fresh home of that name."""
    home = options.work / name
    shutil.copytree(options.work / _TEMPLATE, home)
    return home


def start(options: Options, module: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start a module of the bench as a process whose fsyncs are counted."""
    counter = options.work / f"fsyncs-{module}-{time.monotonic_ns()}"
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.bench.{module}", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | counting_environment(options.library, counter),
    )


def run(options: Options, module: str, *arguments: object) -> None:
    """Run a module of the bench to its end.

    Raises:
        RuntimeError: it failed.
    """
    finish(start(options, module, *arguments))


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process.

    Raises:
        RuntimeError: it failed.
    """
    code = process.wait()
    if code:
        raise RuntimeError(f"{process.args!r} ended with code {code}")


def read_json(path: Path) -> Any:
    """What a process wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def wait_until_anchored(client: ChainClient) -> None:
    """Wait until nothing recorded waits for the log or the chain.

    Raises:
        TimeoutError: it takes too long.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        head = client.log.latest_head(EntryStatus.FINALIZED)
        if (head.size if head else 0) == client.log.size() and not read_spooled(
            client.folder.spool, client.log
        ).events:
            return
        time.sleep(0.1)
    raise TimeoutError("the relay did not anchor what was recorded")


def settings_of(home: Path, **changes: Any) -> Settings:
    """What the home's own file says, and these.

    Args:
        home: the home.
        changes: fields of `Settings`.
    """
    return replace(Settings.from_environment({}, home.parent, home=home), **changes)


@contextmanager
def opened(home: Path, *, relay: bool, durability: str = "power") -> Iterator[ChainClient]:
    """A client of a home, closed in the end; a relay that it started is ended.

    Args:
        home: the home.
        relay: whether recording starts a relay, as it does by default.
        durability: of the spool.
    """
    settings = settings_of(home, relay_autostart=relay, spool_durability=durability)
    client = ChainClient.open(settings)
    try:
        yield client
    finally:
        client.recorder.close()
        if relay:
            stop_relay(client)
        client.close()


def stop_relay(client: ChainClient) -> None:
    """End the relay that works for a home, and wait for it.

    Raises:
        TimeoutError: it does not end.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while is_relay_running(client.folder.relay_lock):
        lease = client.log.holder(LEASE)
        if lease is not None:
            try:
                os.kill(int(lease.holder.rpartition(":")[2]), signal.SIGTERM)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            raise TimeoutError("the relay does not end")
        time.sleep(0.1)


def wait_for_relay(client: ChainClient) -> None:
    """Wait until a relay works for the home.

    Raises:
        TimeoutError: none does.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while not is_relay_running(client.folder.relay_lock):
        if time.monotonic() > deadline:
            raise TimeoutError("no relay was started")
        time.sleep(0.05)
