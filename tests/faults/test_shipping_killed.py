"""SIGKILL at every step of handing a spool over and of taking it in: each change has one leaf."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from chain_client.spool import list_sources
from tests.faults.test_exactly_once import assert_exactly_once, run_to_end
from tests.faults.toy_host import drain
from tests.forked import in_fork, killed_at
from tests.workers import alarms_of, ship, work

SENDING = [
    "shipping.seized",
    "shipping.begun",
    "shipping.segment.written",
    "shipping.segment.named",
    "shipping.before_publish",
    "shipping.published",
    "shipping.confirmed",
    "shipping.taken",
    "shipping.removed",
]
RECEIVING = [
    "relay.parcel.checked",
    "relay.records.read",
    "log.append.before_commit",
    "log.append.committed",
    "spool.fork.taken",
]
AGAIN = {"shipping.seized", "shipping.segment.named", "shipping.confirmed"}


class Worker:
    """A machine that is going to be thrown away, and the home whose relay takes its spool in."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home, self.database = home, folder / "toy.db"
        self.spool, self.inbox = folder / "worker", home / "inbox"

    def work(self) -> None:
        """A task that is killed within a call, and one that ends."""
        killed_at("spool.outcome.before_write", 4, lambda: self._work("killed"))
        run_to_end(lambda: self._work("ended"))

    def _work(self, name: str) -> None:
        work(self.home, self.spool, self.database, 7, name)

    def ship(self) -> None:
        sent = ship(self.spool, self.inbox)
        assert not sent.left, sent.left

    def drain(self) -> None:
        run_to_end(lambda: drain(self.home))

    def assert_exactly_once(self) -> None:
        assert list_sources(self.inbox) == []
        assert_exactly_once(self.home, self.database)
        assert alarms_of(self.home) == []


@pytest.fixture
def worker(home: Path, tmp_path: Path) -> Worker:
    made = Worker(home, tmp_path)
    made.work()
    return made


def _in_child(action: Callable[[], None]) -> None:
    def run() -> str:
        action()
        return "done"

    assert in_fork(run) == "done"


@pytest.mark.parametrize(
    ("step", "count"),
    [(step, 1) for step in SENDING] + [(step, 2) for step in SENDING if step in AGAIN],
)
def test_a_sender_killed_at_a_step_loses_and_doubles_nothing(
    worker: Worker, step: str, count: int
) -> None:
    killed_at(step, count, worker.ship)
    _in_child(worker.ship)
    assert list_sources(worker.spool) == []
    worker.drain()
    worker.assert_exactly_once()


@pytest.mark.parametrize(
    ("step", "count"), [(step, 1) for step in RECEIVING] + [("spool.fork.taken", 2)]
)
def test_a_receiver_killed_at_a_step_loses_and_doubles_nothing(
    worker: Worker, tmp_path: Path, step: str, count: int
) -> None:
    _in_child(worker.ship)
    shutil.copytree(worker.inbox, tmp_path / "sent")
    killed_at(step, count, lambda: drain(worker.home))
    # Whoever sent it does not know, and sends it once more.
    for source in (tmp_path / "sent").iterdir():
        if not (worker.inbox / source.name).exists():
            shutil.copytree(source, worker.inbox / source.name)
    worker.drain()
    worker.assert_exactly_once()
