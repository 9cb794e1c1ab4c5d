"""What every ledger must do: subclass `LedgerSuite`, and give it a chain by a fixture ``chain``.

The contracts behind the tests are the real `EventLog` and `ModelRegistry`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from chain_client.errors import (
    CallReverted,
    ContractMissing,
    ContractReverted,
    InvalidInput,
    TransactionRejected,
)
from chain_client.ledger import model_registry
from chain_client.ledger.artifacts import load_artifact
from chain_client.ledger.base import Call, Ledger, Receipt
from chain_client.ledger.event_log import EventLogContract, Head, deploy_call
from chain_client.ledger.model_registry import (
    ANY_MODEL,
    BREAKER_ROLE,
    REGISTRAR_ROLE,
    Cause,
    ModelRegistryContract,
    Policy,
    ProposalFields,
)
from chain_client.merkle import leaf_hash, root
from chain_client.signing import Signer, TransactionFields, sign_transaction
from chain_client.types import Address, Digest, LeafHash, LogId, TxHash

NOWHERE = Address(b"\x01" * 20)
BLOCKS_TO_FINALITY = 70
"""On top of a block, they make it final on any chain that the suite runs on."""


@dataclass(frozen=True, slots=True)
class ChainUnderTest:
    """A chain that nobody else uses.

    Args:
        connect: opens a further connection to it; the fixture closes them all.
        rich: signer whose account has enough for everything.
        poor: signer whose account has nothing.
        mine: makes so many blocks, where blocks become final by others on top of them.
    """

    connect: Callable[[], Ledger]
    rich: Signer
    poor: Signer
    mine: Callable[[int], object] = lambda blocks: None


def sign(
    ledger: Ledger,
    signer: Signer,
    call: Call,
    *,
    nonce: int | None = None,
    gas_limit: int | None = None,
    max_fee_wei: int | None = None,
    chain_id: int | None = None,
) -> bytes:
    """A signed transaction; what is not given is asked from the ledger."""
    fees = ledger.fees()
    fee = fees.max_fee_wei if max_fee_wei is None else max_fee_wei
    fields = TransactionFields(
        chain_id=chain_id or ledger.chain_id(),
        nonce=ledger.nonce(signer.address()) if nonce is None else nonce,
        max_fee_wei=fee,
        max_priority_fee_wei=fee if fees.is_legacy else min(fee, fees.max_priority_fee_wei),
        gas_limit=gas_limit or ledger.estimate_gas(call, signer.address()),
        to=call.to,
        data=call.data,
        value_wei=call.value_wei,
        is_legacy=fees.is_legacy,
    )
    return sign_transaction(signer, fields).raw


class LedgerSuite:
    """The tests. A ledger that mines later overrides `include`."""

    def include(self, ledger: Ledger, raw: bytes) -> Receipt:
        """Send, and return the receipt once there is one."""
        receipt = ledger.receipt(ledger.send(raw))
        assert receipt is not None
        return receipt

    def deployed(self, chain: ChainUnderTest, ledger: Ledger) -> EventLogContract:
        """A new `EventLog`, owned by the rich account."""
        raw = sign(ledger, chain.rich, deploy_call(chain.rich.address()))
        receipt = self.include(ledger, raw)
        assert receipt.contract_address is not None
        return EventLogContract(ledger, receipt.contract_address)

    def opened(self, chain: ChainUnderTest, contract: EventLogContract, ledger: Ledger) -> LogId:
        """A new log that the rich account may write."""
        log_id = LogId(secrets.token_bytes(32))
        call = contract.open_log_call(log_id, chain.rich.address())
        assert self.include(ledger, sign(ledger, chain.rich, call)).succeeded
        return log_id

    def anchored(
        self, chain: ChainUnderTest, contract: EventLogContract, log_id: LogId, ledger: Ledger
    ) -> TxHash:
        """The first head of a log."""
        call = contract.anchor_call(log_id, 1, leaf_hash_root(), [])
        return self.include(ledger, sign(ledger, chain.rich, call)).tx_hash

    def test_two_connections_show_one_chain(self, chain: ChainUnderTest) -> None:
        one, other = chain.connect(), chain.connect()
        assert one.chain_id() == other.chain_id() > 0
        assert one.block(0) == other.block(0)
        receipt = self.include(one, sign(one, chain.rich, Call(NOWHERE, b"", value_wei=7)))
        assert other.receipt(receipt.tx_hash) == receipt
        assert other.block(receipt.block_number).hash == receipt.block_hash
        assert other.balance_wei(NOWHERE) == 7
        raw = sign(other, chain.rich, Call(NOWHERE, b"", value_wei=1))
        assert one.receipt(self.include(other, raw).tx_hash) is not None
        assert one.balance_wei(NOWHERE) == 8

    def test_accounts_start_empty_and_count_their_transactions(self, chain: ChainUnderTest) -> None:
        ledger = chain.connect()
        sender = chain.rich.address()
        assert (ledger.balance_wei(NOWHERE), ledger.nonce(NOWHERE), ledger.code(NOWHERE)) == (
            0,
            0,
            b"",
        )
        before, balance = ledger.nonce(sender), ledger.balance_wei(sender)
        self.include(ledger, sign(ledger, chain.rich, Call(NOWHERE, b"", value_wei=5)))
        assert ledger.nonce(sender) == before + 1
        assert ledger.balance_wei(sender) <= balance - 5

    def test_blocks_follow_each_other(self, chain: ChainUnderTest) -> None:
        ledger = chain.connect()
        first = self.include(ledger, sign(ledger, chain.rich, Call(NOWHERE, b"")))
        second = self.include(ledger, sign(ledger, chain.rich, Call(NOWHERE, b"")))
        assert second.block_number > first.block_number
        blocks = [ledger.block(r.block_number) for r in (first, second)]
        assert [b.hash for b in blocks] == [first.block_hash, second.block_hash]
        assert blocks[0].timestamp_s <= blocks[1].timestamp_s
        assert ledger.block().number >= second.block_number
        assert ledger.block("finalized").number <= ledger.block("latest").number
        with pytest.raises(InvalidInput):
            ledger.block(second.block_number + 1_000_000)

    def test_what_is_included_becomes_final_and_stays_so(self, chain: ChainUnderTest) -> None:
        ledger = chain.connect()
        contract = self.deployed(chain, ledger)
        log_id = self.opened(chain, contract, ledger)
        receipt = ledger.receipt(self.anchored(chain, contract, log_id, ledger))
        assert receipt is not None
        assert ledger.block("finalized").number <= ledger.block().number
        chain.mine(BLOCKS_TO_FINALITY)
        final = ledger.block("finalized")
        assert final.number >= receipt.block_number
        assert ledger.block(final.number) == final
        assert contract.head(log_id, at="finalized").size == 1
        later = self.include(ledger, sign(ledger, chain.rich, Call(NOWHERE, b"")))
        assert ledger.block("finalized").number >= final.number
        chain.mine(BLOCKS_TO_FINALITY)
        assert ledger.block("finalized").number >= later.block_number

    def test_fees_will_do_for_the_next_block(self, chain: ChainUnderTest) -> None:
        ledger = chain.connect()
        fees, base_fee_wei = ledger.fees(), ledger.block().base_fee_wei
        assert fees.max_fee_wei >= base_fee_wei
        assert 0 <= fees.max_priority_fee_wei <= fees.max_fee_wei
        if fees.is_legacy:
            assert (base_fee_wei, fees.max_priority_fee_wei) == (0, fees.max_fee_wei)
        raw = sign(ledger, chain.rich, Call(NOWHERE, b""), max_fee_wei=fees.max_fee_wei)
        assert self.include(ledger, raw).succeeded

    def test_a_contract_is_deployed_called_and_read(self, chain: ChainUnderTest) -> None:
        ledger = chain.connect()
        contract = self.deployed(chain, ledger)
        assert ledger.code(contract.address)
        assert contract.owner() == chain.rich.address()
        log_id = self.opened(chain, contract, ledger)
        assert contract.logs() == [log_id]
        leaves = [leaf_hash(b"a"), leaf_hash(b"b")]
        head = root(leaves)
        call = contract.anchor_call(log_id, 2, head, [])
        receipt = self.include(ledger, sign(ledger, chain.rich, call))
        assert contract.head(log_id) == Head(2, head, receipt.block_number)
        assert contract.verify_inclusion(log_id, leaves[0], 0, [leaves[1]])
        assert not contract.verify_inclusion(log_id, LeafHash(leaves[1]), 0, [leaves[1]])

    def test_the_past_can_be_read(self, chain: ChainUnderTest) -> None:
        ledger = chain.connect()
        contract = self.deployed(chain, ledger)
        log_id = self.opened(chain, contract, ledger)
        before = ledger.block().number
        call = contract.anchor_call(log_id, 1, leaf_hash_root(), [])
        self.include(ledger, sign(ledger, chain.rich, call))
        assert contract.head(log_id, at=before).size == 0
        assert contract.head(log_id).size == 1
        with pytest.raises(InvalidInput):
            contract.head(log_id, at=before + 1_000_000)

    def test_a_revert_names_the_contracts_error(self, chain: ChainUnderTest) -> None:
        ledger = chain.connect()
        contract = self.deployed(chain, ledger)
        log_id = LogId(b"\x07" * 32)
        with pytest.raises(ContractReverted, match="0x0707") as caught:
            contract.head(log_id)
        assert caught.value.name == "UnknownLog"
        call = contract.open_log_call(log_id, chain.poor.address())
        with pytest.raises(CallReverted):
            ledger.estimate_gas(call, chain.poor.address())
        with pytest.raises(CallReverted):
            ledger.call(call, sender=chain.poor.address())
        assert ledger.call(call, sender=chain.rich.address()) == b""

    def test_a_missing_contract_is_told_from_an_empty_answer(self, chain: ChainUnderTest) -> None:
        with pytest.raises(ContractMissing, match="0x0101"):
            EventLogContract(chain.connect(), NOWHERE).logs()

    def test_a_reverting_transaction_is_included_as_failed(self, chain: ChainUnderTest) -> None:
        ledger = chain.connect()
        contract = self.deployed(chain, ledger)
        log_id = self.opened(chain, contract, ledger)
        call = contract.open_log_call(log_id, chain.rich.address())  # exists already
        receipt = self.include(ledger, sign(ledger, chain.rich, call, gas_limit=200_000))
        assert not receipt.succeeded
        assert receipt.events == ()
        assert 21_000 < receipt.gas_used <= 200_000
        assert contract.logs() == [log_id]

    def test_the_estimate_is_enough_and_little_more_than_used(self, chain: ChainUnderTest) -> None:
        ledger = chain.connect()
        contract = self.deployed(chain, ledger)
        call = contract.open_log_call(LogId(secrets.token_bytes(32)), chain.rich.address())
        gas = ledger.estimate_gas(call, chain.rich.address())
        receipt = self.include(ledger, sign(ledger, chain.rich, call, gas_limit=gas))
        assert receipt.succeeded
        assert receipt.gas_used <= gas <= receipt.gas_used * 1.1

    def test_sending_the_same_bytes_again_is_success(self, chain: ChainUnderTest) -> None:
        ledger = chain.connect()
        raw = sign(ledger, chain.rich, Call(NOWHERE, b"", value_wei=3))
        receipt = self.include(ledger, raw)
        assert ledger.send(raw) == chain.connect().send(raw) == receipt.tx_hash
        assert ledger.receipt(receipt.tx_hash) == receipt
        assert ledger.balance_wei(NOWHERE) == 3

    def test_an_unknown_transaction_has_no_receipt(self, chain: ChainUnderTest) -> None:
        assert chain.connect().receipt(TxHash(b"\x05" * 32)) is None

    def test_a_used_nonce_is_refused(self, chain: ChainUnderTest) -> None:
        ledger = chain.connect()
        self.include(ledger, sign(ledger, chain.rich, Call(NOWHERE, b"")))
        raw = sign(ledger, chain.rich, Call(NOWHERE, b"\x01"), nonce=0)
        assert refusal(ledger, raw) == "nonce_too_low"

    def test_an_empty_account_is_refused(self, chain: ChainUnderTest) -> None:
        ledger = chain.connect()
        raw = sign(ledger, chain.poor, Call(NOWHERE, b"", value_wei=10**18), gas_limit=21_000)
        assert refusal(ledger, raw) == "insufficient_funds"

    def test_another_chains_transaction_is_refused(self, chain: ChainUnderTest) -> None:
        ledger = chain.connect()
        raw = sign(ledger, chain.rich, Call(NOWHERE, b""), chain_id=ledger.chain_id() + 1)
        assert refusal(ledger, raw) in ("wrong_chain", "invalid_signature")

    def test_nonsense_is_refused_and_leaves_no_trace(self, chain: ChainUnderTest) -> None:
        ledger = chain.connect()
        raw = sign(ledger, chain.rich, Call(NOWHERE, b""))
        before = ledger.block()
        for bad in (b"", b"\x02", b"\xff" * 100, raw[:-1], raw + b"\0", b"\x02\xc0", b"\xc0"):
            assert refusal(ledger, bad) in ("other", "invalid_signature")
        assert ledger.block() == before

    def test_events_are_found_by_address_topics_and_blocks(self, chain: ChainUnderTest) -> None:
        ledger = chain.connect()
        contract, stranger = self.deployed(chain, ledger), self.deployed(chain, ledger)
        one, two = (self.opened(chain, contract, ledger) for _ in range(2))
        self.opened(chain, stranger, ledger)
        receipts = []
        for log_id in (one, two):
            call = contract.anchor_call(log_id, 1, leaf_hash_root(), [])
            receipts.append(self.include(ledger, sign(ledger, chain.rich, call)))
        latest = ledger.block().number

        everything = ledger.events(contract.address, (), 0, latest)
        assert [e.block_number for e in everything] == sorted(e.block_number for e in everything)
        assert len(everything) == 5  # owner set, two opened, two anchored
        assert {e.address for e in everything} == {contract.address}
        assert everything[-1] == receipts[1].events[0]

        (found,) = contract.heads(two, 0, latest)
        assert found.head == Head(1, leaf_hash_root(), receipts[1].block_number)
        assert found.tx_hash == receipts[1].tx_hash
        assert contract.heads(two, receipts[1].block_number, latest) == [found]
        assert contract.heads(two, 0, receipts[1].block_number - 1) == []
        assert contract.heads(two, latest, 0) == []
        by_second_topic = ledger.events(contract.address, (None, Digest(one)), 0, latest)
        assert len(by_second_topic) == 2
        assert ledger.events(contract.address, (None,) * 4, 0, latest) == []

    def test_a_registry_is_deployed_decides_and_is_read(self, chain: ChainUnderTest) -> None:
        ledger, admin = chain.connect(), chain.rich.address()

        def send(call: Call) -> Receipt:
            receipt = self.include(ledger, sign(ledger, chain.rich, call))
            assert receipt.succeeded
            return receipt

        address = send(model_registry.deploy_call(admin, b"\x05" * 32)).contract_address
        assert address is not None
        assert load_artifact(model_registry.CONTRACT).matches(ledger.code(address))
        registry = ModelRegistryContract(ledger, address)
        model, target, group = (Digest(bytes([byte]) * 32) for byte in (1, 2, 3))
        for role in (REGISTRAR_ROLE, BREAKER_ROLE):
            send(registry.grant_role_call(role, admin))
        send(registry.add_approver_call(group, NOWHERE))
        send(registry.set_policy_call(ANY_MODEL, target, Policy(group, 1, 0, 600)))
        send(registry.register_version_call(model, 1, model, 0))
        in_force = registry.policy(model, target)
        fields = ProposalFields(
            *(model, target, 1, model, in_force.policy_hash),
            *(Digest(bytes(32)), Digest(bytes(32)), 0, ledger.block().timestamp_s + 300),
            *(admin, Digest(bytes(32)), Digest(b"\x09" * 32)),
        )
        refused = registry.is_promotable(fields)
        assert refused is not None
        assert refused.name == "ProposalNotOpen"
        with pytest.raises(CallReverted) as caught:
            ledger.estimate_gas(registry.promote_call(fields), admin)
        assert str(model_registry.explain(caught.value)) == str(refused)
        before = ledger.block().number
        receipt = send(registry.break_glass_call(fields, bytes(32)))
        now = registry.current(model, target)
        assert (now.version, now.sequence, now.cause) == (1, 1, Cause.BROKE_GLASS)
        assert registry.current(model, target, at=before).version == 0
        events = registry.events(before + 1, receipt.block_number)
        assert [e.name for e in events] == ["ProposalMade", "GlassBroken", "CurrentChanged"]
        assert events[0].args["proposal"] == fields

    def test_a_closed_connection_opens_again(self, chain: ChainUnderTest) -> None:
        ledger = chain.connect()
        receipt = self.include(ledger, sign(ledger, chain.rich, Call(NOWHERE, b"")))
        ledger.close()
        ledger.close()
        assert ledger.receipt(receipt.tx_hash) == receipt
        assert chain.connect().block() == ledger.block()


def leaf_hash_root() -> Digest:
    """Root of a log with one leaf."""
    return root([leaf_hash(b"a")])


def refusal(ledger: Ledger, raw: bytes) -> str:
    """The reason for which a ledger refuses a transaction."""
    with pytest.raises(TransactionRejected) as caught:
        ledger.send(raw)
    return caught.value.reason
