"""What no block takes is replaced by the same call with higher fees, up to the cap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.errors import LedgerUnavailable, TransactionRejected
from chain_client.signing import TransactionFields, decode_transaction, sign_transaction
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.transactions import TransactionLimits, TransactionStatus
from tests.embedded_chains import OWNER
from tests.queues import StoredAttempt, stored_attempts
from tests.unit.chain_client.transactions.simulated import Bench, call

GWEI = 10**9
SENDER = OWNER.address()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A chain that makes a block when the test says so, or every five seconds of waiting."""
    bench = Bench(
        tmp_path,
        SimulatedLedger(auto_mine=False, finality_depth=3),
        poll_s=5,
        limits=TransactionLimits(max_fee_wei=100 * GWEI, bump_after_s=60),
    )
    bench.clock.on_wait = bench.ledger.mine
    yield bench
    bench.close()


def attempts(bench: Bench) -> list[StoredAttempt]:
    return stored_attempts(bench.log_url)


def fees(bench: Bench) -> list[float]:
    """What the attempts offer for a unit of gas, in gwei."""
    return [decode_transaction(a.raw).max_fee_wei / GWEI for a in attempts(bench)]


def kinds(bench: Bench) -> set[str]:
    """Kinds of the alarms that stand."""
    return {alarm.kind for alarm in bench.owner.log.alarms()}


def assert_paid_once(bench: Bench, *numbers: int) -> None:
    """The chain holds each call once, by an attempt that was stored."""
    included = bench.ledger.included(SENDER)
    assert [tx.call for tx in included] == [call(number) for number in numbers]
    assert {tx.raw for tx in included} <= {a.raw for a in attempts(bench)}
    assert set(bench.ledger.sent) <= {a.raw for a in attempts(bench)}


def stick(bench: Bench) -> int:
    """A transaction that offers too little for the blocks that follow."""
    tx_id = bench.queue.submit(call(), "pay:1")
    bench.ledger.base_fee_wei = 4 * GWEI
    return tx_id


def test_a_stuck_transaction_is_replaced_by_the_same_call_that_offers_more(bench: Bench) -> None:
    tx_id = stick(bench)
    settled = bench.queue.settle(tx_id, timeout_s=120)
    first, second = attempts(bench)
    one, other = decode_transaction(first.raw), decode_transaction(second.raw)
    assert (other.nonce, other.to, other.data) == (one.nonce, one.to, one.data)
    assert other.gas_limit == one.gas_limit
    assert other.max_fee_wei == 9 * GWEI  # the market's
    assert other.max_priority_fee_wei >= one.max_priority_fee_wei * 1.125
    row = bench.queue.get(tx_id)
    assert (row.raw, row.attempts, row.is_cancel) == (second.raw, 2, False)
    assert row.tx_hash == settled.receipt.tx_hash
    assert 60e6 <= row.signed_us - row.created_us <= 65e6
    assert_paid_once(bench, 1)


def test_a_market_that_does_not_move_is_outbid_by_an_eighth_each_time(bench: Bench) -> None:
    bench.queue.submit(call(), "pay:1")
    bench.ledger.empty_pool()
    bench.ledger.drop_silently(1000)
    with pytest.raises(LedgerUnavailable, match="not on chain after 200 s"):
        bench.queue.settle(1, timeout_s=200)
    assert fees(bench) == [2, 2.25, 2.53125, 2.84765625]


def test_a_chain_that_stands_still_is_not_paid_more(bench: Bench) -> None:
    tx_id = bench.queue.submit(call(), "pay:1")
    bench.clock.on_wait = lambda: None
    with pytest.raises(LedgerUnavailable):
        bench.queue.settle(tx_id, timeout_s=600)
    assert fees(bench) == [2]
    bench.ledger.mine()
    bench.queue.settle(tx_id)
    assert_paid_once(bench, 1)


def test_only_the_lowest_nonce_is_replaced(bench: Bench) -> None:
    bench.clock.on_wait = lambda: None
    ids = [bench.queue.submit(call(number), f"pay:{number}") for number in (1, 2, 3)]
    bench.ledger.base_fee_wei = 4 * GWEI
    bench.clock.on_wait = bench.ledger.mine
    with pytest.raises(LedgerUnavailable):
        bench.queue.settle(ids[2], timeout_s=60)
    assert [a.nonce for a in attempts(bench)] == [0, 0, 1, 2]
    for tx_id in ids:
        bench.queue.settle(tx_id, timeout_s=200)
    assert_paid_once(bench, 1, 2, 3)


