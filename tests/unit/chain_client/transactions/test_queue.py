"""The queue against a chain that misbehaves: one inclusion, and the bytes signed first."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.errors import (
    AnotherRelay,
    CallReverted,
    ConfigurationError,
    ContractReverted,
    ForeignNonce,
    InvalidInput,
    LedgerUnavailable,
    LogUnavailable,
    TransactionRejected,
    WrongChain,
)
from chain_client.ledger import Call
from chain_client.ledger.base import BlockTag
from chain_client.log import Lease
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.transactions import TransactionQueue, TransactionStatus, key_lease_name
from chain_client.types import Address, TxHash, to_hex
from tests.embedded_chains import OWNER, WRITER
from tests.queues import own
from tests.unit.chain_client.transactions.simulated import Bench, call

DOWN = LedgerUnavailable("the node does not answer")
SENDER = OWNER.address()


def included_raw(bench: Bench) -> list[bytes]:
    return [tx.raw for tx in bench.ledger.included()]


def statuses(bench: Bench) -> list[str]:
    return [row.status for row in bench.rows()]


def assert_each_included_once(bench: Bench, count: int) -> None:
    """The chain holds exactly what is stored, and nothing else was ever sent."""
    raws = [row.raw for row in bench.rows()]
    assert included_raw(bench) == raws
    assert len(raws) == count
    assert set(bench.ledger.sent) <= set(raws)


def assert_nothing_is_stored_or_sent(bench: Bench) -> None:
    assert bench.rows() == []
    assert bench.ledger.sent == []


class TestOrdinaryWay:
    def test_a_transaction_is_signed_stored_sent_and_settled(self, bench: Bench) -> None:
        settled = bench.pay(final=True)
        assert (settled.nonce, settled.purpose) == (0, "pay:1")
        assert settled.status is TransactionStatus.FINALIZED
        assert settled.receipt == bench.ledger.receipt(settled.receipt.tx_hash)
        (row,) = bench.queue.find("pay:1")
        assert row.to_call() == call()
        assert (row.sender, row.created_us) == (SENDER, bench.clock.now_us)
        assert (row.gas_used, row.block_number, row.failed) == (50_000, 1, False)
        assert bench.queue.pending() == []
        assert_each_included_once(bench, 1)

    def test_the_bytes_are_on_disk_before_they_are_sent(self, tmp_path: Path) -> None:
        class Watching(SimulatedLedger):
            def send(self, raw: bytes):  # type: ignore[no-untyped-def]
                assert [row.raw for row in bench.rows()] == [raw]
                return super().send(raw)

        bench = Bench(tmp_path, Watching())
        bench.pay()
        bench.close()

    def test_nonces_count_up_and_continue_the_chains(self, bench: Bench) -> None:
        bench.ledger.use_nonce(SENDER)
        assert [bench.pay(number).nonce for number in (1, 2, 3)] == [1, 2, 3]

    def test_two_keys_do_not_mix(self, bench: Bench) -> None:
        bench.pay(1)
        bench.take_over(signer=WRITER)
        assert bench.pay(2).nonce == 0
        assert [row.purpose for row in bench.queue.find("pay:", prefix=True)] == ["pay:2"]
        with pytest.raises(InvalidInput, match="no transaction 1 of"):
            bench.queue.get(1)

    def test_the_gas_limit_is_the_estimate_with_a_margin_or_as_given(self, bench: Bench) -> None:
        import rlp

        bench.pay(1)
        bench.queue.submit(call(2), "pay:2", gas_limit=77_000)
        limits = [int.from_bytes(rlp.decode(row.raw[1:])[4], "big") for row in bench.rows()]
        assert limits == [60_000, 77_000]

    @pytest.mark.parametrize("purpose", ["", "x" * 201])
    def test_a_purpose_is_short_text(self, bench: Bench, purpose: str) -> None:
        with pytest.raises(InvalidInput, match="1 to 200 characters"):
            bench.queue.submit(call(), purpose)
        assert_nothing_is_stored_or_sent(bench)

    def test_a_purpose_is_found_by_its_plain_beginning(self, bench: Bench) -> None:
        for purpose in ("a%b", "a_b", "axb"):
            bench.queue.settle(bench.queue.submit(call(), purpose))
        for purpose in ("a%b", "a_b"):
            assert [row.purpose for row in bench.queue.find(purpose, prefix=True)] == [purpose]
        assert len(bench.queue.find("a", prefix=True)) == 3

    def test_a_purpose_on_its_way_is_not_signed_again(self, bench: Bench) -> None:
        bench.ledger.auto_mine = False
        first = bench.queue.submit(call(), "pay:1")
        assert bench.queue.submit(call(), "pay:1") == first
        with pytest.raises(InvalidInput, match="another call is on its way for 'pay:1'"):
            bench.queue.submit(call(2), "pay:1")
        bench.ledger.mine()
        bench.queue.settle(first)
        assert_each_included_once(bench, 1)


class TestLostAndLate:
    def test_a_lost_reply_is_looked_up_and_nothing_sent_twice(self, bench: Bench) -> None:
        bench.ledger.lose_reply()
        bench.pay()
        assert len(bench.ledger.sent) == 1
        assert_each_included_once(bench, 1)

    def test_a_node_that_is_down_gets_the_same_bytes_later(self, bench: Bench) -> None:
        bench.ledger.fail("send", DOWN, DOWN, DOWN)
        tx_id = bench.queue.submit(call(), "pay:1")
        assert statuses(bench) == ["signed"]
        bench.queue.settle(tx_id)
        assert len(bench.ledger.sent) == 4
        assert_each_included_once(bench, 1)

    def test_bytes_that_the_node_lost_are_sent_again_after_a_while(self, bench: Bench) -> None:
        bench.ledger.drop_silently(2)
        started_us = bench.clock.now_us
        bench.pay()
        assert 30e6 <= bench.clock.now_us - started_us <= 31e6
        assert len(bench.ledger.sent) == 3
        assert_each_included_once(bench, 1)

    def test_a_late_block_is_waited_for_without_sending_again(self, bench: Bench) -> None:
        bench.ledger.auto_mine = False
        waits = iter(range(100))
        bench.clock.on_wait = lambda: bench.ledger.mine() if next(waits) == 20 else None
        bench.pay()
        assert len(bench.ledger.sent) == 1
        assert_each_included_once(bench, 1)

    def test_a_block_that_does_not_come_in_time_is_told_and_waited_for_again(
        self, bench: Bench
    ) -> None:
        bench.ledger.auto_mine = False
        tx_id = bench.queue.submit(call(), "pay:1")
        with pytest.raises(LedgerUnavailable, match="not on chain after 5 s; it is stored"):
            bench.queue.settle(tx_id, timeout_s=5)
        bench.ledger.empty_pool()
        bench.clock.on_wait = bench.ledger.mine
        bench.queue.settle(tx_id)
        assert_each_included_once(bench, 1)

    def test_a_block_between_two_reads_is_no_foreign_transaction(self, tmp_path: Path) -> None:
        class Racing(SimulatedLedger):
            def nonce(self, address: Address, at: BlockTag = "latest") -> int:
                self.mine()
                return super().nonce(address, at)

        bench = Bench(tmp_path, Racing(auto_mine=False))
        bench.pay()
        assert_each_included_once(bench, 1)
        bench.close()

    def test_finality_is_waited_for_only_when_asked(self, bench: Bench) -> None:
        bench.ledger.finality_depth = 3
        settled = bench.pay()
        assert settled.status is TransactionStatus.INCLUDED
        assert [row.id for row in bench.queue.pending()] == [settled.id]
        with pytest.raises(LedgerUnavailable, match="not final after 1 s"):
            bench.queue.settle(settled.id, final=True, timeout_s=1)
        bench.clock.on_wait = bench.ledger.mine
        assert bench.queue.settle(settled.id, final=True).status is TransactionStatus.FINALIZED

    def test_a_node_that_lags_behind_its_own_finality_is_asked_again(self, bench: Bench) -> None:
        bench.ledger.fail("block", None, InvalidInput("there is no such block"))
        assert bench.pay().status is TransactionStatus.INCLUDED
        assert bench.pay(2, final=True).status is TransactionStatus.FINALIZED
        assert [row.status for row in bench.queue.watch()] == ["finalized"]

    @pytest.mark.parametrize("method", ["receipt", "nonce", "block"])
    def test_a_chain_that_fails_while_it_is_read_changes_nothing(
        self, bench: Bench, method: str
    ) -> None:
        bench.ledger.lose_reply()
        tx_id = bench.queue.submit(call(), "pay:1")
        bench.ledger.fail(method, DOWN)
        with contextlib.suppress(LedgerUnavailable):
            bench.queue.settle(tx_id)
        bench.queue.settle(tx_id)
        assert len(bench.ledger.sent) == 1
        assert_each_included_once(bench, 1)

    @pytest.mark.parametrize("method", ["estimate_gas", "fees", "nonce"])
    def test_a_chain_that_fails_before_the_signature_leaves_nothing(
        self, bench: Bench, method: str
    ) -> None:
        bench.ledger.fail(method, DOWN)
        with pytest.raises(LedgerUnavailable):
            bench.queue.submit(call(), "pay:1")
        assert_nothing_is_stored_or_sent(bench)
        bench.pay()
        assert_each_included_once(bench, 1)

    def test_nothing_is_signed_behind_bytes_that_the_chain_has_not_taken(
        self, bench: Bench
    ) -> None:
        bench.ledger.fail("send", DOWN)
        bench.queue.submit(call(1), "pay:1")
        with pytest.raises(LedgerUnavailable, match="nothing new is signed before it has"):
            bench.queue.submit(call(2), "pay:2")
        assert [row.purpose for row in bench.rows()] == ["pay:1"]
        bench.clock.wait(20)
        bench.pay(2)
        bench.queue.resume()
        assert_each_included_once(bench, 2)


class TestRefusals:
    @pytest.mark.parametrize("reason", ["insufficient_funds", "wrong_chain", "other"])
    def test_a_curable_refusal_keeps_the_bytes_for_later(self, bench: Bench, reason: str) -> None:
        bench.ledger.fail("send", *[TransactionRejected(reason, "no")] * 2)
        for _ in range(2):
            with pytest.raises(TransactionRejected, match="stays stored and is sent again") as told:
                bench.queue.submit(call(), "pay:1")
            assert told.value.reason == reason
        bench.pay()
        assert len(bench.ledger.sent) == 3
        assert_each_included_once(bench, 1)

    @pytest.mark.parametrize("reason", ["invalid_signature", "gas_limit"])
    def test_a_hopeless_refusal_lets_nothing_take_the_nonce(
        self, bench: Bench, reason: str
    ) -> None:
        bench.ledger.fail("send", TransactionRejected(reason, "no"))
        with pytest.raises(TransactionRejected, match="it is cancelled"):
            bench.queue.submit(call(1), "pay:1")
        assert bench.pay(2).nonce == 1
        bench.queue.settle(bench.queue.submit(call(1), "pay:1"))
        assert statuses(bench) == ["cancelled", "finalized", "finalized"]
        assert [tx.call.data for tx in bench.ledger.included()] == [b"", b"call 2", b"call 1"]

    @pytest.mark.parametrize("reason", ["invalid_signature", "gas_limit"])
    @pytest.mark.parametrize("auto_mine", [True, False])
    def test_bytes_that_were_refused_and_reach_the_chain_all_the_same_are_not_doubled(
        self, tmp_path: Path, auto_mine: bool, reason: str
    ) -> None:
        class TwoFaced(SimulatedLedger):
            is_lying = True

            def send(self, raw: bytes) -> TxHash:
                found = super().send(raw)
                if self.is_lying:
                    self.is_lying = False
                    raise TransactionRejected(reason, "no")
                return found

        bench = Bench(tmp_path, TwoFaced(auto_mine=auto_mine), poll_s=1)
        bench.clock.on_wait = bench.ledger.mine
        with contextlib.suppress(TransactionRejected):
            bench.queue.submit(call(1), "pay:1")
        bench.ledger.mine()
        bench.queue.resume()
        bench.queue.watch()
        if "pay:1" not in [row.purpose for row in bench.rows() if row.status == "finalized"]:
            bench.pay(1)
        bench.pay(2)
        calls = [tx.call.data for tx in bench.ledger.included() if tx.call.data]
        assert calls == [b"call 1", b"call 2"]
        assert bench.owner.log.alarms() == []
        bench.close()

    @pytest.mark.parametrize("reason", ["invalid_signature", "gas_limit"])
    def test_bytes_that_were_taken_once_are_never_forgotten(
        self, bench: Bench, reason: str
    ) -> None:
        bench.ledger.drop_silently()
        tx_id = bench.queue.submit(call(), "pay:1")
        bench.clock.wait(20)
        bench.ledger.fail("send", TransactionRejected(reason, "no"))
        with pytest.raises(TransactionRejected, match="stays stored"):
            bench.queue.settle(tx_id)
        bench.queue.settle(tx_id)
        assert_each_included_once(bench, 1)

    @pytest.mark.parametrize("reason", ["nonce_too_low", "nonce_gap"])
    def test_a_refused_nonce_is_looked_up(self, bench: Bench, reason: str) -> None:
        bench.ledger.fail("send", TransactionRejected(reason, "no"))
        tx_id = bench.queue.submit(call(), "pay:1")
        bench.queue.settle(tx_id)
        assert_each_included_once(bench, 1)

    def test_a_nonce_that_is_used_by_our_own_bytes_is_success(self, bench: Bench) -> None:
        bench.ledger.lose_reply()
        tx_id = bench.queue.submit(call(), "pay:1")
        queue = bench.take_over()
        bench.ledger.fail("receipt", None)
        bench.ledger.fail("send", TransactionRejected("nonce_too_low", "no"))
        assert queue.settle(tx_id).receipt.succeeded
        assert_each_included_once(bench, 1)

    def test_what_would_revert_is_neither_signed_nor_sent(self, bench: Bench) -> None:
        def refuse(asked: Call) -> int:
            raise CallReverted(b"\xde\xad\xbe\xef")

        bench.ledger.on_estimate = refuse
        with pytest.raises(ContractReverted, match="0xdeadbeef"):
            bench.queue.submit(call(), "pay:1")
        assert_nothing_is_stored_or_sent(bench)

    def test_what_failed_on_chain_is_told_with_its_reason(self, bench: Bench) -> None:
        def refuse(asked: Call) -> bytes:
            assert asked == call()
            raise CallReverted(b"\xde\xad\xbe\xef")

        bench.ledger.finality_depth = 1
        bench.ledger.reverting.add(call().data)
        bench.ledger.on_call = refuse
        tx_id = bench.queue.submit(call(), "pay:1")
        with pytest.raises(ContractReverted, match="0xdeadbeef"):
            bench.queue.settle(tx_id)
        assert (bench.queue.get(tx_id).failed, statuses(bench)) == (True, ["included"])
        bench.ledger.mine()
        assert [row.status for row in bench.queue.watch()] == ["reverted"]
        bench.ledger.on_call = lambda asked: b""
        with pytest.raises(ContractReverted, match="ran out of gas, or the contract's state"):
            bench.queue.settle(tx_id)
        assert bench.pay(2).nonce == 1


class TestForeignTransactions:
    def test_they_stop_the_key_with_an_alarm(self, bench: Bench) -> None:
        bench.ledger.drop_silently()
        tx_id = bench.queue.submit(call(), "pay:1")
        bench.ledger.use_nonce(SENDER)
        with pytest.raises(ForeignNonce, match="used nonce 0 of the key"):
            bench.queue.settle(tx_id)
        (alarm,) = bench.owner.log.alarms()
        assert (alarm.kind, alarm.subject) == ("foreign_nonce", to_hex(SENDER))
        assert statuses(bench) == ["replaced"]
        sent = len(bench.ledger.sent)
        for queue in (bench.queue, bench.take_over()):
            for purpose in ("pay:1", "pay:2"):
                with pytest.raises(ForeignNonce):
                    queue.submit(call(int(purpose[-1])), purpose)
            with pytest.raises(ForeignNonce):
                queue.resume()
        assert len(bench.ledger.sent) == sent
        assert len(bench.rows()) == 1

    def test_the_key_goes_on_when_they_vanish_in_a_reorg(self, bench: Bench) -> None:
        bench.ledger.drop_silently()
        tx_id = bench.queue.submit(call(), "pay:1")
        bench.ledger.use_nonce(SENDER)
        with pytest.raises(ForeignNonce):
            bench.queue.settle(tx_id)
        bench.ledger.forget_foreign(SENDER)
        bench.queue.settle(tx_id)
        assert_each_included_once(bench, 1)
        assert bench.owner.log.alarms() == []

    def test_a_glitch_about_the_nonce_of_what_is_on_its_way_stops_nothing(
        self, tmp_path: Path
    ) -> None:
        class Lying(SimulatedLedger):
            lies = 0

            def nonce(self, address: Address, at: BlockTag = "latest") -> int:
                self.lies -= 1
                return super().nonce(address, at) + (1_000 if self.lies >= 0 else 0)

        ledger = Lying(auto_mine=False)
        bench = Bench(tmp_path, ledger, poll_s=1)
        tx_id = bench.queue.submit(call(), "pay:1")
        ledger.lies = 20
        with pytest.raises(LedgerUnavailable, match="not on chain after 10 s"):
            bench.queue.settle(tx_id, timeout_s=10)
        assert statuses(bench) == ["broadcast"]
        ledger.lies = 0
        bench.clock.on_wait = ledger.mine
        bench.queue.settle(tx_id)
        assert bench.owner.log.alarms() == []
        assert_each_included_once(bench, 1)
        bench.close()

    def test_one_answer_that_lags_does_not_free_a_stopped_key(self, bench: Bench) -> None:
        bench.ledger.drop_silently()
        tx_id = bench.queue.submit(call(), "pay:1")
        bench.ledger.use_nonce(SENDER)
        with pytest.raises(ForeignNonce):
            bench.queue.settle(tx_id)
        bench.ledger.forget_foreign(SENDER)
        with pytest.raises(LedgerUnavailable, match="nothing new is signed before it has"):
            bench.queue.submit(call(2), "pay:2")
        bench.ledger.use_nonce(SENDER)
        with pytest.raises(ForeignNonce):
            bench.queue.submit(call(2), "pay:2")
        assert [alarm.kind for alarm in bench.owner.log.alarms()] == ["foreign_nonce"]
        assert statuses(bench) == ["replaced"]


class TestReorgs:
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        bench = Bench(tmp_path, SimulatedLedger(finality_depth=3))
        yield bench
        bench.close()

    @pytest.mark.parametrize("keep", [True, False])
    def test_a_vanished_transaction_is_sent_again_as_it_was(self, bench: Bench, keep: bool) -> None:
        first = bench.pay()
        bench.ledger.reorg(1, keep=keep)
        bench.ledger.auto_mine = False
        (changed,) = bench.queue.watch()
        assert (changed.status, changed.block_hash) == (TransactionStatus.BROADCAST, None)
        bench.ledger.mine()
        again = bench.queue.settle(first.id)
        assert again.receipt.tx_hash == first.receipt.tx_hash
        assert again.receipt.block_hash != first.receipt.block_hash
        bench.ledger.mine(3)
        assert [row.status for row in bench.queue.watch()] == ["finalized"]
        assert_each_included_once(bench, 1)

    def test_a_moved_transaction_is_noted_in_its_new_block(self, bench: Bench) -> None:
        first = bench.pay()
        bench.ledger.reorg(1, keep=True)
        bench.ledger.mine()
        assert bench.queue.watch() == []
        row = bench.queue.get(first.id)
        assert row.block_number == first.receipt.block_number + 2
        assert row.block_hash != first.receipt.block_hash

    def test_several_come_back_in_the_order_of_their_nonces(self, bench: Bench) -> None:
        for number in (1, 2, 3):
            bench.pay(number)
        bench.ledger.reorg(3)
        bench.queue.watch()
        queue = bench.take_over()
        queue.resume()
        bench.ledger.mine(3)
        assert len(queue.watch()) == 3
        assert_each_included_once(bench, 3)

    def test_a_foreign_transaction_in_place_of_ours_stops_the_key(self, bench: Bench) -> None:
        bench.pay()
        bench.ledger.reorg(1)
        bench.ledger.use_nonce(SENDER)
        assert bench.queue.watch() == []
        bench.clock.wait(15)
        with pytest.raises(ForeignNonce):
            bench.queue.watch()

    def test_a_chain_that_lost_final_transactions_gets_nothing_new(self, bench: Bench) -> None:
        settled = bench.pay()
        bench.ledger.mine(3)
        bench.queue.watch()
        bench.ledger = SimulatedLedger(finality_depth=3)
        queue = bench.take_over()
        with pytest.raises(LedgerUnavailable, match="replaced by an older copy"):
            queue.submit(call(2), "pay:2")
        with pytest.raises(LedgerUnavailable, match="replaced by an older copy"):
            queue.settle(settled.id)
        assert len(bench.rows()) == 1
        assert bench.ledger.sent == []

    def test_what_was_final_and_is_gone_comes_back_when_a_person_says_so(
        self, bench: Bench
    ) -> None:
        ids = [bench.pay(number).id for number in (1, 2)]
        bench.ledger.mine(3)
        bench.queue.watch()
        assert statuses(bench) == ["finalized", "finalized"]
        assert bench.queue.retry(ids[0]).status is TransactionStatus.FINALIZED
        bench.ledger.reorg(5)
        queue = bench.take_over()
        for tx_id in ids:
            assert queue.retry(tx_id).status is TransactionStatus.INCLUDED
        assert_each_included_once(bench, 2)
        bench.ledger.mine(3)
        queue.watch()
        assert statuses(bench) == ["finalized", "finalized"]


class TestOwnership:
    def test_an_owner_that_lost_the_lease_stores_nothing(self, bench: Bench) -> None:
        sleeper = bench.queue
        sleeper.resume()
        bench.take_over()
        with pytest.raises(AnotherRelay, match="was taken over"):
            sleeper.submit(call(), "pay:1")
        assert_nothing_is_stored_or_sent(bench)

    def test_an_owner_that_lost_the_lease_moves_nothing(self, bench: Bench) -> None:
        bench.ledger.fail("send", DOWN)
        sleeper = bench.queue
        tx_id = sleeper.submit(call(), "pay:1")
        queue = bench.take_over()
        with pytest.raises(AnotherRelay):
            sleeper.settle(tx_id)
        assert statuses(bench) == ["signed"]
        queue.settle(tx_id)
        assert_each_included_once(bench, 1)

    def test_another_lease_than_the_keys_is_refused(self, bench: Bench) -> None:
        name = key_lease_name(WRITER.address())
        lease: Lease = bench.owner.log.acquire_lease(name, "test", 60)
        queue = TransactionQueue(
            bench.owner.log.engine, bench.ledger, OWNER, lease=lambda: lease, chain_id=31337
        )
        with pytest.raises(ConfigurationError, match=r"the lease 'key:0x.*' is needed here"):
            queue.submit(call(), "pay:1")
        assert bench.rows() == []

    def test_another_chain_is_refused_before_anything_is_signed(self, bench: Bench) -> None:
        queue = bench.take_over(chain_id=5)
        with pytest.raises(WrongChain, match="is chain 31337, but the deployment is on chain 5"):
            queue.submit(call(), "pay:1")
        assert_nothing_is_stored_or_sent(bench)

    def test_what_a_dead_owner_left_is_settled_first_and_in_order(self, bench: Bench) -> None:
        bench.ledger.auto_mine = False
        for number in (1, 2):
            bench.queue.submit(call(number), f"pay:{number}")
        bench.ledger.empty_pool()
        queue = bench.take_over()
        assert [row.nonce for row in queue.pending()] == [0, 1]
        bench.clock.on_wait = bench.ledger.mine
        assert [row.purpose for row in queue.resume()] == ["pay:1", "pay:2"]
        assert queue.pending() == []
        assert queue.resume() == []
        queue.settle(queue.submit(call(3), "pay:3"))
        assert [tx.nonce for tx in bench.ledger.included()] == [0, 1, 2]
        assert_each_included_once(bench, 3)

    def test_the_next_owner_finishes_what_a_purpose_began(self, bench: Bench) -> None:
        bench.ledger.fail("send", DOWN)
        tx_id = bench.queue.submit(call(), "pay:1")
        queue = bench.take_over()
        assert queue.submit(call(), "pay:1") == tx_id
        queue.settle(tx_id)
        assert_each_included_once(bench, 1)


class TestDatabase:
    def test_a_missing_log_stops_before_anything_is_sent(self, bench: Bench) -> None:
        bench.queue.resume()
        bench.log_file.rename(bench.log_file.with_name("elsewhere"))
        with pytest.raises(LogUnavailable):
            bench.queue.submit(call(), "pay:1")
        assert bench.ledger.sent == []
        assert not bench.log_file.exists()

    def test_a_locked_log_stops_before_anything_is_sent(self, bench: Bench) -> None:
        owner = own(bench.log_file, bench.ledger, log_timeout_s=0.05, poll_s=0)
        queue = owner.queue
        queue.resume()
        with contextlib.closing(sqlite3.connect(bench.log_file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LogUnavailable, match="locked"):
                queue.submit(call(), "pay:1")
            assert bench.ledger.sent == []
            other.execute("ROLLBACK")
        queue.settle(queue.submit(call(), "pay:1"))
        owner.log.close()
        assert_each_included_once(bench, 1)

    def test_a_log_that_fails_after_the_send_loses_nothing(self, bench: Bench) -> None:
        bench.ledger.fail("send", DOWN)
        tx_id = bench.queue.submit(call(), "pay:1")
        elsewhere = bench.log_file.rename(bench.log_file.with_name("elsewhere"))
        with pytest.raises(LogUnavailable):
            bench.queue.settle(tx_id)
        elsewhere.rename(bench.log_file)
        bench.queue.settle(tx_id)
        assert_each_included_once(bench, 1)
