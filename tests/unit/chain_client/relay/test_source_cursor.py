"""`SourceCursor`: each event is ready once, and reading again from `low_water` loses none."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_client import records
from chain_client.errors import InvalidEvent
from chain_client.events import Actor, Event, OutcomeStatus, Subject, new_event_id
from chain_client.hosts import Resolution
from chain_client.relay.source_cursor import SourceCursor
from chain_client.spool import Kind, Position, Record
from chain_client.types import SourceId

SOURCE = SourceId(b"s" * 16)
START = Position(0, 0)
RECORDS_A_SEGMENT = 4


class Source:
    """Records as a spool would give them."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.given = 0

    def add(self, kind: Kind, sequence: int, body: bytes, mark: int = 0) -> None:
        number = len(self.records)
        here, end = (
            Position(n // RECORDS_A_SEGMENT, 100 + n % RECORDS_A_SEGMENT)
            for n in (number, number + 1)
        )
        self.records.append(Record(kind, sequence, mark, body, here, end))

    def intent(self) -> int:
        sequence = self._next()
        self.add(Kind.INTENT, sequence, _body("item.put", "store"))
        return sequence

    def note(self, type_: str = "item.seen") -> int:
        sequence = self._next()
        self.add(Kind.NOTE, sequence, _body(type_, ""), sequence + 1)
        return sequence

    def outcome(self, sequence: int, *, in_doubt: bool = False) -> None:
        status = OutcomeStatus.FAILED if in_doubt else OutcomeStatus.DONE
        error = "OSError" if in_doubt else None
        outcome = records.Outcome(status, 7, None, None, error, in_doubt)
        self.add(Kind.OUTCOME, sequence, records.encode_outcome(outcome), self.given)

    def abort(self, sequence: int) -> None:
        self.add(Kind.ABORT, sequence, b"")

    def _next(self) -> int:
        self.given += 1
        return self.given - 1


def _body(type_: str, store: str) -> bytes:
    kind = "item" if store else records.SOURCE
    return records.encode_intent(
        new_event_id(), type_, 1, 2, Subject(store, kind, ""), Actor(), {"value": 1}
    )


def take_all(cursor: SourceCursor, source: Source, count: int | None = None) -> list[Event]:
    """Read on from the cursor's position, as a relay does."""
    events = []
    for record in source.records[:count]:
        if record.position >= cursor.position:
            event = cursor.take(record)
            events += [event] if event is not None else []
    return events


def test_an_event_is_ready_when_its_outcome_is_there() -> None:
    source, cursor = Source(), SourceCursor(SOURCE, START, 0)
    number = source.intent()
    assert take_all(cursor, source) == []
    assert cursor.low_water == source.records[0].position
    source.outcome(number)
    [event] = take_all(cursor, source)
    assert (event.sequence, event.status) == (0, OutcomeStatus.DONE)
    assert cursor.low_water == cursor.position == source.records[-1].end
    assert cursor.next_sequence == 1


def test_a_note_is_ready_at_once_and_passes_an_open_call() -> None:
    source, cursor = Source(), SourceCursor(SOURCE, START, 0)
    source.intent()
    source.note()
    [event] = take_all(cursor, source)
    assert event.sequence == 1
    assert cursor.low_water == source.records[0].position


def test_low_water_stays_at_a_call_that_failed_in_doubt_until_it_is_resolved() -> None:
    source, cursor = Source(), SourceCursor(SOURCE, START, 0)
    source.outcome(source.intent(), in_doubt=True)
    source.note()
    take_all(cursor, source)
    assert list(cursor.doubtful) == [0]
    assert cursor.low_water == source.records[0].position
    event_id = cursor.doubtful[0].event.event_id
    event = cursor.resolve(0, Resolution(event_id, OutcomeStatus.RECOVERED, subject_id="minted"))
    assert (event.status, event.subject.id, event.error) == ("recovered", "minted", "OSError")
    assert (event.timing.ended_us, event.timing.settled_at) == (7, 1)
    assert cursor.low_water == cursor.position


@pytest.mark.parametrize(
    ("raised", "found", "status"),
    [
        (True, OutcomeStatus.NOT_APPLIED, OutcomeStatus.FAILED),
        (False, OutcomeStatus.NOT_APPLIED, OutcomeStatus.NOT_APPLIED),
        (True, OutcomeStatus.PARTLY_APPLIED, OutcomeStatus.PARTLY_APPLIED),
        (False, OutcomeStatus.RECOVERED, OutcomeStatus.RECOVERED),
        (False, OutcomeStatus.UNDETERMINED, OutcomeStatus.UNDETERMINED),
    ],
)
def test_what_the_host_shows_becomes_the_status(
    raised: bool, found: OutcomeStatus, status: OutcomeStatus
) -> None:
    source, cursor = Source(), SourceCursor(SOURCE, START, 0)
    number = source.intent()
    if raised:
        source.outcome(number, in_doubt=True)
    take_all(cursor, source)
    cursor.owner_died()
    event_id = cursor.doubtful[0].event.event_id
    event = cursor.resolve(0, Resolution(event_id, found, detail={"there": 1}))
    assert event.status is status
    assert event.detail == {"there": 1}
    assert event.timing.ended_us == (7 if raised else None)


def test_an_aborted_call_stays_open_until_its_owner_is_gone() -> None:
    source, cursor = Source(), SourceCursor(SOURCE, START, 0)
    number = source.intent()
    source.abort(number)
    source.note()
    assert [event.sequence for event in take_all(cursor, source)] == [1]
    assert list(cursor.open) == [0]
    assert not cursor.doubtful
    assert cursor.low_water == source.records[0].position
    cursor.owner_died()
    assert list(cursor.doubtful) == [0]


def test_an_outcome_without_its_intent_gives_nothing() -> None:
    source, cursor = Source(), SourceCursor(SOURCE, START, 0)
    source.outcome(5)
    assert take_all(cursor, source) == []
    assert cursor.low_water == source.records[-1].end


@pytest.mark.parametrize("again", [False, True])
def test_a_second_outcome_of_a_call_gives_nothing(again: bool) -> None:
    source, cursor = Source(), SourceCursor(SOURCE, START, 0)
    number = source.intent()
    source.outcome(number)
    source.outcome(number, in_doubt=again)
    assert len(take_all(cursor, source)) == 1
    assert not cursor.doubtful


def test_the_closing_record_closes() -> None:
    source, cursor = Source(), SourceCursor(SOURCE, START, 0)
    source.note(records.SOURCE_OPENED)
    take_all(cursor, source)
    assert not cursor.closed
    source.note(records.SOURCE_CLOSED)
    take_all(cursor, source)
    assert cursor.closed


@pytest.mark.parametrize("kind", [Kind.INTENT, Kind.NOTE, Kind.OUTCOME])
@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"{}", b"[]", b"[1,2]", b'"text"', json.dumps([1] * 8).encode()]
)
def test_a_body_without_sense_is_named_and_passed_over(kind: Kind, body: bytes) -> None:
    source, cursor = Source(), SourceCursor(SOURCE, START, 0)
    source.intent()
    take_all(cursor, source)
    source.add(kind, 0 if kind is Kind.OUTCOME else 1, body)
    with pytest.raises(InvalidEvent, match=f"source {SOURCE.hex()} has a valid checksum"):
        take_all(cursor, source)
    assert cursor.position == source.records[-1].end