def test_the_first_attempt_may_be_the_one_that_a_block_takes(bench: Bench) -> None:
    tx_id = stick(bench)
    bench.clock.wait(61)
    bench.ledger.lose_reply()
    bench.ledger.fail("receipt", None, LedgerUnavailable("down"))
    with pytest.raises(LedgerUnavailable):
        bench.queue.settle(tx_id, timeout_s=0)
    first, second = attempts(bench)
    bench.ledger.empty_pool()
    bench.ledger.put_in_pool(first.raw)
    bench.ledger.base_fee_wei = GWEI
    settled = bench.queue.settle(tx_id, final=True)
    row = bench.queue.get(tx_id)
    assert row.raw == first.raw != second.raw
    assert row.tx_hash == settled.receipt.tx_hash
    assert row.status is TransactionStatus.FINALIZED
    assert bench.owner.log.alarms() == []
    assert_paid_once(bench, 1)


@pytest.mark.parametrize("taken", [0, 1])
def test_a_reorg_may_exchange_one_attempt_for_another(bench: Bench, taken: int) -> None:
    tx_id = stick(bench)
    bench.queue.settle(tx_id, timeout_s=120)
    bench.ledger.reorg(1)
    bench.ledger.empty_pool()
    bench.ledger.base_fee_wei = GWEI
    bench.ledger.put_in_pool(attempts(bench)[taken].raw)
    bench.ledger.mine()
    settled = bench.queue.settle(tx_id, final=True)
    row = bench.queue.get(tx_id)
    assert row.raw == attempts(bench)[taken].raw
    assert row.tx_hash == settled.receipt.tx_hash
    assert len(attempts(bench)) == 2
    assert_paid_once(bench, 1)


def test_an_underpriced_replacement_is_looked_up_and_outbid(bench: Bench) -> None:
    tx_id = stick(bench)
    refusal = TransactionRejected("underpriced", "replacement transaction underpriced")
    bench.ledger.empty_pool()
    bench.clock.wait(20)
    bench.ledger.fail("send", refusal)
    bench.queue.settle(tx_id, timeout_s=30)
    assert fees(bench) == [2, 9]
    assert_paid_once(bench, 1)


def test_what_someone_elses_bytes_in_the_pool_refuse_is_outbid_until_it_replaces_them(
    bench: Bench,
) -> None:
    fields = TransactionFields(31337, 0, 12 * GWEI, 2 * GWEI, 50_000, SENDER, b"")
    bench.ledger.put_in_pool(sign_transaction(OWNER, fields).raw)
    tx_id = bench.queue.submit(call(), "pay:1")
    bench.clock.on_wait = lambda: None
    with pytest.raises(LedgerUnavailable):
        bench.queue.settle(tx_id, timeout_s=600)
    assert [tx.call for tx in bench.ledger.pool()] == [call(1)]
    bench.ledger.mine()
    bench.queue.settle(tx_id)
    assert_paid_once(bench, 1)


def test_fees_that_rose_since_the_signature_are_offered_at_once(bench: Bench) -> None:
    bench.ledger.refuses_low_fees = True
    bench.ledger.drop_silently()
    tx_id = stick(bench)
    bench.clock.wait(20)
    started_us = bench.clock.now_us
    bench.queue.settle(tx_id)
    assert bench.clock.now_us - started_us <= 5e6
    assert fees(bench) == [2, 9]
    assert_paid_once(bench, 1)


