"""A log that is closed leaves no connection open, not even through what still iterates over it."""

from __future__ import annotations

import gc
import os
import secrets
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from chain_client.log import Log, NewEntry
from chain_client.types import LeafHash, SourceId
from tests.forked import in_fork

COUNT = 1200
"""More than are read at once."""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(f"sqlite:///{tmp_path / 'log.db'}")
    log.create()
    source = SourceId(bytes(16))
    new = [
        NewEntry(LeafHash(secrets.token_bytes(32)), source, number, "subject", b"{}", bytes(16))
        for number in range(COUNT)
    ]
    log.append(new, [], log.acquire_lease("relay", "test", 60))
    yield log
    log.close()


def open_connections() -> list[sqlite3.Connection]:
    gc.collect()
    found = []
    for thing in gc.get_objects():
        if isinstance(thing, sqlite3.Connection):
            try:
                thing.total_changes  # noqa: B018  # raises if closed
            except sqlite3.ProgrammingError:
                continue
            found.append(thing)
    return found


@pytest.mark.parametrize("reading", ["entries", "find_events"])
def test_what_iterates_goes_on_after_a_close_and_the_next_close_ends_it(
    log: Log, reading: str
) -> None:
    before = len(open_connections()) - 1
    found = log.entries() if reading == "entries" else log.find_events("subject")
    first = next(found)
    closed = log.engine  # held, so that what is left open in it is not swept up
    log.close()
    assert len(open_connections()) == before
    assert [first.index, *(entry.index for entry in found)] == list(range(COUNT))
    log.close()
    assert len(open_connections()) == before
    closed.dispose()


def test_a_forked_child_goes_on_with_a_connection_of_its_own(log: Log) -> None:
    found = log.entries()
    next(found)
    parents: list[object] = []
    event.listen(log.engine, "checkout", lambda *used: parents.append(used))
    if (child := os.fork()) == 0:
        try:
            os._exit(0 if len(list(found)) == COUNT - 1 and not parents else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(list(found)) == COUNT - 1
    log.close()


def test_a_child_that_is_forked_beside_a_busy_thread_can_use_the_log(log: Log) -> None:
    def use() -> str:
        signal.alarm(20)  # ends a child that waits for a thread it does not have
        lease = log.acquire_lease("other", "child", 60)
        source = SourceId(b"c" * 16)
        new = [NewEntry(LeafHash(bytes(32)), source, 0, "subject", b"{}", bytes(16))]
        return str(log.append(new, [], lease))

    with log._opening, log._appending:
        assert in_fork(use) == "1"
    assert log.size() == COUNT + 1
