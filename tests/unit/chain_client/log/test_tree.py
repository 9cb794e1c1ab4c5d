"""Roots and proofs out of stored tiles are those of the plain list of leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client.errors import InvalidInput, LogMismatch
from chain_client.log import Log
from chain_client.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    root,
    verify_consistency,
    verify_inclusion,
)
from tests.closing import everything_closed
from tests.strategies import examples
from tests.unit.chain_client.log.logs import LogUnderTest, both_databases, bulk_entries, leaves


@settings(max_examples=examples(12))
@given(st.data())
def test_any_batches_give_the_roots_and_proofs_of_the_list(
    empty_log: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    with everything_closed():  # also where Hypothesis gives up an example half-way
        _compare_with_lists(LogUnderTest(empty_log, tmp_path_factory.mktemp("log")), data)


def _compare_with_lists(under_test: LogUnderTest, data: st.DataObject) -> None:
    log = under_test.log
    sizes = st.integers(0, 20) | st.integers(250, 260) | st.integers(500, 900)
    size = 0
    for batch in data.draw(st.lists(sizes, min_size=1, max_size=5)):
        if data.draw(st.booleans()):  # with no memory of the tree's edge
            log.close()
            log = Log(under_test.url, clock=under_test.clock)
        log.append(bulk_entries(size, size + batch), (), under_test.lease)
        size += batch
    plain = leaves(bulk_entries(0, size))
    assert (log.size(), log.root()) == (size, root(plain))
    for _ in range(4):
        new = data.draw(st.integers(0, size))
        assert log.root(new) == root(plain[:new])
        old = data.draw(st.integers(0, new))
        assert log.consistency_proof(old, new) == consistency_proof(plain, old, new)
        if new:
            index = data.draw(st.integers(0, new - 1))
            assert log.inclusion_proof(index, new) == inclusion_proof(plain, index, new)
    log.close()
    under_test.log.close()


@both_databases
def test_tiles_are_right_across_both_of_their_boundaries(under_test: LogUnderTest) -> None:
    log = under_test.log
    new = bulk_entries(0, 65_536 + 300)
    plain = leaves(new)
    at = 0
    for size in (255, 256, 257, 511, 512, 4_000, 65_279, 65_280, 65_535, 65_536, 65_537, len(new)):
        log.append(new[at:size], (), under_test.lease)
        at = size
        if size in (256, 65_536):
            log.close()  # the edge is read anew from stored tiles
        assert log.root() == root(plain[:size]), size
    stored = under_test.rows("SELECT level, tile, length(hashes) / 32 FROM tiles ORDER BY 1, 2")
    assert stored == [(1, 0, 256), (1, 1, 1), (2, 0, 1)]
    for size in (1, 255, 256, 257, 65_535, 65_536, 65_537, len(new)):
        head = root(plain[:size])
        assert log.root(size) == head
        for index in {0, 255, 256, 65_535, 65_536, size - 1}:
            if index < size:
                proof = log.inclusion_proof(index, size)
                verify_inclusion(plain[index], index, size, proof, head)
        verify_consistency(size, len(new), head, root(plain), log.consistency_proof(size, len(new)))


def test_one_batch_across_both_boundaries_makes_the_same_tiles(under_test: LogUnderTest) -> None:
    new = bulk_entries(0, 65_600)
    under_test.append(new[:200])
    under_test.append(new)
    assert under_test.log.root() == root(leaves(new))
    assert under_test.rows("SELECT level, tile, length(hashes) / 32 FROM tiles ORDER BY 1, 2") == [
        (1, 0, 256),
        (2, 0, 1),
    ]


@both_databases
def test_sizes_and_indexes_out_of_range_are_refused(under_test: LogUnderTest) -> None:
    log = under_test.log
    under_test.append(bulk_entries(0, 3))
    for act in (
        lambda: log.root(4),
        lambda: log.root(-1),
        lambda: log.inclusion_proof(3),
        lambda: log.inclusion_proof(-1),
        lambda: log.inclusion_proof(0, 4),
        lambda: log.consistency_proof(3, 2),
        lambda: log.consistency_proof(0, 4),
        lambda: log.consistency_proof(-1, 2),
        lambda: log.entry(3),
        lambda: log.entry(-1),
        lambda: log.status_of(3),
        lambda: log.status_of(-1),
    ):
        with pytest.raises(InvalidInput):
            act()
    assert log.root(0) == EMPTY_ROOT


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM tiles WHERE level = 1",
        "UPDATE tiles SET hashes = substr(hashes, 1, 32) WHERE level = 1",
        "UPDATE tiles SET hashes = substr(hashes, 1, 50) WHERE level = 1",
        "UPDATE tiles SET hashes = 'text' WHERE level = 1",
        "DELETE FROM entries WHERE log_index = 599",
        "DELETE FROM entries WHERE log_index >= 300",
        "UPDATE entries SET leaf_hash = x'00' WHERE log_index = 599",
        "UPDATE entries SET leaf_hash = 'text' WHERE log_index = 599",
    ],
)
def test_a_tree_that_is_not_whole_takes_no_entries(
    under_test: LogUnderTest, statement: str
) -> None:
    under_test.append(bulk_entries(0, 601))
    under_test.edit(statement)
    fresh = Log(under_test.url, clock=under_test.clock)  # remembers nothing of the tree
    with pytest.raises(LogMismatch, match="mlops-chain verify"):
        fresh.append(bulk_entries(2_000, 2_001), (), under_test.lease)
    fresh.close()