class TestSpike:
    @pytest.mark.parametrize("refuses", [False, True])
    def test_a_base_fee_times_20_waits_at_the_cap_and_goes_on_when_it_falls(
        self, bench: Bench, refuses: bool
    ) -> None:
        bench.pay(1)
        bench.ledger.base_fee_wei = 10 * GWEI
        tx_id = bench.queue.submit(call(2), "pay:2")
        bench.ledger.base_fee_wei *= 20
        bench.ledger.refuses_low_fees = refuses
        for _ in range(30):
            with pytest.raises(LedgerUnavailable) as told:
                bench.queue.settle(tx_id, timeout_s=60)
            bench.clock.wait(10)
        assert "all that transactions.max_fee_gwei allows" in str(told.value)
        assert max(fees(bench)) == 100
        assert len(attempts(bench)) == 3
        (alarm,) = bench.owner.log.alarms()
        assert (alarm.kind, alarm.count) == ("fee_cap_reached", 1)
        assert "transactions.max_fee_gwei = 100" in alarm.detail
        bench.ledger.base_fee_wei = 30 * GWEI
        bench.queue.settle(tx_id)
        assert kinds(bench) == set()
        assert_paid_once(bench, 1, 2)

    @pytest.mark.parametrize("refuses", [False, True])
    def test_what_is_signed_during_the_spike_is_offered_at_the_cap(
        self, bench: Bench, refuses: bool
    ) -> None:
        bench.ledger.base_fee_wei = 200 * GWEI
        bench.ledger.refuses_low_fees = refuses
        tx_id = bench.queue.submit(call(), "pay:1")
        assert kinds(bench) == {"fee_cap_reached"}
        with pytest.raises(LedgerUnavailable, match=r"max_fee_gwei allows"):
            bench.queue.settle(tx_id, timeout_s=300)
        assert fees(bench) == [100]
        bench.ledger.base_fee_wei = 90 * GWEI
        bench.queue.settle(tx_id)
        assert fees(bench) == [100]
        assert kinds(bench) == set()
        assert_paid_once(bench, 1)

    def test_bytes_that_wait_at_the_cap_are_sent_again_when_the_node_drops_them(
        self, bench: Bench
    ) -> None:
        bench.ledger.base_fee_wei = 200 * GWEI
        tx_id = bench.queue.submit(call(), "pay:1")
        with pytest.raises(LedgerUnavailable):
            bench.queue.settle(tx_id, timeout_s=100)
        bench.ledger.empty_pool()
        with pytest.raises(LedgerUnavailable):
            bench.queue.settle(tx_id, timeout_s=40)
        assert len(bench.ledger.pool()) == 1
        bench.ledger.base_fee_wei = GWEI
        bench.queue.settle(tx_id)
        assert_paid_once(bench, 1)

    @pytest.mark.parametrize("resend_s", [1, 5, 100])
    def test_neither_at_the_cap_nor_below_does_one_kind_of_try_starve_the_other(
        self, bench: Bench, resend_s: float
    ) -> None:
        queue = bench.take_over(resend_s=resend_s)
        bench.ledger.base_fee_wei = 200 * GWEI
        tx_id = queue.submit(call(), "pay:1")
        with pytest.raises(LedgerUnavailable):
            queue.settle(tx_id, timeout_s=100)
        bench.ledger.empty_pool()
        bench.ledger.base_fee_wei = GWEI
        bench.clock.now_us += 10_000_000
        queue.settle(tx_id, timeout_s=110)
        assert_paid_once(bench, 1)

    def test_a_raised_cap_lets_the_next_owner_offer_more(self, bench: Bench) -> None:
        bench.ledger.base_fee_wei = 200 * GWEI
        tx_id = bench.queue.submit(call(), "pay:1")
        queue = bench.take_over(limits=TransactionLimits(max_fee_wei=1000 * GWEI))
        queue.settle(tx_id, timeout_s=120)
        assert fees(bench) == [100, 401]
        assert kinds(bench) == set()
        assert_paid_once(bench, 1)


class TestLegacyFees:
    @pytest.fixture
    def bench(self, bench: Bench) -> Bench:
        bench.ledger.is_legacy = True
        return bench

    def test_a_gas_price_is_bumped_like_two_fees(self, bench: Bench) -> None:
        tx_id = stick(bench)
        bench.queue.settle(tx_id, timeout_s=120)
        decoded = [decode_transaction(a.raw) for a in attempts(bench)]
        assert [fields.is_legacy for fields in decoded] == [True, True]
        assert fees(bench) == [2, 9]
        assert bench.queue.get(tx_id).to_call() == call()
        assert_paid_once(bench, 1)

    def test_a_spike_waits_at_the_cap(self, bench: Bench) -> None:
        tx_id = bench.queue.submit(call(), "pay:1")
        bench.ledger.base_fee_wei = 200 * GWEI
        with pytest.raises(LedgerUnavailable):
            bench.queue.settle(tx_id, timeout_s=600)
        assert fees(bench) == [2, 100]
        bench.ledger.base_fee_wei = GWEI
        bench.queue.settle(tx_id)
        assert_paid_once(bench, 1)

    def test_a_chain_that_learns_the_new_fees_meanwhile_gets_them(self, bench: Bench) -> None:
        tx_id = stick(bench)
        bench.ledger.is_legacy = False
        bench.queue.settle(tx_id, timeout_s=120)
        decoded = [decode_transaction(a.raw) for a in attempts(bench)]
        assert [fields.is_legacy for fields in decoded] == [True, False]
        assert decoded[1].max_priority_fee_wei >= decoded[0].max_fee_wei * 1.125
        assert_paid_once(bench, 1)
