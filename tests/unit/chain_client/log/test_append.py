"""Appending: once each, at the end, all of a batch or nothing of it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client import steps
from chain_client.errors import AnotherRelay, InvalidInput, LogUnavailable, SourceForked
from chain_client.log import Log, NewEntry, SourceProgress
from chain_client.merkle import EMPTY_ROOT, root
from chain_client.types import LeafHash, SourceId
from tests.strategies import examples
from tests.unit.chain_client.log.logs import (
    OTHER,
    SOURCE,
    LogUnderTest,
    both_databases,
    leaves,
    make_entries,
    make_entry,
    make_event,
    progress,
)


@both_databases
def test_entries_come_back_in_the_order_in_which_they_were_given(under_test: LogUnderTest) -> None:
    log = under_test.log
    assert (log.size(), log.root()) == (0, EMPTY_ROOT)
    new = [make_entry(0), make_entry(0, source=OTHER), make_entry(1), make_entry(5)]
    assert under_test.append(new) == 4
    found = list(log.entries())
    assert [entry.index for entry in found] == [0, 1, 2, 3]
    assert [
        (e.leaf_hash, e.source_id, e.sequence, e.subject_key, e.event, e.seed) for e in found
    ] == [(n.leaf_hash, n.source_id, n.sequence, n.subject_key, n.event, n.seed) for n in new]
    assert log.entry(2) == found[2]
    assert log.root() == root(leaves(new))
    assert log.size() == 4


@both_databases
def test_nothing_is_there_twice(under_test: LogUnderTest) -> None:
    new = make_entries(0, 10)
    assert under_test.append(new[:6]) == 6
    assert under_test.append(new[:6]) == 0
    assert under_test.append(new[3:8]) == 2
    assert under_test.append([*new, *new]) == 2
    assert under_test.log.known(SOURCE, [1, 3, 99]) == {1, 3}  # not 2, which lies between
    assert under_test.log.root() == root(leaves(new))


@settings(max_examples=examples(25))
@given(st.lists(st.lists(st.tuples(st.booleans(), st.integers(0, 700)), max_size=8), max_size=5))
def test_batches_in_any_order_and_overlap_give_each_entry_once(
    empty_log: Path,
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[list[tuple[bool, int]]],
) -> None:
    under_test = LogUnderTest(empty_log, tmp_path_factory.mktemp("log"))
    expected: dict[tuple[SourceId, int], NewEntry] = {}
    for batch in batches:
        new = [make_entry(n, source=OTHER if other else SOURCE) for other, n in batch]
        before = len(expected)
        for entry in new:
            expected.setdefault((entry.source_id, entry.sequence), entry)
        assert under_test.append(new) == len(expected) - before
    assert [e.leaf_hash for e in under_test.log.entries()] == leaves(expected.values())
    for source in (SOURCE, OTHER):
        held = {sequence for of, sequence in expected if of == source}
        assert under_test.log.known(source, range(800)) == held
    under_test.log.close()


@both_databases
@pytest.mark.parametrize("where", ["in the log", "in the batch", "erased"])
def test_another_event_at_the_same_place_is_a_fork_and_nothing_is_written(
    under_test: LogUnderTest, where: str
) -> None:
    under_test.append(make_entries(0, 3))
    if where == "erased":  # its payload is gone, the leaf's data tells the id
        under_test.edit(
            "UPDATE payloads SET event = NULL, seed = NULL, leaf_data = ? WHERE log_index = 2",
            b'{"id":"0x' + b"00" * 16 + b'"}',
        )
    size, head = under_test.log.size(), under_test.log.root()
    clash = 4 if where == "in the batch" else 2
    new = [make_entry(3), make_entry(4), make_entry(clash, version=1)]
    with pytest.raises(SourceForked) as caught:
        under_test.log.append(new, [progress(5)], under_test.lease)
    assert (caught.value.source_id, caught.value.sequence) == (SOURCE, clash)
    assert "Nothing of this batch was written" in str(caught.value)
    assert (under_test.log.size(), under_test.log.root()) == (size, head)
    state = under_test.log.source(SOURCE)
    assert state is not None
    assert state.next_sequence == 0
    assert under_test.append(make_entries(3, 5)) == 2


@both_databases
def test_an_erased_event_is_still_known(under_test: LogUnderTest) -> None:
    entry = make_entry(0)
    under_test.append([entry])
    leaf_data = b'{"id":"0x' + make_event(0).event_id.hex().encode() + b'"}'
    under_test.edit("UPDATE payloads SET event = NULL, seed = NULL, leaf_data = ?", leaf_data)
    assert under_test.append([entry]) == 0


@both_databases
def test_positions_are_stored_in_the_transaction_of_their_entries(
    under_test: LogUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, lease = under_test.log, under_test.lease
    log.append(make_entries(0, 2), [progress(2)], lease)

    def fail(name: str) -> None:
        if name == "log.append.before_commit":
            raise ZeroDivisionError

    with monkeypatch.context() as failing:
        failing.setattr(steps, "on_step", fail)
        with pytest.raises(ZeroDivisionError):
            log.append(make_entries(2, 300), [progress(300, segment=4)], lease)
    (state,) = log.sources()
    assert (log.size(), state.next_sequence, state.segment) == (2, 2, 0)
    log.append(make_entries(2, 300), [progress(300, segment=4)], lease)
    (state,) = log.sources()
    assert (log.size(), state.next_sequence, state.segment) == (300, 300, 4)
    assert log.root() == root(leaves(make_entries(0, 300)))


@both_databases
def test_progress_alone_is_written(under_test: LogUnderTest) -> None:
    assert under_test.log.append([], [progress(7, state="closed")], under_test.lease) == 0
    (state,) = under_test.log.sources()
    assert (state.next_sequence, state.state, state.info) == (7, "closed", {"host": "here"})


@both_databases
def test_two_objects_that_append_in_turns_make_one_tree(under_test: LogUnderTest) -> None:
    other = Log(under_test.url, clock=under_test.clock)
    new = make_entries(0, 600)
    for start in range(0, 600, 50):
        log = other if start % 100 else under_test.log
        assert log.append(new[start : start + 50], (), under_test.lease) == 50
    other.close()
    assert under_test.log.root() == root(leaves(new))


@pytest.mark.parametrize(
    "change",
    [
        {"leaf_hash": LeafHash(b"short")},
        {"source_id": SourceId(b"short")},
        {"seed": b"short"},
        {"sequence": -1},
        {"event": b""},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_entry_that_cannot_be_stored_is_refused(
    under_test: LogUnderTest, change: dict[str, object]
) -> None:
    good = make_entry(0)
    fields = {name: getattr(good, name) for name in NewEntry.__slots__}
    with pytest.raises(InvalidInput):
        under_test.append([good, NewEntry(**(fields | change))])
    assert under_test.log.size() == 0


@both_databases
def test_subjects_may_hold_what_is_no_valid_text(under_test: LogUnderTest) -> None:
    good = make_entry(0)
    keys = ["s/run:\ud800", "s/run:\0", "s/run:é", "s/ruo"]
    under_test.append(
        [
            NewEntry(good.leaf_hash, SOURCE, number, key, good.event, good.seed)
            for number, key in enumerate(keys)
        ]
    )
    assert [entry.subject_key for entry in under_test.log.entries()] == keys
    found = under_test.log.find_events("s/run:")
    assert [entry.subject_key for entry in found] == keys[:3]


def test_a_batch_of_many_subjects_and_sources_is_taken(under_test: LogUnderTest) -> None:
    good = make_entry(0)
    new = [
        NewEntry(
            good.leaf_hash, SourceId(number.to_bytes(16, "big")), 0, f"s/{number}", good.event,
            good.seed,
        )
        for number in range(1_500)
    ]  # fmt: skip
    assert under_test.append(new) == 1_500
    assert under_test.append(new) == 0
    assert [entry.subject_key for entry in under_test.log.find_events("s/149")] == [
        "s/149",
        *(f"s/149{n}" for n in range(10)),
    ]


def test_a_failed_append_says_nothing_of_its_content(under_test: LogUnderTest) -> None:
    locking = sqlite3.connect(under_test.path, isolation_level=None)
    locking.execute("BEGIN IMMEDIATE")
    entry = make_entry(0)
    try:
        with pytest.raises(LogUnavailable) as caught:
            under_test.append([entry])
    finally:
        locking.close()
    told = "".join(map(repr, (caught.value, caught.value.__cause__, entry, under_test.log)))
    assert entry.seed.hex() not in told
    assert repr(entry.seed) not in told


@both_databases
def test_a_lease_that_was_never_taken_writes_nothing(under_test: LogUnderTest) -> None:
    other = type(under_test.lease)("never taken", "me", 1, 2**60)
    with pytest.raises(AnotherRelay):
        under_test.log.append([make_entry(0)], [progress(1)], other)
    assert under_test.log.size() == 0
    assert under_test.log.sources() == []


@both_databases
def test_progress_of_a_fork_names_where_it_was_copied_from(under_test: LogUnderTest) -> None:
    log, lease = under_test.log, under_test.lease
    log.put_source(SourceProgress(OTHER, {"pid": 1}, 1, 2, 3, "forked", SOURCE), lease)
    log.put_source(SourceProgress(OTHER, {}, 4, 5, 6, "closed"), lease)
    state = log.source(OTHER)
    assert state is not None
    assert (state.forked_from, state.info, state.state) == (SOURCE, {"pid": 1}, "closed")
    assert (state.segment, state.offset, state.next_sequence) == (4, 5, 6)
    assert log.source(SOURCE) is None
