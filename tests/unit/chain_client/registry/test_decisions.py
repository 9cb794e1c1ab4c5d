"""What was decided, read from a real registry: approved, rejected, promoted, revoked."""

from __future__ import annotations

import pytest

from chain_client.errors import LedgerUnavailable
from chain_client.ledger.base import Block, BlockTag, Call, EventRecord, Ledger
from chain_client.ledger.model_registry import ModelRegistryContract
from chain_client.log import Log
from chain_client.registry.decision_watch import DecisionWatch
from chain_client.registry.decisions import Look
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.reading import RegistryReader
from chain_client.types import Address, Digest, to_hex
from tests.unit.chain_client.registry.office import (
    ALICE,
    BOB,
    BREAKER,
    CAROL,
    FRAUD,
    Office,
)


def told(look: Look) -> list[tuple[str, str, int]]:
    return [(one.kind.value, one.cause, one.version) for one in look.decisions]


def approve(office: Office, document: ProposalDocument) -> None:
    for key in (BOB, CAROL):
        office.client.approve(document, signer=key)


def test_every_decision_is_told_once_in_its_order_and_under_an_id_of_its_own(
    office: Office,
) -> None:
    watch, model = office.chain.watch_decisions(), office.client.model_id(FRAUD)
    assert told(watch.look()) == []
    first = office.promote(1)
    again = office.write(1)
    office.client.propose(again, signer=ALICE)
    office.client.withdraw(again, signer=ALICE)
    second = office.propose(2)
    office.client.reject(second, "no", signer=BOB)
    office.client.revoke_version(model, 2, "leaks", signer=BREAKER)
    look = watch.look()
    assert told(look) == [
        ("approved", "quorum", 1),
        ("promoted", "promoted", 1),
        ("rejected", "withdrawn", 1),
        ("rejected", "rejected", 2),
        ("revoked", "revoked", 2),
    ]
    assert len({one.id for one in look.decisions}) == 5
    assert look.open == frozenset()
    # Another watch, of another process, tells the same, and this one tells nothing twice.
    assert (
        office.chain.watch_decisions().look().decisions == look.decisions == watch.look().decisions
    )
    shown = look.to_json(look.decisions[1])
    assert shown["model_name"] == "fraud"
    assert shown["target"] == "alias:champion"
    assert shown["proposal_id"] == to_hex(first.id)
    assert str(shown["at"]).endswith(" UTC")
    assert look.to_json(look.decisions[-1])["target"] is None


def test_a_broken_glass_is_a_promotion_of_that_cause_and_no_approval(office: Office) -> None:
    document = office.propose(1)
    office.client.break_glass(document, "fire", signer=BREAKER)
    assert told(office.chain.watch_decisions().look()) == [("promoted", "broke_glass", 1)]


def test_a_proposal_is_ripe_when_its_quorum_and_its_delay_are_reached(
    empty_office: Office,
) -> None:
    office = empty_office
    office.govern(min_delay_s=2)
    watch = office.chain.watch_decisions()
    document = office.propose(1)
    assert watch.look().ripe == ()
    approve(office, document)
    look = watch.look()
    assert look.open == {document.id}
    deadline = look.now_s + 30
    while not look.ripe:  # time alone is missing, and no block comes
        look = watch.look()
        assert look.now_s < deadline
    (found,) = look.ripe
    assert found.id == f"approved/{to_hex(document.id)}"
    assert found.tx_hash is None
    office.client.promote(document)
    after = watch.look()
    assert after.ripe == ()
    assert after.decisions[0].id == found.id
    assert look.decisions == (), "a look that somebody holds was changed"


class OddLedger:
    """The chain, which fails when it is told to."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.fails = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._ledger, name)

    def events(
        self, address: Address, topics: tuple[Digest | None, ...], first: int, last: int
    ) -> list[EventRecord]:
        if self.fails:
            self.fails -= 1
            raise LedgerUnavailable("away")
        return self._ledger.events(address, topics, first, last)


def test_a_look_that_fails_loses_nothing(office: Office) -> None:
    ledger = OddLedger(office.chain.ledger)
    plain = office.chain.watch_decisions()
    address = office.chain.model_registry.address
    watch = DecisionWatch(
        plain.place,
        ModelRegistryContract(ledger, address),  # type: ignore[arg-type]
        ledger,  # type: ignore[arg-type]
        0,
        office.log,
        office.chain.salt,
    )
    office.promote(1)
    ledger.fails = 2
    for _ in range(2):
        with pytest.raises(LedgerUnavailable):
            watch.look()
    assert told(watch.look()) == told(plain.look())


class SlowLedger:
    """The chain, of which only the blocks up to a given one are final so far."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.final = ledger.block("latest").number

    def __getattr__(self, name: str) -> object:
        return getattr(self._ledger, name)

    def _known(self, at: BlockTag | int) -> BlockTag | int:
        return self.final if at == "finalized" else at

    def block(self, at: BlockTag | int = "latest") -> Block:
        return self._ledger.block(self._known(at))

    def call(
        self, call: Call, at: BlockTag | int = "latest", sender: Address | None = None
    ) -> bytes:
        return self._ledger.call(call, self._known(at), sender)


def test_nothing_is_told_before_its_block_is_final(office: Office) -> None:
    ledger = SlowLedger(office.chain.ledger)
    plain = office.chain.watch_decisions()
    watch = DecisionWatch(
        plain.place,
        ModelRegistryContract(
            ledger,  # type: ignore[arg-type]
            office.chain.model_registry.address,
        ),
        ledger,  # type: ignore[arg-type]
        0,
        office.log,
        office.chain.salt,
    )
    before = told(watch.look())
    document = office.propose(1)
    approve(office, document)
    assert told(watch.look()) == before
    assert watch.look().ripe == ()
    ledger.final = office.chain.ledger.block("latest").number
    [ripe] = watch.look().ripe
    assert ripe.kind.value == "approved"
    office.client.promote(document)
    assert told(watch.look()) == before
    ledger.final = office.chain.ledger.block("latest").number
    assert told(watch.look()) == [*before, *told(plain.look())[len(before) :]]
    assert ("promoted", 1) in [(one.kind.value, one.version) for one in watch.look().decisions]


def test_without_the_salt_ids_stay_ids(office: Office) -> None:
    office.promote(1)
    plain = office.chain.watch_decisions()
    ledger = office.chain.ledger
    contract = ModelRegistryContract(ledger, office.chain.model_registry.address)
    look = DecisionWatch(plain.place, contract, ledger, 0, office.log, None).look()
    shown = look.to_json(look.decisions[0])
    assert (shown["model_name"], shown["target"]) == (None, None)
    assert shown["model_id"] == to_hex(office.client.model_id(FRAUD))


def test_a_log_that_is_away_keeps_no_decision_back(office: Office) -> None:
    office.promote(1)
    plain, gone = office.chain.watch_decisions(), Log("sqlite:////nowhere/log.db", timeout_s=0.1)
    ledger = office.chain.ledger
    contract = ModelRegistryContract(ledger, office.chain.model_registry.address)
    watch = DecisionWatch(plain.place, contract, ledger, 0, gone, office.chain.salt)
    look = watch.look()
    assert told(look) == told(plain.look())
    assert look.models == {}
    gone.close()


def test_who_reads_needs_no_key(office: Office) -> None:
    assert isinstance(office.client, RegistryReader)
    assert office.chain.recorder.source_id is None
    office.chain.watch_decisions().look()
    assert office.chain.recorder.source_id is None
