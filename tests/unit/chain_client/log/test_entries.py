"""Reading entries: in ranges, by subject, in constant memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import pytest

from chain_client.event_codec import decode_event, encode_event
from chain_client.log.entries import CHUNK
from tests.unit.chain_client.log.logs import (
    LogUnderTest,
    both_databases,
    bulk_entries,
    make_entries,
    make_entry,
    make_event,
)


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (0, None, range(10)),
        (4, None, range(4, 10)),
        (4, 7, range(4, 7)),
        (-3, 2, range(2)),
        (8, 99, range(8, 10)),
        (7, 4, range(0)),
        (99, None, range(0)),
    ],
)
def test_a_range_is_read_as_far_as_there_is_one(
    under_test: LogUnderTest, start: int, stop: int | None, expected: range
) -> None:
    under_test.append(make_entries(0, 10))
    assert [entry.index for entry in under_test.log.entries(start, stop)] == list(expected)


@both_databases
def test_a_reading_ends_where_the_log_ended_when_it_began(under_test: LogUnderTest) -> None:
    under_test.append(make_entries(0, 4))
    reading = under_test.log.entries()
    assert next(reading).index == 0
    under_test.append(make_entries(4, 6))
    assert [entry.index for entry in reading] == [1, 2, 3]


@both_databases
def test_a_writer_commits_between_the_chunks_of_a_reading(under_test: LogUnderTest) -> None:
    under_test.append(bulk_entries(0, 2 * CHUNK + 1))
    reading = under_test.log.entries()
    for index in range(2 * CHUNK + 1):
        if index % CHUNK == 1:
            under_test.append(bulk_entries(5_000 + index, 5_001 + index))
        assert next(reading).index == index
    assert next(reading, None) is None


@both_databases
def test_events_are_found_by_the_beginning_of_their_subject(under_test: LogUnderTest) -> None:
    under_test.append(make_entries(0, 1_200))
    found = list(under_test.log.find_events("store/run:r1"))
    assert [entry.index for entry in found] == list(range(1, 1_200, 3))
    assert {decode_event(entry.event or b"").subject.id for entry in found} == {"r1"}
    assert len(list(under_test.log.find_events("store/run:"))) == 1_200
    assert len(list(under_test.log.find_events(""))) == 1_200
    assert list(under_test.log.find_events("store/run:r1/")) == []
    assert list(under_test.log.find_events("Store")) == []


@both_databases
def test_events_are_found_by_their_types_without_reading_the_others(
    under_test: LogUnderTest,
) -> None:
    logged = make_entries(0, 6)
    odd = replace(make_event(6), type="metric.logged_twice")
    logged.append(replace(make_entry(6), event=encode_event(odd)))
    under_test.append(logged)
    under_test.edit("UPDATE payloads SET event = NULL WHERE log_index = 3")
    log = under_test.log

    def indexes(prefix: str, *types: str, exact: bool = False) -> list[int]:
        return [entry.index for entry in log.find_events(prefix, exact=exact, types=types)]

    assert indexes("store/run:", "metric.logged") == [0, 1, 2, 4, 5]
    assert indexes("store/run:", "metric.logged_twice") == [6]
    assert indexes("store/run:", "metric.logged_twice", "metric.logged") == [0, 1, 2, 4, 5, 6]
    assert indexes("store/run:", "metric.logg") == []
    # Of one subject, what can't be read any more may be of any type.
    assert indexes("store/run:r0", "metric.logged_twice", exact=True) == [3, 6]


@both_databases
def test_an_entry_whose_payload_or_source_is_gone_is_still_seen(under_test: LogUnderTest) -> None:
    under_test.append(make_entries(0, 3))
    under_test.edit("DELETE FROM payloads WHERE log_index = 1")
    under_test.edit("DELETE FROM sources")
    found = list(under_test.log.entries())
    assert [(e.index, e.source_id, e.event is None) for e in found] == [
        (0, b"", False),
        (1, b"", True),
        (2, b"", False),
    ]
    assert (found[1].subject_key, found[1].seed) == (None, None)


@both_databases
def test_an_index_whose_row_was_removed_is_passed_over(under_test: LogUnderTest) -> None:
    under_test.append(make_entries(0, 5))
    under_test.edit("DELETE FROM entries WHERE log_index = 2")
    assert [entry.index for entry in under_test.log.entries()] == [0, 1, 3, 4]


@both_databases
def test_reading_everything_takes_the_memory_of_one_chunk(under_test: LogUnderTest) -> None:
    count = 12_000
    under_test.append(bulk_entries(0, count))
    one_chunk = _peak_bytes(under_test, CHUNK)
    everything = _peak_bytes(under_test, count)
    assert everything < 1.5 * one_chunk
    assert everything < 4_000_000


def _peak_bytes(under_test: LogUnderTest, stop: int) -> int:
    sum(1 for _ in under_test.log.entries(0, 1))  # what is kept for ever is made before
    tracemalloc.start()
    try:
        assert sum(1 for _ in under_test.log.entries(0, stop)) == stop
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_nothing_shows_a_seed(under_test: LogUnderTest) -> None:
    new = make_entry(0)
    under_test.append([new])
    (entry,) = under_test.log.entries()
    assert repr(new.seed) not in repr(new) + repr(entry)
