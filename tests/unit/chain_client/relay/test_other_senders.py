"""What a command sent is seen through to its final block by the relay, which has no key for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.ledger.base import Call
from chain_client.log import Lease
from chain_client.relay.other_senders import OtherSenders
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.transactions import TransactionStatus
from tests.embedded_chains import OWNER, STRANGER, WRITER
from tests.queues import Owner, make_log, own
from tests.unit.chain_client.log.logs import TurnedClock

FINAL = 3
PAYMENT = Call(STRANGER.address(), b"", value_wei=7)


class Bench:
    """A person's key, a relay without it, and their chain."""

    def __init__(self, folder: Path) -> None:
        self.ledger = SimulatedLedger(auto_mine=False, finality_depth=FINAL)
        self.file = make_log(folder)
        self.person: Owner = own(self.file, self.ledger)
        self.clock = TurnedClock()
        chain_id = self.ledger.chain_id()
        log = self.person.log
        self.others = OtherSenders(log, self.ledger, chain_id, WRITER.address(), self.clock)
        self.relay: Lease = log.acquire_lease("relay", "relay:1", 60)

    def pay(self) -> int:
        """A command: it ends when a block has its transaction."""
        tx_id = self.person.queue.submit(PAYMENT, "pay")
        self.ledger.mine()
        self.person.queue.settle(tx_id, timeout_s=0)
        return tx_id

    def leave(self) -> None:
        """The command has ended."""
        self.person.log.release(self.person.lease)

    def look(self) -> None:
        """One look of the relay, a minute later."""
        self.clock.turn(60)
        self.others.turn(self.relay)
        assert not self.others.is_busy(10)

    def status(self, tx_id: int) -> TransactionStatus:
        return self.person.queue.get(tx_id).status


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.others.stop()
    made.person.log.close()


def test_what_a_reorg_dropped_after_its_command_ended_is_sent_again_as_it_was(
    bench: Bench,
) -> None:
    tx_id = bench.pay()
    bench.leave()
    (raw,) = bench.ledger.sent
    bench.ledger.reorg(1)
    bench.look()
    assert bench.ledger.sent == [raw, raw]
    bench.ledger.mine(1 + FINAL)
    bench.look()
    assert bench.status(tx_id) is TransactionStatus.FINALIZED
    assert len(bench.ledger.included(OWNER.address())) == 1


def test_what_a_command_left_without_a_block_is_sent_again(bench: Bench) -> None:
    tx_id = bench.person.queue.submit(PAYMENT, "pay")
    bench.leave()
    bench.ledger.empty_pool()
    bench.look()
    bench.ledger.mine(1 + FINAL)
    bench.look()
    assert bench.status(tx_id) is TransactionStatus.FINALIZED


def test_a_key_that_somebody_works_with_is_left_to_them(bench: Bench) -> None:
    bench.pay()
    bench.ledger.reorg(1)
    bench.look()
    assert len(bench.ledger.sent) == 1


def test_what_is_meant_for_another_chain_is_not_touched(bench: Bench, tmp_path: Path) -> None:
    bench.leave()
    elsewhere = SimulatedLedger(chain_id=99, auto_mine=False)
    other = own(bench.file, elsewhere, signer=STRANGER)
    other.queue.submit(PAYMENT, "cross")
    other.log.release(other.lease)
    other.log.close()
    bench.look()
    assert bench.ledger.sent == []


def test_the_log_writers_transactions_are_left_to_the_anchoring(bench: Bench) -> None:
    writer = own(bench.file, bench.ledger, signer=WRITER)
    writer.queue.submit(PAYMENT, "anchor")
    writer.log.release(writer.lease)
    writer.log.close()
    bench.ledger.empty_pool()
    bench.look()
    assert len(bench.ledger.sent) == 1


def test_a_chain_that_does_not_answer_is_asked_again_later(bench: Bench) -> None:
    from chain_client.errors import LedgerUnavailable

    tx_id = bench.pay()
    bench.leave()
    bench.ledger.fail("chain_id", LedgerUnavailable("down"))
    bench.look()
    bench.ledger.mine(FINAL)
    bench.look()
    assert bench.status(tx_id) is TransactionStatus.FINALIZED
