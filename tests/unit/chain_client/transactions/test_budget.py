"""The gas that a key may use in an hour."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.config import Settings
from chain_client.errors import BudgetSpent, ContractReverted, LedgerUnavailable
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.transactions import TransactionLimits
from tests.embedded_chains import WRITER
from tests.unit.chain_client.transactions.simulated import Bench, call


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A transaction may use 60,000 gas and uses 50,000."""
    bench = Bench(tmp_path, limits=TransactionLimits(gas_per_hour=170_000))
    yield bench
    bench.close()


def spend(bench: Bench) -> None:
    for number in (1, 2):
        bench.pay(number, final=True)
    bench.pay(3)


def test_what_would_exceed_it_waits_and_nothing_is_signed(bench: Bench) -> None:
    spend(bench)
    with pytest.raises(BudgetSpent, match="used 150000 gas within an hour"):
        bench.pay(4)
    with pytest.raises(BudgetSpent):
        bench.pay(4)
    assert len(bench.rows()) == 3
    (alarm,) = bench.owner.log.alarms()
    assert (alarm.kind, alarm.count) == ("gas_budget_spent", 1)
    assert "transactions.gas_per_hour = 170000" in alarm.detail


def test_it_goes_on_when_the_hour_has_passed_and_the_alarm_ends(bench: Bench) -> None:
    spend(bench)
    with pytest.raises(BudgetSpent):
        bench.pay(4)
    bench.clock.wait(3590)
    with pytest.raises(BudgetSpent):
        bench.pay(4)
    bench.clock.wait(11)
    bench.pay(4)
    assert bench.owner.log.alarms() == []


def test_the_next_owner_counts_what_the_one_before_spent(bench: Bench) -> None:
    spend(bench)
    with pytest.raises(BudgetSpent):
        bench.take_over().submit(call(4), "pay:4")


def test_another_key_has_a_budget_of_its_own(bench: Bench) -> None:
    spend(bench)
    bench.take_over(signer=WRITER)
    bench.pay(4)


def test_failed_and_cancelled_ones_count(bench: Bench) -> None:
    bench.ledger.reverting.add(call(1).data)
    with pytest.raises(ContractReverted):
        bench.pay(1)
    bench.ledger.auto_mine = False
    bench.queue.cancel(bench.queue.submit(call(2), "pay:2"))
    bench.ledger.mine()
    bench.queue.resume()
    bench.ledger.auto_mine = True
    bench.pay(3)
    with pytest.raises(BudgetSpent):
        bench.pay(4)


def test_what_is_on_its_way_counts_as_much_as_it_may_use(bench: Bench) -> None:
    bench.ledger.auto_mine = False
    for number in (1, 2):
        bench.queue.submit(call(number), f"pay:{number}")
    with pytest.raises(BudgetSpent, match="used 120000 gas"):
        bench.queue.submit(call(3), "pay:3")
    bench.ledger.mine()
    bench.queue.settle(2)
    bench.queue.submit(call(3), "pay:3")


def test_what_was_signed_is_replaced_whatever_the_budget_says(bench: Bench) -> None:
    spend(bench)
    queue = bench.take_over(limits=TransactionLimits(gas_per_hour=210_000))
    bench.ledger.auto_mine = False
    tx_id = queue.submit(call(4), "pay:4")
    queue = bench.take_over(limits=TransactionLimits(gas_per_hour=60_000))
    bench.ledger.base_fee_wei = 10**11
    bench.clock.on_wait = bench.ledger.mine
    queue.settle(tx_id, timeout_s=120)
    assert queue.get(tx_id).attempts == 2


def test_more_than_a_whole_hour_allows_waits_too_as_a_node_may_be_wrong(bench: Bench) -> None:
    bench.ledger.on_estimate = lambda asked: 2**40
    for _ in range(2):
        with pytest.raises(BudgetSpent, match=r"transactions\.gas_per_hour allows"):
            bench.queue.submit(call(), "pay:1")
    assert bench.rows() == []
    assert [alarm.kind for alarm in bench.owner.log.alarms()] == ["gas_budget_spent"]
    bench.ledger.on_estimate = lambda asked: 2**70
    with pytest.raises(LedgerUnavailable, match="gas: a lie"):
        bench.queue.submit(call(), "pay:1")
    bench.ledger.on_estimate = lambda asked: 50_000
    bench.pay()
    assert bench.owner.log.alarms() == []


def test_what_a_clock_signed_that_was_far_ahead_does_not_count_when_it_is_right(
    bench: Bench,
) -> None:
    month_us = 30 * 86_400 * 10**6
    bench.clock.now_us += month_us
    spend(bench)
    bench.clock.now_us -= month_us
    bench.pay(4)
    bench.clock.now_us -= 60 * 10**6  # set back by a minute: what was just signed still counts
    bench.pay(5)
    bench.pay(6)
    with pytest.raises(BudgetSpent):
        bench.pay(7)


def test_the_settings_give_the_limits(tmp_path: Path) -> None:
    remote = Settings(tmp_path, ledger_url="https://rpc.example", transactions_max_fee_gwei=1.5)
    assert TransactionLimits.from_settings(remote) == TransactionLimits(
        max_fee_wei=1_500_000_000, bump_after_s=60, gas_per_hour=20_000_000
    )
    assert TransactionLimits.from_settings(Settings(tmp_path)).gas_per_hour is None


def test_an_embedded_chain_has_none(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SimulatedLedger(), limits=TransactionLimits())
    for number in range(5):
        bench.pay(number)
    bench.close()
