"""The log as lineage asks it: by subject and type, and never more than is needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.commitments import seal
from chain_client.event_codec import decode_event, encode_event
from chain_client.events import Event, Subject
from chain_client.lineage.reading import LoggedInLog
from chain_client.lineage.walking import Direction, walk
from chain_client.log import Log, NewEntry
from chain_client.traces import Node, installed_traces
from tests.lineages import CHAMPION, THE_RUN, whole_log
from tests.logged_events import MLFLOW, LogInMemory


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """An empty log."""
    made = Log(f"sqlite:///{tmp_path}/log.db")
    made.create()
    yield made
    made.close()


def fill(log: Log, events: LogInMemory) -> None:
    new = []
    for sequence, logged in enumerate(events.logged):
        assert logged.event is not None
        event, seed = logged.event, bytes(16)
        new.append(
            NewEntry(
                seal(event, seed),
                event.source_id,
                sequence,
                logged.subject.to_key(),
                encode_event(event),
                seed,
            )
        )
    log.append(new, [], log.acquire_lease("relay", "here:1", ttl_s=60))


@pytest.mark.parametrize(
    ("start", "direction"), [(CHAMPION, Direction.ORIGINS), (THE_RUN, Direction.RESULTS)]
)
def test_a_log_on_disk_gives_the_same_lineage_as_its_events(
    log: Log, start: Node, direction: Direction
) -> None:
    events = whole_log()
    fill(log, events)
    found = walk([start], direction, installed_traces(), LoggedInLog(log))
    expected = walk([start], direction, installed_traces(), events)
    assert found.facts == expected.facts
    assert found.ordered_links() == expected.ordered_links()
    assert found.gaps == expected.gaps


def test_only_events_that_may_hold_what_is_sought_are_decoded(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = LogInMemory()
    for number in range(40):
        events.add("run.created", f"r{number}", {"tags": [["name", f'n"{number}é']]})
    fill(log, events)
    runs = Subject(MLFLOW, "run", "")
    decoded: list[bytes] = []

    def decode(stored: bytes) -> Event:
        decoded.append(stored)
        return decode_event(stored)

    monkeypatch.setattr("chain_client.lineage.reading.decode_event", decode)
    found = LoggedInLog(log).events(runs, below=True, types=["run.created"], containing=['n"7é'])
    assert [one.subject.id for one in found] == ["r7"]
    assert len(decoded) == 1


def test_what_was_erased_or_damaged_is_given_without_its_event(log: Log, tmp_path: Path) -> None:
    import sqlite3

    events = LogInMemory()
    for _ in range(3):
        events.add("run.created", "r1")
    fill(log, events)
    with sqlite3.connect(tmp_path / "log.db") as database:
        database.execute("UPDATE payloads SET event = NULL WHERE log_index = 1")
        database.execute("UPDATE payloads SET event = substr(event, 1, 60) WHERE log_index = 2")
    database.close()
    found = LoggedInLog(log).events(Subject(MLFLOW, "run", "r1"), types=["run.created"])
    assert [(one.index, one.event is None) for one in found] == [(0, False), (1, True), (2, True)]
