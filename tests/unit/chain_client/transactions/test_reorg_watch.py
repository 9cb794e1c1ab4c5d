"""What is included is watched until it is final, however deep a reorg goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.errors import LedgerUnavailable
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.transactions import TransactionStatus
from chain_client.types import to_hex
from tests.embedded_chains import OWNER
from tests.queues import stored_attempts
from tests.unit.chain_client.transactions.simulated import Bench, call

SENDER = OWNER.address()
DEPTHS = (1, 7, 64)
FINALITY = 70


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, SimulatedLedger(finality_depth=FINALITY), poll_s=1)
    yield bench
    bench.close()


def pay_at_each_depth(bench: Bench) -> list[int]:
    """A transaction in the newest block, one seven blocks and one 64 blocks deep."""
    ids, depth = [], max(DEPTHS)
    for number, next_depth in enumerate(sorted(DEPTHS, reverse=True)):
        bench.ledger.mine(depth - next_depth)
        ids.append(bench.pay(number).id)
        depth = next_depth - 1
    assert depth == 0
    return ids[::-1]


def reorg_alarms(bench: Bench) -> list[tuple[str, str]]:
    return [(a.subject, a.detail) for a in bench.owner.log.alarms() if a.kind == "reorg"]


@pytest.mark.parametrize("keep", [True, False], ids=["kept in the pool", "lost"])
@pytest.mark.parametrize("depth", DEPTHS)
def test_what_vanishes_is_broadcast_again_with_the_same_bytes(
    bench: Bench, depth: int, keep: bool
) -> None:
    ids = pay_at_each_depth(bench)
    before = {tx_id: bench.queue.get(tx_id) for tx_id in ids}
    gone = [tx_id for tx_id, own_depth in zip(ids, DEPTHS, strict=True) if own_depth <= depth]
    bench.ledger.reorg(depth, keep=keep)
    bench.ledger.auto_mine = False
    changed = bench.queue.watch()
    assert [row.id for row in changed] == gone[::-1]
    for row in changed:
        assert row.status is TransactionStatus.BROADCAST
        assert (row.block_number, row.block_hash, row.gas_used) == (None, None, None)
        assert (row.raw, row.attempts) == (before[row.id].raw, 1)
    ((subject, detail),) = reorg_alarms(bench)
    assert subject == to_hex(SENDER)
    assert "blocks, up to " in detail
    assert f"up to {depth + 1} deep" in detail or depth == 64
    bench.ledger.mine()
    for tx_id in ids:
        bench.queue.settle(tx_id)
    assert reorg_alarms(bench) != []
    bench.ledger.mine(FINALITY)
    assert len(bench.queue.watch()) == len(DEPTHS)
    assert reorg_alarms(bench) == []
    assert sorted(tx.call.data for tx in bench.ledger.included()) == [
        call(number).data for number in range(len(DEPTHS))
    ]
    assert len(stored_attempts(bench.log_url)) == len(DEPTHS)


def test_the_next_owner_ends_the_alarm_when_all_is_final(bench: Bench) -> None:
    bench.pay()
    bench.ledger.reorg(1, keep=True)
    bench.ledger.mine()
    bench.queue.watch()
    queue = bench.take_over()
    queue.watch()
    assert reorg_alarms(bench) != []
    bench.ledger.mine(FINALITY)
    queue.watch()
    assert reorg_alarms(bench) == []


def test_the_alarm_of_a_busy_key_ends_when_what_the_reorg_touched_is_final(bench: Bench) -> None:
    bench.ledger.finality_depth = 8
    bench.pay(1)
    bench.ledger.reorg(1, keep=True)
    bench.ledger.mine()
    bench.queue.watch()
    for number in range(2, 10):
        bench.pay(number)
    bench.queue.watch()
    assert len(bench.queue.pending()) == 8
    assert reorg_alarms(bench) == []


def test_a_long_row_of_blocks_that_are_not_final_costs_three_questions(bench: Bench) -> None:
    for number in range(20):
        bench.pay(number)
    bench.ledger.calls.clear()
    assert bench.queue.watch() == []
    assert bench.ledger.calls.total() <= 3


def test_a_node_that_lags_behind_is_no_reorg(bench: Bench) -> None:
    class Lagging(SimulatedLedger):
        """Shows only its first block, as a node that begins anew."""

    bench.pay()
    ahead, bench.ledger = bench.ledger, Lagging(finality_depth=FINALITY)
    queue = bench.take_over()
    assert queue.watch() == []
    assert bench.queue.get(1).status is TransactionStatus.INCLUDED
    assert reorg_alarms(bench) == []
    assert bench.ledger.sent == []
    bench.ledger = ahead
    assert bench.take_over().settle(1).receipt.succeeded


def test_a_chain_that_stays_shorter_is_a_reorg_after_a_while(bench: Bench) -> None:
    bench.ledger.mine(5)
    bench.pay()
    bench.ledger = SimulatedLedger(finality_depth=FINALITY)
    queue = bench.take_over()
    with pytest.raises(LedgerUnavailable):
        queue.settle(1, final=True, timeout_s=20)
    assert [tx.call for tx in bench.ledger.included()] == [call()]
    assert reorg_alarms(bench) != []


def test_a_vanished_failure_may_succeed_in_its_new_block(bench: Bench) -> None:
    bench.ledger.reverting.add(call().data)
    tx_id = bench.queue.submit(call(), "pay:1")
    bench.queue.watch()
    bench.ledger.reorg(1)
    bench.ledger.reverting.clear()
    bench.ledger.mine(FINALITY)
    assert bench.queue.settle(tx_id).receipt.succeeded
    assert not bench.queue.get(tx_id).failed
