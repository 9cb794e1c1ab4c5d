"""Cancelling and retrying by hand: whichever a block takes settles the row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.errors import (
    AnotherRelay,
    InvalidInput,
    LedgerUnavailable,
    TransactionCancelled,
    TransactionRejected,
)
from chain_client.ledger.deployment import find_sent
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.transactions import (
    AttemptKind,
    TransactionLimits,
    TransactionStatus,
    get_transaction,
    list_attempts,
    list_transactions,
)
from tests.embedded_chains import OWNER, WRITER
from tests.queues import stored_attempts
from tests.unit.chain_client.transactions.simulated import Bench, call

SENDER = OWNER.address()
GWEI = 10**9


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, SimulatedLedger(auto_mine=False, finality_depth=2), poll_s=1)
    bench.clock.on_wait = bench.ledger.mine
    yield bench
    bench.close()


class TestCancelling:
    def test_a_transfer_of_nothing_to_ourselves_takes_the_nonce(self, bench: Bench) -> None:
        tx_id = bench.queue.submit(call(), "pay:1")
        row = bench.queue.cancel(tx_id)
        assert (row.is_cancel, row.attempts) == (True, 2)
        assert row.status is TransactionStatus.BROADCAST
        with pytest.raises(TransactionCancelled, match="'pay:1' was cancelled in block 1"):
            bench.queue.settle(tx_id)
        bench.ledger.mine(2)
        assert [row.status for row in bench.queue.watch()] == ["cancelled"]
        (tx,) = bench.ledger.included()
        assert (tx.call.to, tx.call.data, tx.call.value_wei) == (SENDER, b"", 0)
        assert bench.pay(2).nonce == 1

    def test_the_call_may_be_faster(self, bench: Bench) -> None:
        tx_id = bench.queue.submit(call(), "pay:1")
        bench.ledger.drop_silently()
        bench.queue.cancel(tx_id)
        settled = bench.queue.settle(tx_id, final=True)
        assert (settled.is_cancel, settled.status) == (False, TransactionStatus.FINALIZED)
        assert [tx.call for tx in bench.ledger.included()] == [call()]

    def test_nothing_is_signed_for_the_purpose_until_the_cancellation_is_final(
        self, bench: Bench
    ) -> None:
        tx_id = bench.queue.submit(call(), "pay:1")
        bench.queue.cancel(tx_id)
        with pytest.raises(LedgerUnavailable, match="is being cancelled"):
            bench.queue.submit(call(), "pay:1")
        bench.ledger.mine()
        bench.queue.retry(tx_id)
        with pytest.raises(LedgerUnavailable, match="is being cancelled"):
            bench.queue.submit(call(), "pay:1")
        bench.ledger.mine(2)
        bench.queue.watch()
        bench.pay(1)
        assert [tx.call.data for tx in bench.ledger.included()] == [b"", call().data]

    def test_a_reorg_may_exchange_the_cancellation_for_the_call(self, bench: Bench) -> None:
        tx_id = bench.queue.submit(call(), "pay:1")
        raw = bench.rows()[0].raw
        bench.queue.cancel(tx_id)
        with pytest.raises(TransactionCancelled):
            bench.queue.settle(tx_id)
        bench.ledger.reorg(1)
        bench.ledger.put_in_pool(raw)
        bench.ledger.mine()
        assert not bench.queue.settle(tx_id, final=True).is_cancel
        assert [tx.call for tx in bench.ledger.included()] == [call()]

    def test_a_deployment_draws_no_new_id_before_a_cancellation_is_final(
        self, bench: Bench
    ) -> None:
        tx_id = bench.queue.submit(call(), "open-log:1")
        bench.queue.cancel(tx_id)
        with pytest.raises(TransactionCancelled):
            bench.queue.settle(tx_id)
        assert bench.queue.get(tx_id).status is TransactionStatus.INCLUDED
        assert find_sent(bench.queue, "open-log:", prefix=True) == []
        assert bench.queue.get(tx_id).status is TransactionStatus.CANCELLED

    def test_a_deployment_finds_what_a_reorg_let_come_true_after_all(self, bench: Bench) -> None:
        tx_id = bench.queue.submit(call(), "open-log:1")
        raw = bench.rows()[0].raw
        bench.queue.cancel(tx_id)
        with pytest.raises(TransactionCancelled):
            bench.queue.settle(tx_id)
        bench.ledger.reorg(1)
        bench.ledger.put_in_pool(raw)
        bench.ledger.mine()
        assert [tx.id for tx in find_sent(bench.queue, "open-log:", prefix=True)] == [tx_id]

    def test_the_next_owner_goes_on_cancelling(self, bench: Bench) -> None:
        tx_id = bench.queue.submit(call(), "pay:1")
        bench.queue.cancel(tx_id)
        bench.ledger.empty_pool()
        queue = bench.take_over()
        (settled,) = queue.resume()
        assert (settled.id, settled.is_cancel) == (tx_id, True)

    def test_cancelling_twice_signs_once(self, bench: Bench) -> None:
        tx_id = bench.queue.submit(call(), "pay:1")
        bench.queue.cancel(tx_id)
        bench.queue.cancel(tx_id)
        assert [a.kind for a in stored_attempts(bench.log_url)] == ["call", "cancel"]

    def test_a_stuck_cancellation_is_replaced_by_another_one(self, bench: Bench) -> None:
        tx_id = bench.queue.submit(call(), "pay:1")
        bench.queue.cancel(tx_id)
        bench.ledger.base_fee_wei = 10 * GWEI
        with pytest.raises(TransactionCancelled):
            bench.queue.settle(tx_id, timeout_s=120)
        assert [a.kind for a in stored_attempts(bench.log_url)] == ["call", "cancel", "cancel"]

    def test_what_is_on_chain_can_not_be_cancelled(self, bench: Bench) -> None:
        tx_id = bench.queue.submit(call(), "pay:1")
        bench.ledger.mine()
        for status in ("included", "finalized"):
            with pytest.raises(InvalidInput, match=f"is {status}: only what no block holds"):
                bench.queue.cancel(tx_id)
            bench.ledger.mine(2)
            bench.queue.watch()
        assert len(stored_attempts(bench.log_url)) == 1

    def test_bytes_that_no_chain_takes_can_be_cancelled(self, bench: Bench) -> None:
        bench.ledger.fail("send", LedgerUnavailable("down"))
        tx_id = bench.queue.submit(call(), "pay:1")
        refusal = TransactionRejected("gas_limit", "more than a block holds")
        bench.clock.wait(20)
        bench.ledger.fail("send", refusal)
        with pytest.raises(TransactionRejected, match="mlops-chain tx cancel"):
            bench.queue.settle(tx_id)
        bench.queue.cancel(tx_id)
        with pytest.raises(TransactionCancelled):
            bench.queue.settle(tx_id)

    def test_there_must_be_room_under_the_cap(self, bench: Bench) -> None:
        queue = bench.take_over(limits=TransactionLimits(max_fee_wei=2 * GWEI))
        tx_id = queue.submit(call(), "pay:1")
        with pytest.raises(TransactionRejected, match=r"transactions\.max_fee_gwei leaves no room"):
            queue.cancel(tx_id)
        assert len(stored_attempts(bench.log_url)) == 1

    def test_an_owner_that_lost_the_lease_cancels_nothing(self, bench: Bench) -> None:
        tx_id = bench.queue.submit(call(), "pay:1")
        sleeper = bench.queue
        bench.take_over()
        with pytest.raises(AnotherRelay):
            sleeper.cancel(tx_id)
        with pytest.raises(AnotherRelay):
            sleeper.retry(tx_id, raise_fees=True)
        assert len(stored_attempts(bench.log_url)) == 1
        assert len(bench.ledger.sent) == 1


class TestRetrying:
    def test_the_same_bytes_are_sent_at_once(self, bench: Bench) -> None:
        bench.ledger.drop_silently()
        tx_id = bench.queue.submit(call(), "pay:1")
        row = bench.queue.retry(tx_id)
        assert bench.ledger.sent == [row.raw, row.raw]
        assert row.attempts == 1
        assert len(bench.ledger.pool()) == 1

    def test_fees_are_raised_when_asked(self, bench: Bench) -> None:
        tx_id = bench.queue.submit(call(), "pay:1")
        before = bench.queue.get(tx_id)
        row = bench.queue.retry(tx_id, raise_fees=True)
        assert row.attempts == 2
        assert row.max_fee_wei == before.max_fee_wei * 1.125
        assert [tx.raw for tx in bench.ledger.pool()] == [row.raw]

    def test_the_cap_holds(self, bench: Bench) -> None:
        queue = bench.take_over(limits=TransactionLimits(max_fee_wei=2 * GWEI))
        tx_id = queue.submit(call(), "pay:1")
        with pytest.raises(TransactionRejected, match="leaves no room for more"):
            queue.retry(tx_id, raise_fees=True)

    def test_what_is_on_chain_is_left_alone(self, bench: Bench) -> None:
        tx_id = bench.pay(1, final=True).id
        row = bench.queue.retry(tx_id, raise_fees=True)
        assert (row.status, row.attempts) == (TransactionStatus.FINALIZED, 1)


class TestLooking:
    def test_every_keys_transactions_are_listed_newest_first(self, bench: Bench) -> None:
        bench.pay(1, final=True)
        bench.queue.submit(call(2), "pay:2")
        bench.take_over(signer=WRITER).submit(call(3), "pay:3")
        engine = bench.owner.log.engine
        assert [r.purpose for r in list_transactions(engine)] == ["pay:3", "pay:2", "pay:1"]
        assert [r.purpose for r in list_transactions(engine, limit=1)] == ["pay:3"]
        assert [r.purpose for r in list_transactions(engine, open_only=True)] == ["pay:3", "pay:2"]
        (found,) = list_transactions(engine, sender=WRITER.address())
        assert found == get_transaction(engine, found.id)
        assert (found.sender, found.gas_limit) == (WRITER.address(), 60_000)
        with pytest.raises(InvalidInput, match="no transaction 99 is stored"):
            get_transaction(engine, 99)

    def test_the_attempts_of_one_are_listed_with_what_they_offer(self, bench: Bench) -> None:
        tx_id = bench.queue.submit(call(), "pay:1")
        bench.queue.retry(tx_id, raise_fees=True)
        bench.queue.cancel(tx_id)
        found = list_attempts(bench.owner.log.engine, tx_id)
        assert [a.kind for a in found] == [AttemptKind.CALL, AttemptKind.CALL, AttemptKind.CANCEL]
        fees = [a.max_fee_wei for a in found]
        assert fees == sorted(fees)
        assert found[-1].raw == bench.queue.get(tx_id).raw
        assert found[0].created_us == bench.queue.get(tx_id).created_us
