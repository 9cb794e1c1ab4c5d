"""SIGKILL at every step of fetching from a store what was handed over there: one leaf a change."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from chain_client.spool import list_sources
from tests.faults import toy_host
from tests.faults.test_exactly_once import assert_exactly_once, run_to_end
from tests.faults.toy_host import ToyHost
from tests.forked import fork, killed_at
from tests.workers import alarms_of, ship, work

STEPS = [
    "receiving.begun",
    "receiving.segment.written",
    "receiving.before_publish",
    "receiving.published",
    "receiving.settled",
    "receiving.removed",
    "relay.parcel.checked",
    "log.append.before_commit",
    "log.append.committed",
    "spool.fork.taken",
]
AGAIN = {"receiving.segment.written", "receiving.published"}


class Store:
    """A store with what two tasks recorded, and the home whose relays take it in."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home, self.folder = home, folder / "store"
        self.database, self.spool = folder / "toy.db", folder / "worker"

    def work(self) -> None:
        """Two tasks that hand over what they recorded."""
        for name in ("first", "second"):
            run_to_end(lambda name=name: work(self.home, self.spool, self.database, 7, name))  # type: ignore[misc]
        sent = ship(self.spool, self.folder)
        assert not sent.left, sent.left

    def drain(self, home: Path | None = None, **changes: object) -> None:
        """A relay that fetches, takes in and anchors everything."""
        client = toy_host.open_client(
            home or self.home,
            MLOPS_CHAIN_RELAY_MAX_BATCH=5,
            MLOPS_CHAIN_RELAY_INBOX=f"folder:{self.folder}",
            **changes,
        )
        relay = client.relay(lambda name: ToyHost())
        relay.start()
        relay.drain(patience_s=20)
        relay.close()
        client.close()

    def assert_exactly_once(self) -> None:
        assert list_sources(self.folder) == []
        inbox = self.home / "inbox"
        assert list_sources(inbox) == []
        assert [path.name for path in (inbox / ".fetched").iterdir()] == []
        assert not list(inbox.glob(".fetching-*"))
        assert not (inbox / "aside").exists()
        assert_exactly_once(self.home, self.database)
        assert alarms_of(self.home) == []


@pytest.fixture
def store(home: Path, tmp_path: Path) -> Store:
    made = Store(home, tmp_path)
    made.work()
    return made


@pytest.mark.parametrize(
    ("step", "count"),
    [(step, 1) for step in STEPS] + [(step, 2) for step in STEPS if step in AGAIN],
)
def test_a_receiver_killed_at_a_step_loses_and_doubles_nothing(
    store: Store, tmp_path: Path, step: str, count: int
) -> None:
    shutil.copytree(store.folder, tmp_path / "sent")
    killed_at(step, count, store.drain)
    if step == "receiving.removed":
        # Whoever sent it does not know, and sends it once more.
        shutil.copytree(tmp_path / "sent", store.folder, dirs_exist_ok=True)
    run_to_end(store.drain)
    store.assert_exactly_once()


def test_a_relay_that_slept_while_another_took_over_loses_and_doubles_nothing(
    store: Store,
) -> None:
    """SIGSTOP within taking in what was fetched, until the lease has run out."""
    first = fork()
    if first == 0:
        try:
            from chain_client import steps

            def stop(name: str) -> None:
                if name == "relay.parcel.checked":
                    steps.on_step = None
                    os.kill(os.getpid(), signal.SIGSTOP)

            steps.on_step = stop
            store.drain(MLOPS_CHAIN_RELAY_LEASE_S=1)
        finally:
            os._exit(0)
    try:
        os.waitpid(first, os.WUNTRACED)
        # The other relay has a home, and so an inbox, of its own, and the same log.
        other = store.home.with_name("other")
        shutil.copytree(store.home, other, ignore=shutil.ignore_patterns("inbox", "ingester-id"))
        (other / "config.toml").write_text(
            f'[log]\nurl = "sqlite:///{store.home}/log.db"\n'
            f'[ledger]\nurl = "embedded:{store.home}/chain/embedded.db"\n'
        )
        deadline = time.monotonic() + 60
        while list_sources(store.folder):  # until the lease of the one that sleeps has run out
            assert time.monotonic() < deadline
            run_to_end(lambda: store.drain(other, MLOPS_CHAIN_RELAY_LEASE_S=1))
        assert list_sources(store.home / "inbox"), "what the sleeping one has in hand"
    finally:
        os.kill(first, signal.SIGCONT)
        os.waitpid(first, 0)
    run_to_end(store.drain)
    store.assert_exactly_once()
