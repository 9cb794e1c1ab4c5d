"""Every edit of the log's rows is seen, and named for what it is."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from chain_client.errors import LogMismatch
from chain_client.event_codec import encode_event
from chain_client.log.recheck import recheck, recheck_range, recheck_tiles
from tests.unit.chain_client.log.logs import (
    OTHER,
    SOURCE,
    LogUnderTest,
    both_databases,
    bulk_entries,
    leaves,
    make_entries,
    make_entry,
    make_event,
)

SIZE = 12
AT = 5


@pytest.fixture
def filled(under_test: LogUnderTest) -> LogUnderTest:
    """A log of two sources."""
    under_test.append(make_entries(0, SIZE - 1))
    under_test.append([make_entry(0, source=OTHER)])
    return under_test


def test_an_untouched_log_holds(filled: LogUnderTest) -> None:
    check = recheck_range(filled.log, 0, SIZE, note_types=["metric.logged"])
    assert check.mismatches == []
    assert check.leaf_hashes == [entry.leaf_hash for entry in filled.log.entries()]
    assert check.sequences == {SOURCE: list(range(SIZE - 1)), OTHER: [0]}
    assert check.noted == [
        *((SOURCE, sequence, "metric.logged") for sequence in range(SIZE - 1)),
        (OTHER, 0, "metric.logged"),
    ]
    assert recheck_range(filled.log, 0, SIZE, note_types=["run.created"]).noted == []
    assert list(recheck(filled.log)) == []


EDITS: dict[str, tuple[str, tuple[object, ...], str]] = {
    "entry removed": ("DELETE FROM entries WHERE log_index = 5", (), "entry_missing"),
    "payload removed": ("DELETE FROM payloads WHERE log_index = 5", (), "payload_missing"),
    "event removed": (
        "UPDATE payloads SET event = NULL WHERE log_index = 5",
        (),
        "payload_missing",
    ),
    "seed removed": ("UPDATE payloads SET seed = NULL WHERE log_index = 5", (), "payload_missing"),
    "event made rubbish": (
        "UPDATE payloads SET event = x'ff00' WHERE log_index = 5",
        (),
        "payload_unreadable",
    ),
    "event made text": (
        "UPDATE payloads SET event = 'text' WHERE log_index = 5",
        (),
        "payload_unreadable",
    ),
    "event exchanged": (
        "UPDATE payloads SET event = ? WHERE log_index = 5",
        (encode_event(make_event(AT, version=1)),),
        "leaf_changed",
    ),
    "value edited": (
        "UPDATE payloads SET event = CAST(replace(CAST(event AS TEXT), '\"value\":5', "
        "'\"value\":6') AS BLOB) WHERE log_index = 5",
        (),
        "leaf_changed",
    ),
    "seed exchanged": (
        "UPDATE payloads SET seed = zeroblob(16) WHERE log_index = 5",
        (),
        "leaf_changed",
    ),
    "leaf hash edited": (
        "UPDATE entries SET leaf_hash = zeroblob(32) WHERE log_index = 5",
        (),
        "leaf_changed",
    ),
    "leaf hash cut": (
        "UPDATE entries SET leaf_hash = x'00' WHERE log_index = 5",
        (),
        "leaf_changed",
    ),
    "sequence edited": (
        "UPDATE entries SET sequence = 99 WHERE log_index = 5",
        (),
        "position_changed",
    ),
    "sequence made text": (
        "UPDATE entries SET sequence = 'x' WHERE log_index = 5",
        (),
        "position_changed",
    ),
    "source exchanged": (
        "UPDATE entries SET source_no = 2 WHERE log_index = 5",
        (),
        "position_changed",
    ),
    "subject exchanged": (
        "UPDATE payloads SET subject_no = 1 + subject_no % 3 WHERE log_index = 5",
        (),
        "subject_changed",
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_row_is_named(filled: LogUnderTest, edit: str) -> None:
    statement, values, kind = EDITS[edit]
    filled.edit(statement, *values)
    check = recheck_range(filled.log, 0, SIZE)
    assert [(found.index, found.kind) for found in check.mismatches] == [(AT, kind)]
    (found,) = check.mismatches
    assert f"entry {AT}" in found.detail
    if kind.endswith("_changed"):
        assert (found.event_type, found.subject_key) == ("metric.logged", "store/run:r2")
    lost = edit in ("entry removed", "leaf hash cut")
    assert [n for n, leaf in enumerate(check.leaf_hashes) if leaf is None] == ([AT] if lost else [])
    assert len(check.leaf_hashes) == SIZE
    assert list(recheck(filled.log)) == check.mismatches


@both_databases
@pytest.mark.parametrize(
    ("statement", "value", "kind"),
    [
        ("DELETE FROM entries WHERE log_index = 5", None, "entry_missing"),
        ("DELETE FROM payloads WHERE log_index = 5", None, "payload_missing"),
        ("UPDATE payloads SET seed = NULL WHERE log_index = 5", None, "payload_missing"),
        ("UPDATE payloads SET event = ? WHERE log_index = 5", b"\xff\0", "payload_unreadable"),
        ("UPDATE payloads SET seed = ? WHERE log_index = 5", bytes(16), "leaf_changed"),
        ("UPDATE entries SET leaf_hash = ? WHERE log_index = 5", bytes(32), "leaf_changed"),
        ("UPDATE entries SET sequence = 99 WHERE log_index = 5", None, "position_changed"),
        ("UPDATE entries SET source_no = 2 WHERE log_index = 5", None, "position_changed"),
    ],
)
def test_an_edited_row_is_named_on_both_databases(
    under_test: LogUnderTest, statement: str, value: bytes | None, kind: str
) -> None:
    under_test.append(make_entries(0, SIZE - 1))
    under_test.append([make_entry(0, source=OTHER)])
    assert list(recheck(under_test.log)) == []
    under_test.edit(statement, *(() if value is None else (value,)))
    check = recheck_range(under_test.log, 0, SIZE)
    assert [(found.index, found.kind) for found in check.mismatches] == [(AT, kind)]


@pytest.mark.parametrize("index", range(40))
def test_a_flipped_byte_of_the_event_is_seen(filled: LogUnderTest, index: int) -> None:
    event = bytearray(make_entry(AT).event)
    event[index * len(event) // 40] ^= 1
    filled.edit("UPDATE payloads SET event = ? WHERE log_index = 5", bytes(event))
    assert [found.index for found in recheck(filled.log)] == [AT]


def test_a_removed_source_is_seen_in_all_its_entries(filled: LogUnderTest) -> None:
    filled.edit("DELETE FROM sources WHERE source_no = 2")
    (found,) = recheck(filled.log)
    assert (found.index, found.kind) == (SIZE - 1, "position_changed")


def test_exchanged_entries_are_seen_both(filled: LogUnderTest) -> None:
    for statement in (
        "UPDATE payloads SET log_index = 99 WHERE log_index = 3",
        "UPDATE payloads SET log_index = 3 WHERE log_index = 4",
        "UPDATE payloads SET log_index = 4 WHERE log_index = 99",
    ):
        filled.edit(statement)
    assert [(found.index, found.kind) for found in recheck(filled.log)] == [
        (3, "leaf_changed"),
        (4, "leaf_changed"),
    ]


def test_every_missing_row_is_named_also_at_the_ends(filled: LogUnderTest) -> None:
    filled.edit("DELETE FROM entries WHERE log_index IN (0, 1, 7, 11)")
    check = recheck_range(filled.log, 0, SIZE)
    assert [found.index for found in check.mismatches] == [0, 1, 7, 11]
    assert {found.kind for found in check.mismatches} == {"entry_missing"}


def test_a_range_can_be_checked_in_another_process(filled: LogUnderTest) -> None:
    filled.edit("DELETE FROM entries WHERE log_index = 5")
    here = recheck_range(filled.url, 2, SIZE)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = pool.submit(recheck_range, filled.url, 2, SIZE).result(60)
    assert there == here
    assert [found.index for found in here.mismatches] == [5]


def test_tiles_that_their_leaves_do_not_give_are_named(under_test: LogUnderTest) -> None:
    under_test.append(bulk_entries(0, 65_536 + 256))
    assert list(recheck_tiles(under_test.log)) == []
    under_test.edit(
        "UPDATE tiles SET hashes = CAST(zeroblob(32) || substr(hashes, 33) AS BLOB) WHERE level = 2"
    )
    assert list(recheck_tiles(under_test.log)) == [(2, 0)]
    under_test.edit(
        "UPDATE tiles SET hashes = CAST(zeroblob(32) || substr(hashes, 33) AS BLOB) "
        "WHERE level = 1 AND tile = 1"
    )
    assert list(recheck_tiles(under_test.log)) == [(1, 1), (2, 0)]
    under_test.edit("UPDATE entries SET leaf_hash = zeroblob(32) WHERE log_index = 300")
    assert list(recheck_tiles(under_test.log)) == [(1, 0), (1, 1), (2, 0)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tiles SET hashes = substr(hashes, 1, 50)",
        "DELETE FROM entries WHERE log_index = 100",
        "UPDATE entries SET leaf_hash = 'text' WHERE log_index = 100",
    ],
)
def test_tiles_over_rows_that_are_not_whole_are_a_mismatch(
    under_test: LogUnderTest, statement: str
) -> None:
    under_test.append(bulk_entries(0, 512))
    under_test.edit(statement)
    with pytest.raises(LogMismatch):
        list(recheck_tiles(under_test.log))


def test_a_missing_tile_is_named(under_test: LogUnderTest) -> None:
    under_test.append(bulk_entries(0, 512))
    assert leaves(bulk_entries(0, 512)) == [e.leaf_hash for e in under_test.log.entries()]
    under_test.edit("DELETE FROM tiles")
    assert list(recheck_tiles(under_test.log)) == [(1, 0)]
