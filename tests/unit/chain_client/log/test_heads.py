"""How far the log is anchored."""

from __future__ import annotations

import pytest

from chain_client.errors import InvalidEvent, InvalidInput, LogMismatch
from chain_client.log import EntryStatus
from chain_client.types import Digest
from tests.unit.chain_client.log.logs import START_US, LogUnderTest, both_databases, make_entries

pytestmark = both_databases

SEQUENCED, BROADCAST = EntryStatus.SEQUENCED, EntryStatus.BROADCAST
INCLUDED, FINALIZED = EntryStatus.INCLUDED, EntryStatus.FINALIZED
BLOCK = b"\x09" * 32


def _root(size: int) -> Digest:
    return Digest(size.to_bytes(32, "big"))


def test_a_head_goes_from_chosen_to_final(under_test: LogUnderTest) -> None:
    log, lease = under_test.log, under_test.lease
    log.add_head(3, _root(3), lease)
    (head,) = log.heads()
    assert (head.size, head.root, head.status) == (3, _root(3), SEQUENCED)
    assert (head.transaction_id, head.block_number, head.created_us) == (None, None, START_US)
    log.set_head_status(3, BROADCAST, lease, transaction_id=7)
    log.set_head_status(3, INCLUDED, lease, block_number=12, block_hash=BLOCK)
    log.set_head_status(3, FINALIZED, lease)
    (head,) = log.heads()
    assert (head.status, head.transaction_id) == (FINALIZED, 7)
    assert (head.block_number, head.block_hash) == (12, BLOCK)


def test_a_head_that_falls_out_of_its_block_loses_it(under_test: LogUnderTest) -> None:
    log, lease = under_test.log, under_test.lease
    log.add_head(3, _root(3), lease)
    log.set_head_status(3, INCLUDED, lease, transaction_id=7, block_number=12, block_hash=BLOCK)
    log.set_head_status(3, BROADCAST, lease)
    (head,) = log.heads()
    assert (head.transaction_id, head.block_number, head.block_hash) == (7, None, None)


def test_a_final_head_stays_final(under_test: LogUnderTest) -> None:
    log, lease = under_test.log, under_test.lease
    log.add_head(3, _root(3), lease)
    log.set_head_status(3, FINALIZED, lease, block_number=12)
    for status in (SEQUENCED, BROADCAST, INCLUDED):
        with pytest.raises(InvalidInput):
            log.set_head_status(3, status, lease)
    log.set_head_status(3, FINALIZED, lease)
    with pytest.raises(InvalidInput):
        log.set_head_status(4, FINALIZED, lease)
    with pytest.raises(InvalidInput, match="never spooled"):
        log.set_head_status(3, EntryStatus.SPOOLED, lease)


def test_a_head_is_noted_once_and_never_with_another_root(under_test: LogUnderTest) -> None:
    log, lease = under_test.log, under_test.lease
    log.add_head(3, _root(3), lease)
    log.set_head_status(3, INCLUDED, lease)
    log.add_head(3, _root(3), lease)
    assert log.heads()[0].status is INCLUDED
    with pytest.raises(LogMismatch, match="entries were edited"):
        log.add_head(3, _root(4), lease)
    for size, root in ((0, _root(0)), (-1, _root(0)), (5, Digest(b"short"))):
        with pytest.raises(InvalidInput):
            log.add_head(size, root, lease)


def test_heads_are_listed_from_the_greatest(under_test: LogUnderTest) -> None:
    log, lease = under_test.log, under_test.lease
    assert log.latest_head() is None
    for size, status in ((2, FINALIZED), (4, INCLUDED), (9, BROADCAST), (6, INCLUDED)):
        log.add_head(size, _root(size), lease)
        log.set_head_status(size, status, lease)
    assert [head.size for head in log.heads()] == [9, 6, 4, 2]
    assert [head.size for head in log.heads(limit=2)] == [9, 6]
    sizes = {status: log.latest_head(status) for status in (*EntryStatus, None)}
    assert {status: head.size for status, head in sizes.items() if head is not None} == {
        None: 9,
        BROADCAST: 9,
        INCLUDED: 6,
        FINALIZED: 2,
    }


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        ({}, [10, 0, 0, 0]),
        ({10: SEQUENCED}, [10, 0, 0, 0]),
        ({4: BROADCAST}, [6, 4, 0, 0]),
        ({2: FINALIZED, 5: INCLUDED, 9: BROADCAST}, [1, 4, 3, 2]),
        ({2: INCLUDED, 5: FINALIZED}, [5, 0, 0, 5]),  # the later head covers the earlier entries
        ({10: FINALIZED}, [0, 0, 0, 10]),
        ({8: FINALIZED, 20: INCLUDED}, [0, 0, 2, 8]),  # the log was cut behind its head
    ],
)
def test_entries_are_as_far_as_the_heads_that_cover_them(
    under_test: LogUnderTest, heads: dict[int, EntryStatus], expected: list[int]
) -> None:
    log, lease = under_test.log, under_test.lease
    under_test.append(make_entries(0, 10))
    for size, status in heads.items():
        log.add_head(size, _root(size), lease)
        log.set_head_status(size, status, lease)
    counts = log.counts()
    assert counts[EntryStatus.SPOOLED] == 0
    assert [counts[status] for status in (SEQUENCED, BROADCAST, INCLUDED, FINALIZED)] == expected
    each = [log.status_of(index) for index in range(10)]
    assert {status: each.count(status) for status in EntryStatus} == counts
    final = expected[-1]
    oldest = log.oldest_unfinal_us()
    assert oldest == (None if final == 10 else START_US + final)


def test_the_oldest_entry_that_is_not_final_may_have_no_payload(under_test: LogUnderTest) -> None:
    assert under_test.log.oldest_unfinal_us() is None
    under_test.append(make_entries(0, 3))
    under_test.edit("UPDATE payloads SET event = NULL WHERE log_index = 0")
    assert under_test.log.oldest_unfinal_us() == START_US + 1
    under_test.edit("UPDATE payloads SET event = ? WHERE log_index = 1", b"\0")
    with pytest.raises(InvalidEvent):
        under_test.log.oldest_unfinal_us()
    under_test.edit("UPDATE payloads SET event = NULL")
    assert under_test.log.oldest_unfinal_us() is None
