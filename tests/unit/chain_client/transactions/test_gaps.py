"""Nonces that the chain lacks before one of ours: ours are sent again, others are used up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chain_client.errors import BudgetSpent, LedgerUnavailable, TransactionRejected
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.transactions import TransactionLimits, TransactionStatus
from chain_client.types import to_hex
from tests.embedded_chains import OWNER
from tests.unit.chain_client.transactions.simulated import Bench, call

SENDER = OWNER.address()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, SimulatedLedger(auto_mine=False, finality_depth=1), poll_s=1)
    bench.clock.on_wait = bench.ledger.mine
    yield bench
    bench.close()


def lose_row(bench: Bench, purpose: str) -> None:
    """As a log does that was put back from a copy."""
    with closing(sqlite3.connect(bench.log_file)) as connection, connection:
        of_it = "(SELECT id FROM transactions WHERE purpose = ?)"
        connection.execute(f"DELETE FROM attempts WHERE transaction_id IN {of_it}", [purpose])
        connection.execute("DELETE FROM transactions WHERE purpose = ?", [purpose])


def test_the_lowest_missing_nonce_of_ours_is_sent_again_at_once(bench: Bench) -> None:
    for number in (1, 2, 3):
        bench.queue.submit(call(number), f"pay:{number}")
    bench.ledger.empty_pool()
    sent = len(bench.ledger.sent)
    bench.clock.wait(20)
    bench.ledger.fail("send", None, TransactionRejected("nonce_gap", "gap"))
    bench.queue.settle(3)
    assert [row.purpose for row in bench.rows()] == ["pay:1", "pay:2", "pay:3"]
    raws = [row.raw for row in bench.rows()]
    assert bench.ledger.sent[sent:][:3] == [raws[0], raws[1], raws[0]]
    assert [tx.raw for tx in bench.ledger.included()] == raws


def test_a_gap_after_a_reorg_is_closed_by_what_was_in_it(bench: Bench) -> None:
    for number in (1, 2):
        bench.pay(number)
    tx_id = bench.queue.submit(call(3), "pay:3")
    bench.ledger.reorg(2)
    bench.ledger.empty_pool()
    bench.clock.wait(20)
    bench.queue.settle(tx_id)
    assert [tx.call for tx in bench.ledger.included()] == [call(1), call(2), call(3)]


def test_a_nonce_that_nobody_has_is_used_up_by_a_transfer_of_nothing_to_ourselves(
    bench: Bench,
) -> None:
    bench.clock.on_wait = lambda: None
    for number in (1, 2):
        bench.queue.submit(call(number), f"pay:{number}")
    bench.ledger.empty_pool()
    lose_row(bench, "pay:1")
    bench.clock.on_wait = bench.ledger.mine
    queue = bench.take_over()
    queue.resume()
    first, second = bench.ledger.included()
    assert (first.nonce, first.call.to, first.call.data) == (0, SENDER, b"")
    assert second.call == call(2)
    bench.ledger.mine(2)
    queue.watch()
    (filler,) = queue.find("fill:0")
    assert filler.is_cancel
    assert filler.status is TransactionStatus.CANCELLED
    bench.take_over().submit(call(3), "pay:3")


def test_a_node_that_lags_a_moment_makes_no_filler(bench: Bench) -> None:
    for _ in range(3):
        bench.ledger.use_nonce(SENDER)
    bench.clock.on_wait = lambda: None
    tx_id = bench.queue.submit(call(1), "pay:1")
    bench.ledger.forget_foreign(SENDER)
    with pytest.raises(LedgerUnavailable):
        bench.queue.settle(tx_id, timeout_s=10)
    assert [row.purpose for row in bench.rows()] == ["pay:1"]
    for _ in range(3):
        bench.ledger.use_nonce(SENDER)
    bench.clock.on_wait = bench.ledger.mine
    bench.queue.settle(tx_id)
    assert [row.purpose for row in bench.rows()] == ["pay:1"]


def test_several_lost_nonces_are_used_up_one_by_one(bench: Bench) -> None:
    for _ in range(3):
        bench.ledger.use_nonce(SENDER)
    tx_id = bench.queue.submit(call(1), "pay:1")
    bench.ledger.forget_foreign(SENDER)
    bench.queue.settle(tx_id, timeout_s=100)
    assert [row.purpose for row in bench.rows()] == ["fill:0", "fill:1", "fill:2", "pay:1"]
    assert [tx.nonce for tx in bench.ledger.included()] == [0, 1, 2, 3]


def test_a_filler_whose_nonce_is_used_meanwhile_is_forgotten_without_alarm(bench: Bench) -> None:
    bench.ledger.use_nonce(SENDER)
    tx_id = bench.queue.submit(call(1), "pay:1")
    bench.ledger.forget_foreign(SENDER)
    bench.clock.on_wait = lambda: None
    with pytest.raises(LedgerUnavailable):
        bench.queue.settle(tx_id, timeout_s=20)
    assert [row.purpose for row in bench.rows()] == ["fill:0", "pay:1"]
    bench.ledger.use_nonce(SENDER)
    bench.clock.on_wait = bench.ledger.mine
    bench.queue.settle(tx_id)
    bench.clock.wait(15)
    bench.queue.watch()
    assert [row.purpose for row in bench.rows()] == ["pay:1"]
    assert bench.owner.log.alarms() == []
    assert [tx.call for tx in bench.ledger.included()] == [call(1)]


def test_a_gap_where_something_was_final_stops_everything(bench: Bench) -> None:
    bench.pay(1, final=True)
    tx_id = bench.queue.submit(call(2), "pay:2")
    bench.ledger = SimulatedLedger(auto_mine=False, finality_depth=1)
    queue = bench.take_over()
    with pytest.raises(LedgerUnavailable, match="replaced by an older copy"):
        queue.settle(tx_id)
    assert {tx.nonce for tx in bench.ledger.pool()} <= {1}


def test_a_gap_that_we_never_made_is_told_and_nothing_is_signed_for_it(bench: Bench) -> None:
    for _ in range(57):
        bench.ledger.use_nonce(SENDER)
    bench.ledger.mine()
    tx_id = bench.queue.submit(call(1), "pay:1")
    bench.ledger.forget_foreign(SENDER)
    with pytest.raises(LedgerUnavailable):
        bench.queue.settle(tx_id, timeout_s=40)
    assert [row.purpose for row in bench.rows()] == ["pay:1"]
    (alarm,) = bench.owner.log.alarms()
    assert (alarm.kind, alarm.subject) == ("nonce_gap", to_hex(SENDER))
    assert "has nonce 57" in alarm.detail
    for _ in range(57):
        bench.ledger.use_nonce(SENDER)
    bench.queue.settle(tx_id)
    assert bench.owner.log.alarms() == []


def test_what_fills_a_gap_counts_against_the_budget_before_it_is_signed(tmp_path: Path) -> None:
    ledger = SimulatedLedger(auto_mine=False, finality_depth=1)
    limits = TransactionLimits(gas_per_hour=130_000)
    bench = Bench(tmp_path, ledger, poll_s=1, limits=limits)
    bench.clock.on_wait = ledger.mine
    for _ in range(2):
        ledger.use_nonce(SENDER)
    ledger.mine()
    tx_id = bench.queue.submit(call(1), "pay:1")
    ledger.forget_foreign(SENDER)
    with pytest.raises(BudgetSpent):
        bench.queue.settle(tx_id, timeout_s=600)
    assert [row.purpose for row in bench.rows()] == ["fill:0", "pay:1"]
    assert [alarm.kind for alarm in bench.owner.log.alarms()] == ["gas_budget_spent"]
    bench.clock.wait(3600)
    bench.queue.settle(tx_id, timeout_s=600)
    assert [row.purpose for row in bench.rows()] == ["fill:0", "fill:1", "pay:1"]
    bench.close()
