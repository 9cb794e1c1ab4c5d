"""Logs for tests: a clock to turn, entries, and the plain list that a log must equal."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chain_client.commitments import seal
from chain_client.event_codec import encode_event
from chain_client.events import Actor, Event, Json, OutcomeStatus, Subject, Timing
from chain_client.log import Lease, Log, NewEntry, SourceProgress
from chain_client.log.schema import metadata
from chain_client.types import EventId, LeafHash, SourceId
from tests.postgres import Postgres

SOURCE = SourceId(b"\x0a" * 16)
OTHER = SourceId(b"\x0b" * 16)
START_US = 1_700_000_000_000_000


class TurnedClock:
    """A clock that stands until it is turned."""

    def __init__(self) -> None:
        self.now_us = START_US
        self.on_turn: Callable[[float], None] = lambda seconds: None

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        self.now_us += round(seconds * 1e6)
        self.on_turn(seconds)

    def time_us(self) -> int:
        return self.now_us

    def monotonic_us(self) -> int:
        return self.now_us


def make_event(sequence: int, *, source: SourceId = SOURCE, version: int = 0) -> Event:
    """An event; another ``version`` of the same place has another id."""
    name = source + sequence.to_bytes(8, "big") + bytes([version])
    payload: dict[str, Json] = {"value": sequence}
    return Event(
        event_id=EventId(hashlib.sha256(name).digest()[:16]),
        type="metric.logged",
        source_id=source,
        sequence=sequence,
        time_us=START_US + sequence,
        status=OutcomeStatus.DONE,
        subject=Subject("store", "run", f"r{sequence % 3}"),
        actor=Actor(claimed="me"),
        timing=Timing(0, 1, sequence + 1),
        payload=payload,
    )


def make_entry(sequence: int, *, source: SourceId = SOURCE, version: int = 0) -> NewEntry:
    """A sealed event."""
    event = make_event(sequence, source=source, version=version)
    seed = hashlib.sha256(b"seed" + event.event_id).digest()[:16]
    return NewEntry(
        seal(event, seed), source, sequence, event.subject.to_key(), encode_event(event), seed
    )


def make_entries(start: int, stop: int, *, source: SourceId = SOURCE) -> list[NewEntry]:
    """The entries of ``start:stop``."""
    return [make_entry(sequence, source=source) for sequence in range(start, stop)]


def bulk_entries(start: int, stop: int) -> list[NewEntry]:
    """Entries for the tree only: their leaves are hashes of nothing."""
    event = encode_event(make_event(0))
    return [
        NewEntry(bulk_leaf(number), SOURCE, number, "store/run:bulk", event, bytes(16))
        for number in range(start, stop)
    ]


def bulk_leaf(number: int) -> LeafHash:
    """Leaf hash of a bulk entry."""
    return LeafHash(hashlib.sha256(number.to_bytes(8, "big")).digest())


def progress(
    next_sequence: int, *, source: SourceId = SOURCE, segment: int = 0, state: str = "open"
) -> SourceProgress:
    """How far a source was read."""
    return SourceProgress(source, {"host": "here"}, segment, 44, next_sequence, state)


def leaves(entries: Iterable[NewEntry]) -> list[LeafHash]:
    """Their leaf hashes."""
    return [entry.leaf_hash for entry in entries]


both_databases = pytest.mark.parametrize("under_test", ["sqlite", "postgres"], indirect=True)
"""For tests whose claim is about SQL: on SQLite and on a real Postgres."""


class LogUnderTest:
    """A log of its own in a SQLite file, its clock, and the lease of a relay.

    Args:
        template: an empty log's file, which is copied: a migration takes half a second.
        folder: where to.
    """

    def __init__(self, template: Path, folder: Path) -> None:
        self.path = folder / "log.db"
        shutil.copyfile(template, self.path)
        self._open(f"sqlite:///{self.path}")

    def _open(self, url: str) -> None:
        self.url = url
        self.clock = TurnedClock()
        self.log = Log(self.url, clock=self.clock, timeout_s=0.1)
        self.lease: Lease = self.log.acquire_lease("relay", "one", ttl_s=30)

    def append(self, entries: list[NewEntry]) -> int:
        """Append under the lease, without progress."""
        return self.log.append(entries, (), self.lease)

    def now_us(self) -> int:
        """The time by which leases expire."""
        return self.clock.now_us

    def edit(self, statement: str, *values: object) -> None:
        """Change the database behind the log's back."""
        connection = sqlite3.connect(self.path)
        try:
            with connection:
                changed = connection.execute(statement, values).rowcount
        finally:
            connection.close()
        assert changed != 0, f"changed nothing: {statement}"

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        """What the database holds."""
        connection = sqlite3.connect(self.path)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()


class LogOnPostgres(LogUnderTest):
    """A log of its own on a server; the clock that is turned moves its leases, not the server.

    Args:
        server: where.
        name: of a log's database, which is emptied: that is faster than to make one.
    """

    def __init__(self, server: Postgres, name: str) -> None:
        self.server = server
        self.name = name
        with self.connected() as connection:
            names = ", ".join(f'"{table}"' for table in metadata.tables)
            connection.execute(f"TRUNCATE {names} RESTART IDENTITY")
        self._open(server.uri(self.name, "psycopg"))
        self.clock.on_turn = self._age_leases

    def now_us(self) -> int:
        [(now_us,)] = self.rows("SELECT (extract(epoch FROM clock_timestamp()) * 1e6)::bigint")
        assert isinstance(now_us, int)
        return now_us

    def _age_leases(self, seconds: float) -> None:
        self.edit(f"UPDATE leases SET expires_us = expires_us - {round(seconds * 1e6)}")

    def edit(self, statement: str, *values: object) -> None:
        with self.connected() as connection:
            connection.execute("SET session_replication_role = replica")  # no constraint holds
            assert connection.execute(statement.replace("?", "%s"), values).rowcount != 0, statement

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        with self.connected() as connection:
            return list(connection.execute(statement).fetchall())

    def connected(self, **options: Any) -> psycopg.Connection[Any]:
        """A connection of somebody else's; its block ends with a commit."""
        uri = self.server.uri(self.name, driver="")
        return psycopg.connect(uri, **options)
