"""Two homes that feed one log, and their relays as processes."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chain_client import ChainClient, Settings
from chain_client.log import EntryStatus
from chain_client.relay.held_lease import LEASE
from chain_client.verify import Verdict
from tests.integration.core.conftest import Site
from tests.postgres import Postgres

PATIENCE_S = 60
LEASE_S = 2
"""Long enough for a busy machine, short enough to be waited for."""


def wait_until(reached: Callable[[], bool], what: str = "it") -> None:
    """Look until it is so; the test fails if it never is."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, f"{what} did not happen in time"
        threading.Event().wait(0.05)


def settings_for(**settings: object) -> dict[str, str]:
    """Environment variables of these settings."""
    return {f"MLOPS_CHAIN_{name}": str(value) for name, value in settings.items()}


class RelayProcess:
    """A relay by the real command line.

    Args:
        home: whose.
        words: further words of the command.
        environment: its settings.
    """

    def __init__(self, home: Path, *words: str, **environment: str) -> None:
        self.output = home.parent / f"{home.name}.{time.monotonic_ns()}.txt"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "chain_client.cli", "--home", str(home), "relay", *words],
                env={**os.environ, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> str:
        """All that it has said so far, in one line."""
        return " ".join(self.output.read_text(encoding="utf-8").split())

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            if how is not signal.SIGKILL:
                self.process.send_signal(signal.SIGCONT)
        return self.process.wait(PATIENCE_S)


@dataclass
class TwoHosts:
    """Homes `a` and `b` of one deployment: one log, one chain, a spool each.

    Args:
        a: of the host on which everything was made.
        b: of a second host.
        settings: what both have in common.
    """

    a: Site
    b: Site
    settings: dict[str, object]
    relays: list[RelayProcess] = field(default_factory=list)

    @property
    def both(self) -> tuple[Site, Site]:
        return self.a, self.b

    def relay_process(self, site: Site, *words: str, **settings: object) -> RelayProcess:
        """Start a relay; it is ended with the test."""
        every = {"RELAY_HTTP": "", "REGISTRY_SYNC": "false", **self.settings, **settings}
        self.relays.append(RelayProcess(site.home, *words, **settings_for(**every)))
        return self.relays[-1]

    def anchoring_pid(self) -> int | None:
        """Process of the relay that anchors."""
        return pid_of(self.a, LEASE)

    def ingesting_pid(self, site: Site) -> int | None:
        """Process of the relay that reads this home's spool."""
        return pid_of(site, f"ingest:{site.client.folder.ingester_id()}")

    def is_final(self) -> bool:
        """Whether everything in the log is."""
        head = self.a.client.log.latest_head(EntryStatus.FINALIZED)
        return head is not None and head.size == self.a.client.log.size()

    def is_free(self) -> bool:
        """Whether nobody is writing into log or chain, where they are files."""
        for database in (self.a.log_file, self.a.chain_file):
            connection = sqlite3.connect(database, timeout=0, isolation_level=None)
            try:
                connection.execute("BEGIN EXCLUSIVE")
                connection.execute("ROLLBACK")
            except sqlite3.OperationalError:
                return False
            finally:
                connection.close()
        return True

    def numbers(self, name: str) -> list[object]:
        """The numbers of the events that were noted under a name, in log order."""
        events = [e for e in self.a.events() if e.type == "item.seen" and e.subject.id == name]
        return [event.payload["number"] for event in events]

    def assert_whole(self, noted: dict[str, int]) -> None:
        """Each event once and in order, all of it final, one transaction for each head."""
        for name, count in noted.items():
            assert self.numbers(name) == list(range(count))
        client = self.a.client
        deployment = client.deployment
        head = client.contract.head(deployment.log_id, at="finalized")
        assert (head.size, head.root) == (client.log.size(), client.log.root())
        last = client.ledger.block().number
        heads = client.contract.heads(deployment.log_id, deployment.block_number, last)
        sizes = [known.head.size for known in heads]
        assert sizes == sorted(set(sizes))
        assert client.ledger.nonce(deployment.writer) == len(heads)
        assert all(h.status is EntryStatus.FINALIZED for h in client.log.heads())
        assert self.a.verify().verdict is Verdict.HOLDS


def pid_of(site: Site, lease: str) -> int | None:
    """Process that holds a lease."""
    found = site.client.log.holder(lease)
    return None if found is None else int(found.holder.rpartition(":")[2])


@contextmanager
def two_hosts(folder: Path, log_url: str, **settings: object) -> Iterator[TwoHosts]:
    """The second home has what a person copies to a further machine, and the same log and chain.

    Args:
        folder: holds the first home, ``a``.
        log_url: of the log that both feed.
        settings: of both.
    """
    a, b = folder / "a", folder / "b"
    b.mkdir()
    shutil.copy(a / "deployment.json", b)
    shutil.copytree(a / "keys", b / "keys")
    common = {
        "LOG_URL": log_url,
        "LEDGER_URL": f"embedded:{a}/chain/embedded.db",
        "RELAY_LEASE_S": LEASE_S,
        **settings,
    }
    site_a, site_b = Site(a, **common), Site(b, **common)
    for site in (site_a, site_b):
        site.client.folder.create_folders()
    hosts = TwoHosts(site_a, site_b, common)
    try:
        yield hosts
    finally:
        for relay in hosts.relays:
            relay.end(signal.SIGKILL)
        for site in hosts.both:
            site.close()


@pytest.fixture
def hosts(home: Path, tmp_path: Path) -> Iterator[TwoHosts]:
    """Two homes that share a log in a file, as two services of one machine may."""
    home.rename(tmp_path / "a")
    with two_hosts(tmp_path, f"sqlite:///{tmp_path}/a/log.db") as found:
        yield found


@pytest.fixture
def hosts_on_postgres(postgres: Postgres, tmp_path: Path) -> Iterator[TwoHosts]:
    """Two homes that share a log on a server."""
    name = postgres.create()
    url = postgres.uri(name, "psycopg")
    environment = settings_for(RELAY_AUTOSTART="false", LOG_URL=url)
    settings = Settings.from_environment(environment, tmp_path, home=tmp_path / "a")
    ChainClient.open(settings, create=True).close()
    with two_hosts(tmp_path, url) as found:
        yield found
    postgres.execute(f"drop database {name} with (force)")