@st.composite
def histories(draw: st.DrawFn) -> Source:
    """What a process may write: calls that overlap, fail, are refused, or never end."""
    source = Source()
    running: list[int] = []
    for _ in range(draw(st.integers(0, 30))):
        choice = draw(st.sampled_from(["intent", "note", "end", "doubt", "abort"]))
        if choice == "note":
            source.note()
        elif choice == "intent" or not running:
            running.append(source.intent())
        else:
            number = running.pop(draw(st.integers(0, len(running) - 1)))
            if choice == "abort":
                source.abort(number)
            else:
                source.outcome(number, in_doubt=choice == "doubt")
    return source


@given(histories(), st.data())
def test_every_event_is_committed_once_however_often_a_relay_dies(
    source: Source, data: st.DataObject
) -> None:
    log: dict[int, Event] = {}
    position, next_sequence = START, 0
    cursor = SourceCursor(SOURCE, position, next_sequence)
    ready_here: Counter[int] = Counter()

    def commit(events: list[Event]) -> None:
        nonlocal position, next_sequence
        for event in events:
            known = log.setdefault(event.sequence, event)
            assert known.event_id == event.event_id
        position, next_sequence = cursor.low_water, cursor.next_sequence
        for intent in (*cursor.open.values(), *cursor.doubtful.values()):
            assert position <= intent.position

    def settle() -> list[Event]:
        return [
            cursor.resolve(n, Resolution(i.event.event_id, OutcomeStatus.RECOVERED))
            for n, i in sorted(cursor.doubtful.items())
        ]

    read = 0
    while read < len(source.records):
        read = data.draw(st.integers(read, len(source.records)))
        events = take_all(cursor, source, read)
        if data.draw(st.booleans()):
            events += settle()
        ready_here.update(event.sequence for event in events)
        assert not [n for n, times in ready_here.items() if times > 1]
        match data.draw(st.sampled_from(["go on", "die after commit", "die before commit"])):
            case "go on":
                commit(events)
                continue
            case "die after commit":
                commit(events)
        cursor = SourceCursor(SOURCE, position, next_sequence)
        ready_here.clear()
    events = take_all(cursor, source)
    cursor.owner_died()
    commit(events + settle())
    assert sorted(log) == list(range(source.given))
    assert cursor.low_water == cursor.position
    assert cursor.next_sequence == source.given
