"""An older log that a relay meets while the chain is away: nothing leaves the spool for it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chain_client import ChainClient
from chain_client.errors import LogMismatch
from chain_client.relay.service import Relay
from tests.faults.test_exactly_once import WRITES, assert_exactly_once
from tests.faults.toy_host import ToyHost, drain, open_client, record
from tests.forked import killed_at


@contextmanager
def relaying(home: Path) -> Iterator[tuple[ChainClient, Relay]]:
    """A relay that has begun while the chain is away."""
    chain, elsewhere = home / "chain", home / "elsewhere"
    chain.rename(elsewhere)
    client = open_client(home)
    relay = client.relay(lambda name: ToyHost())
    try:
        relay.start()
        yield client, relay
    finally:
        relay.close()
        client.close()


def come_back(home: Path) -> None:
    (home / "elsewhere").rename(home / "chain")


def spooled(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "spool").rglob("*.spool"))


def rounds_until(relay: Relay, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        relay.run_round()


def test_what_an_older_log_took_in_while_the_chain_was_away_is_still_spooled(
    home: Path, tmp_path: Path
) -> None:
    database = tmp_path / "toy.db"
    log, older, newest = home / "log.db", tmp_path / "older.db", tmp_path / "newest.db"
    record(home, database, WRITES, "one")
    drain(home)
    shutil.copy(log, older)
    record(home, database, WRITES, "two")
    drain(home)
    shutil.copy(log, newest)
    record(home, database, WRITES, "three")
    killed_at(
        "spool.outcome.before_write", 7, lambda: record(home, database, WRITES, "of a dead one")
    )
    waiting = spooled(home)
    assert len(waiting) > 2
    shutil.copy(older, log)

    with relaying(home) as (client, relay):
        size = client.log.size()
        rounds_until(relay, lambda: client.log.size() > size + WRITES)
        assert spooled(home) == waiting
        come_back(home)
        with pytest.raises(LogMismatch, match="the log"):
            rounds_until(relay, lambda: False)
        assert [alarm.kind for alarm in client.log.alarms() if alarm.kind == "head"]
    assert spooled(home) == waiting

    shutil.copy(newest, log)
    drain(home)
    assert spooled(home) == []
    assert_exactly_once(home, database)


def test_what_was_read_in_an_outage_leaves_the_spool_when_the_chain_answers(
    home: Path, tmp_path: Path
) -> None:
    database = tmp_path / "toy.db"
    record(home, database, WRITES, "closed")
    killed_at("spool.outcome.before_write", 7, lambda: record(home, database, WRITES, "died"))
    waiting = spooled(home)
    with relaying(home) as (client, relay):
        rounds_until(relay, lambda: client.log.size() > WRITES * 3 // 2 + 2)
        for _ in range(3):
            size = client.log.size()
            relay.run_round()
        assert client.log.size() == size  # it is not taken in again
        assert spooled(home) == waiting
        come_back(home)
        rounds_until(relay, lambda: spooled(home) == [])
    drain(home)
    assert_exactly_once(home, database)
