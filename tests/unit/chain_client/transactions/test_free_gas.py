"""Where gas is free: nothing is offered, and bytes that are free are not given up for others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chain_client.errors import LedgerUnavailable, TransactionRejected
from chain_client.signing import decode_transaction
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.transactions import TransactionLimits, TransactionStatus
from tests.queues import stored_attempts
from tests.unit.chain_client.transactions.simulated import Bench, call

GWEI = 10**9


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A chain without fees, and a key without coin; a block is made every five seconds."""
    ledger = SimulatedLedger(auto_mine=False, finality_depth=3)
    ledger.base_fee_wei = ledger.tip_wei = ledger.coin_wei = 0
    bench = Bench(tmp_path, ledger, poll_s=5, limits=TransactionLimits(bump_after_s=60))
    bench.clock.on_wait = bench.ledger.mine
    yield bench
    bench.close()


def offers(bench: Bench) -> list[int]:
    """What the attempts offer for a unit of gas, in wei."""
    return [decode_transaction(a.raw).max_fee_wei for a in stored_attempts(bench.log_url)]


def test_nothing_is_offered_and_it_is_mined(bench: Bench) -> None:
    tx_id = bench.queue.submit(call(), "free:1")
    assert bench.queue.settle(tx_id, final=True).receipt.succeeded
    assert offers(bench) == [0]


def test_what_pools_forget_is_sent_again_as_it_is(bench: Bench) -> None:
    tx_id = bench.queue.submit(call(), "free:1")
    bench.ledger.empty_pool()
    bench.ledger.drop_silently(10)
    with pytest.raises(LedgerUnavailable, match="not on chain"):
        bench.queue.settle(tx_id, timeout_s=150)
    assert len(set(bench.ledger.sent)) == 1
    assert len(bench.ledger.sent) > 3
    assert offers(bench) == [0]
    assert bench.owner.log.alarms() == []
    bench.ledger.calm()
    assert bench.queue.settle(tx_id).receipt.succeeded


def test_where_fees_come_up_a_key_without_coin_keeps_its_free_bytes(bench: Bench) -> None:
    tx_id = bench.queue.submit(call(), "free:1")
    bench.ledger.base_fee_wei = 4 * GWEI
    with pytest.raises(LedgerUnavailable):
        bench.queue.settle(tx_id, timeout_s=150)
    assert offers(bench) == [0]
    bench.ledger.coin_wei = 10**18
    bench.queue.settle(tx_id, timeout_s=150)
    assert offers(bench) == [0, 8 * GWEI]


@pytest.mark.parametrize("reason", ["fee_too_low", "underpriced"])
def test_a_node_that_wants_more_is_told_of_and_no_bytes_are_signed_that_the_key_can_not_pay(
    bench: Bench, reason: str
) -> None:
    tx_id = bench.queue.submit(call(), "free:1")
    bench.ledger.empty_pool()
    bench.clock.wait(20)
    bench.ledger.fail("send", TransactionRejected(reason, "more"))
    with pytest.raises(TransactionRejected, match=r"offers nothing.*has 0.*send funds") as told:
        bench.queue.settle(tx_id, timeout_s=60)
    assert told.value.reason == "insufficient_funds"
    assert offers(bench) == [0]
    bench.clock.wait(20)
    assert bench.queue.settle(tx_id).receipt.succeeded


def test_a_person_replaces_it_by_one_that_offers_more_than_nothing_if_the_key_has_that(
    bench: Bench,
) -> None:
    bench.clock.on_wait = lambda: None
    tx_id = bench.queue.submit(call(), "free:1")
    works: list[Callable[[], object]] = [
        lambda: bench.queue.retry(tx_id, raise_fees=True),
        lambda: bench.queue.cancel(tx_id),
    ]
    for work in works:
        with pytest.raises(TransactionRejected, match="send funds to the key's address"):
            work()
    assert offers(bench) == [0]
    bench.ledger.coin_wei = 10**6
    assert bench.queue.retry(tx_id, raise_fees=True).max_fee_wei == 1
    assert bench.queue.cancel(tx_id).max_fee_wei == 2
    bench.ledger.mine(4)
    assert bench.queue.retry(tx_id).status is TransactionStatus.CANCELLED
    assert offers(bench) == [0, 1, 2]
