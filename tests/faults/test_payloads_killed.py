"""SIGKILL while events go to a payload store: each change has one leaf, and each leaf its event."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain_client.config import CONFIG_FILE
from tests.faults import toy_host
from tests.faults.test_exactly_once import WRITES, assert_exactly_once, run_to_end
from tests.faults.toy_host import drain, record
from tests.forked import killed_at

STEPS = (
    ("log.payloads.begun", 1),
    ("payload.file.written", 2),
    ("payload.file.named", 2),
    ("log.payload.stored", 1),
    ("log.payload.stored", 9),
    ("log.payloads.stored", 2),
    ("log.append.before_commit", 1),
    ("log.append.committed", 2),
    ("spool.segment.before_remove", 1),
)
"""Where a relay dies, and in which pass."""


@pytest.fixture
def home_with_store(home: Path) -> Path:
    """A home whose events go to a folder of their own."""
    (home / "payloads").mkdir(mode=0o700)
    (home / CONFIG_FILE).write_text('[log]\npayloads = "file:payloads"\n', "utf-8")
    return home


@pytest.mark.parametrize(("step", "count"), STEPS)
def test_a_relay_killed_while_events_go_to_the_store_loses_and_doubles_nothing(
    home_with_store: Path, tmp_path: Path, step: str, count: int
) -> None:
    home, database = home_with_store, tmp_path / "toy.db"
    # Recorders that died give the relay something to resolve.
    for name in ("one", "two"):
        killed_at("spool.outcome.before_write", 7, lambda: record(home, database, WRITES, name))  # noqa: B023
    killed_at(step, count, lambda: drain(home))
    run_to_end(lambda: record(home, database, WRITES, "meanwhile"))
    run_to_end(lambda: drain(home))
    assert_exactly_once(home, database)
    client = toy_host.open_client(home)
    kept = [entry.stored for entry in client.log.entries()]
    names = {stored.digest.hex() for stored in kept if stored is not None}
    assert len(names) == len(kept) == client.log.size()
    there = {path.name for path in (home / "payloads").rglob("*")}
    assert names < there  # and the store's mark, and what a relay that died has put for nothing
    client.close()
