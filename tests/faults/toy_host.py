"""A host whose truth is traced by its own database, for the exactly-once tests.

Its table ``trace`` is filled by SQL triggers inside the host's own transactions, so it says what
was committed, whatever our side believes. Writes that overwrite or mint carry a marker row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from chain_client import ChainClient, Settings
from chain_client.events import APPLIED, Event, OutcomeStatus, Subject
from chain_client.hosts import Finding, Progress, Resolution, Scope, StoreBinding
from chain_client.types import EventId

STORE = "toy-store"

SCHEMA = """
CREATE TABLE IF NOT EXISTS items (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS markers (event_id TEXT PRIMARY KEY, minted TEXT);
CREATE TABLE IF NOT EXISTS trace (number INTEGER PRIMARY KEY, key TEXT, value TEXT);
CREATE TRIGGER IF NOT EXISTS on_insert AFTER INSERT ON items
  BEGIN INSERT INTO trace (key, value) VALUES (NEW.key, NEW.value); END;
CREATE TRIGGER IF NOT EXISTS on_update AFTER UPDATE ON items
  BEGIN INSERT INTO trace (key, value) VALUES (NEW.key, NEW.value); END;
"""


class Toy:
    """The host: a table of keys and values that are overwritten, and rows with minted ids."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA busy_timeout = 10000")
        self._connection.executescript(SCHEMA)

    def put(self, event_id: EventId, key: str, value: str) -> None:
        """Overwrite one key, with the marker in the same transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(
            "INSERT INTO items VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = ?",
            (key, value, value),
        )
        self._connection.execute("INSERT INTO markers VALUES (?, ?)", (event_id.hex(), key))
        self._connection.execute("COMMIT")

    def mint(self, event_id: EventId, value: str) -> str:
        """Insert a row under an id that only the host knows."""
        self._connection.execute("BEGIN IMMEDIATE")
        (count,) = self._connection.execute("SELECT count(*) FROM items").fetchone()
        key = f"minted-{count}"
        self._connection.execute("INSERT INTO items VALUES (?, ?)", (key, value))
        self._connection.execute("INSERT INTO markers VALUES (?, ?)", (event_id.hex(), key))
        self._connection.execute("COMMIT")
        return key

    def marker(self, event_id: EventId) -> str | None:
        """The key that an event touched, if it was committed."""
        row = self._connection.execute(
            "SELECT minted FROM markers WHERE event_id = ?", (event_id.hex(),)
        ).fetchone()
        return None if row is None else str(row[0])

    def trace(self) -> list[tuple[str, str]]:
        """Every change that was committed, in order."""
        return list(self._connection.execute("SELECT key, value FROM trace ORDER BY number"))

    def items(self) -> dict[str, str]:
        """What stands in the table now."""
        return dict(self._connection.execute("SELECT key, value FROM items"))

    def close(self) -> None:
        """Close the database."""
        self._connection.close()


class ToyHost:
    """The adapter's side of it."""

    name = "toy"

    def resolve(self, store: StoreBinding, in_doubt: Sequence[Event]) -> list[Resolution]:
        toy = Toy(Path(store.uri))
        found = []
        for event in in_doubt:
            key = toy.marker(event.event_id)
            status = OutcomeStatus.NOT_APPLIED if key is None else OutcomeStatus.RECOVERED
            found.append(Resolution(event.event_id, status, subject_id=key))
        toy.close()
        return found

    def compare(
        self, store: StoreBinding, events: Iterable[Event], scope: Scope, progress: Progress
    ) -> Iterator[Finding]:
        applied = [e for e in events if e.subject.store == STORE and e.status in APPLIED]
        # The log has sources in the order in which the relay met them; the clock of one boot
        # puts their events in the order in which they happened.
        applied.sort(key=lambda event: event.timing.started_us)
        expected = {event.subject.id: str(event.payload["value"]) for event in applied}
        toy = Toy(Path(store.uri))
        actual = toy.items()
        toy.close()
        for key in sorted(expected.keys() | actual.keys()):
            if expected.get(key) != actual.get(key):
                yield Finding(
                    "item_changed", key, expected.get(key), actual.get(key), "the item differs"
                )


def open_client(home: Path, **changes: object) -> ChainClient:
    """An existing home with no relay started by itself."""
    environment = {"MLOPS_CHAIN_RELAY_AUTOSTART": "false"}
    environment |= {name: str(value) for name, value in changes.items()}
    return ChainClient.open(Settings.from_environment(environment, home.parent, home=home))


def record(home: Path, database: Path, count: int, name: str) -> None:
    """A process that writes ``count`` items, every third under a minted id."""
    client = open_client(home, MLOPS_CHAIN_SPOOL_SEGMENT_BYTES=1000)
    client.bind_store(StoreBinding(STORE, "toy", str(database)))
    toy = Toy(database)
    for number in range(count):
        value = f"{name}-{number}"
        mints = number % 3 == 0
        key = "" if mints else f"key-{number % 4}"
        intent = client.recorder.begin(
            "item.put", Subject(STORE, "item", key), {"value": value}, required=True
        )
        if mints:
            key = toy.mint(intent.event_id, value)
        else:
            toy.put(intent.event_id, key, value)
        client.recorder.done(intent, subject_id=key)
    toy.close()
    client.recorder.close()


def drain(home: Path) -> None:
    """A relay that anchors everything spooled so far."""
    client = open_client(home, MLOPS_CHAIN_RELAY_MAX_BATCH=5)
    relay = client.relay(lambda name: ToyHost())
    relay.start()
    relay.drain(patience_s=20)
    relay.close()
    client.close()
