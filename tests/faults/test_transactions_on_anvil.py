"""The queue on a real anvil, which makes a block when told to: its pool, fees and reorgs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chain_client.errors import ForeignNonce, LedgerUnavailable
from chain_client.ledger import Call, JsonRpcLedger
from chain_client.ledger.jsonrpc import parse_endpoints
from chain_client.log import Alarm
from chain_client.signing import TransactionFields, decode_transaction, sign_transaction
from chain_client.transactions import TransactionLimits, TransactionQueue, TransactionStatus
from chain_client.types import Address, to_hex
from tests.embedded_chains import KeyInMemory
from tests.queues import Owner, make_log, own, stored, stored_attempts
from tests.running_nodes import RunningNode, running_anvil
from tests.unit.chain_client.transactions.simulated import Clock

GWEI = 10**9
FINAL = 66
"""So many blocks more, and what is there now is final."""
PAYEES = itertools.count(1 << 64)
NUMBERS = itertools.count(1_000)


@pytest.fixture(scope="module")
def anvil() -> Iterator[RunningNode]:
    with running_anvil("--no-mining", "--slots-in-an-epoch", "32") as node:
        yield node


class Payer:
    """A fresh key with funds, its queue, and a payee of its own; a wait of theirs is a block.

    Args:
        anvil: the node.
        log: file of the log.
        options: of the queue.
    """

    def __init__(self, anvil: RunningNode, log: Path, **options: Any) -> None:
        self.anvil = anvil
        self.log = log
        self.clock = Clock()
        self.clock.on_wait = self.mine
        self.base_fee_wei = GWEI
        self.key = KeyInMemory(next(NUMBERS))
        self.payee = Address(next(PAYEES).to_bytes(20, "big"))
        anvil.fund(self.key.address())
        self.ledger = JsonRpcLedger(parse_endpoints(anvil.url, ""))
        self.mine()
        self.owner = self.own(**options)

    def own(self, **options: Any) -> Owner:
        options.setdefault("poll_s", 5)
        options.setdefault("limits", TransactionLimits(max_fee_wei=200 * GWEI))
        return own(
            self.log,
            self.ledger,
            signer=self.key,
            clock=self.clock,
            wait=self.clock.wait,
            **options,
        )

    @property
    def queue(self) -> TransactionQueue:
        return self.owner.queue

    def mine(self, blocks: int = 1) -> None:
        """Make blocks, the first of which asks for the base fee."""
        self.anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(self.base_fee_wei))
        self.anvil.mine(blocks)

    def submit(self, wei: int = 1) -> int:
        return self.queue.submit(Call(self.payee, b"", value_wei=wei), f"pay:{wei}")

    def paid_wei(self) -> int:
        return self.ledger.balance_wei(self.payee)

    def fees_gwei(self) -> list[float]:
        attempts = stored_attempts(self.log)
        return [decode_transaction(a.raw).max_fee_wei / GWEI for a in attempts]

    def alarms(self) -> list[Alarm]:
        return self.owner.log.alarms()

    def send_past_the_queue(self, nonce: int, max_fee_wei: int) -> None:
        """Somebody else has the key."""
        fields = TransactionFields(
            self.ledger.chain_id(), nonce, max_fee_wei, 2 * GWEI, 50_000, self.key.address(), b""
        )
        self.anvil.rpc("eth_sendRawTransaction", to_hex(sign_transaction(self.key, fields).raw))

    def drop(self, tx_id: int) -> None:
        """The node forgets what is in its pool."""
        tx_hash = to_hex(self.queue.get(tx_id).tx_hash)
        assert self.anvil.rpc("anvil_dropTransaction", tx_hash) == tx_hash

    def close(self) -> None:
        self.owner.log.close()
        self.ledger.close()


@pytest.fixture
def payer(anvil: RunningNode, tmp_path: Path) -> Iterator[Payer]:
    payer = Payer(anvil, make_log(tmp_path))
    yield payer
    payer.close()


def test_a_stuck_transaction_is_outbid_and_mined(payer: Payer) -> None:
    tx_id = payer.submit()
    payer.base_fee_wei = 30 * GWEI
    payer.queue.settle(tx_id, timeout_s=120)
    first, second = payer.fees_gwei()
    assert first < 30 <= second
    assert payer.paid_wei() == 1
    payer.mine(FINAL)
    assert [row.status for row in payer.queue.watch()] == ["finalized"]
    assert payer.queue.get(tx_id).attempts == 2


def test_a_base_fee_times_20_waits_at_the_cap_and_goes_on_when_it_falls(payer: Payer) -> None:
    payer.base_fee_wei = 20 * GWEI
    payer.mine()
    tx_id = payer.submit()
    payer.base_fee_wei *= 20
    with pytest.raises(LedgerUnavailable, match=r"not on chain after 300 s.*max_fee_gwei allows"):
        payer.queue.settle(tx_id, timeout_s=300)  # this node keeps nothing below its base fee
    assert payer.fees_gwei()[-1] == 200
    assert [alarm.kind for alarm in payer.alarms()] == ["fee_cap_reached"]
    payer.base_fee_wei = 50 * GWEI
    payer.queue.settle(tx_id)
    assert payer.paid_wei() == 1
    assert payer.alarms() == []


def test_a_transaction_that_the_node_dropped_is_sent_again_as_it_was(payer: Payer) -> None:
    tx_id = payer.submit()
    payer.drop(tx_id)
    payer.queue.settle(tx_id)
    assert payer.queue.get(tx_id).attempts == 1
    assert payer.paid_wei() == 1


def test_a_dropped_lowest_nonce_closes_the_gap_before_the_later_ones(payer: Payer) -> None:
    ids = [payer.submit(wei) for wei in (1, 10, 100)]
    payer.drop(ids[0])
    payer.queue.settle(ids[2])
    assert payer.paid_wei() == 111
    assert [row.nonce for row in stored(payer.log)] == [0, 1, 2]


def test_an_underpriced_replacement_outbids_what_is_in_the_pool(payer: Payer) -> None:
    payer.send_past_the_queue(0, 60 * GWEI)
    tx_id = payer.submit()
    payer.clock.on_wait = lambda: None
    with pytest.raises(LedgerUnavailable):
        payer.queue.settle(tx_id, timeout_s=600)
    payer.mine()
    assert payer.queue.settle(tx_id).receipt.succeeded
    assert payer.paid_wei() == 1
    assert payer.fees_gwei()[-1] > 60


def test_a_foreign_transaction_stops_the_key_with_an_alarm(payer: Payer) -> None:
    tx_id = payer.submit()
    payer.drop(tx_id)
    payer.send_past_the_queue(0, 60 * GWEI)
    payer.mine()
    with pytest.raises(ForeignNonce):
        payer.queue.settle(tx_id)
    with pytest.raises(ForeignNonce):
        payer.submit(2)
    assert [alarm.kind for alarm in payer.alarms()] == ["foreign_nonce"]
    assert payer.paid_wei() == 0


def test_a_cancellation_takes_the_nonce(payer: Payer) -> None:
    tx_id = payer.submit()
    payer.queue.cancel(tx_id)
    payer.mine(FINAL)
    payer.queue.resume()
    payer.queue.watch()
    assert payer.queue.get(tx_id).status is TransactionStatus.CANCELLED
    assert (payer.paid_wei(), payer.ledger.nonce(payer.key.address())) == (0, 1)
    later = payer.submit(5)
    assert payer.queue.settle(later).nonce == 1


@pytest.mark.parametrize("depth", [1, 7, 64])
def test_a_reorg_brings_back_the_same_bytes(payer: Payer, depth: int) -> None:
    ids = [payer.submit(wei) for wei in (1, 10)]
    payer.mine()
    payer.queue.settle(ids[1])
    before = [payer.queue.get(tx_id) for tx_id in ids]
    payer.mine(depth - 1) if depth > 1 else None
    payer.anvil.rpc("anvil_reorg", depth, [])
    assert payer.paid_wei() == 0
    changed = payer.queue.watch()
    assert [row.status for row in changed] == ["broadcast", "broadcast"]
    assert [alarm.kind for alarm in payer.alarms()] == ["reorg"]
    for tx_id, row in zip(ids, before, strict=True):
        again = payer.queue.settle(tx_id)
        assert again.receipt.tx_hash == row.tx_hash
        assert again.receipt.block_hash != row.block_hash
    payer.mine(FINAL)
    payer.queue.watch()
    assert {row.status for row in stored(payer.log)} == {"finalized"}
    assert payer.paid_wei() == 11
    assert payer.alarms() == []
