"""Events of `ModelRegistry` as the binding gives them, from the real bytecode."""

from __future__ import annotations

from dataclasses import replace

from chain_client.ledger.artifacts import load_artifact
from chain_client.ledger.base import EventRecord
from chain_client.ledger.model_registry import (
    BREAKER_ROLE,
    CONTRACT,
    Cause,
    ProposalFields,
    decode_event,
    event_topic,
)
from chain_client.registry.typed_data import (
    hash_summary,
    proposal_id,
    state_removal,
)
from chain_client.types import Address, Digest, TxHash
from tests.embedded_chains import OWNER, WRITER
from tests.registries import (
    APPROVERS,
    BREAKER,
    DIGEST,
    GROUP,
    MODEL,
    REGISTRAR,
    REQUESTER,
    SUMMARY,
    TARGET,
    OpenRegistry,
)

NOWHERE = Address(b"\1" * 20)
REASON = Digest(b"\x0d" * 32)


def names(registry: OpenRegistry, since: int) -> list[str]:
    latest = registry.ledger.block().number
    return [event.name for event in registry.contract.events(since, latest)]


class TestEvents:
    def test_everything_that_happens_is_told_with_its_members(self, registry: OpenRegistry) -> None:
        contract = registry.contract
        since = registry.ledger.block().number + 1
        registry.gate()
        registry.register()
        fields = registry.promote()
        identity = proposal_id(fields)
        events = contract.events(since, registry.ledger.block().number)
        assert [event.name for event in events] == [
            *("PolicySet", "VersionRegistered", "ProposalMade"),
            *("ProposalApproved", "ProposalApproved", "CurrentChanged"),
        ]
        policy, version, made, first, _, changed = events
        assert policy.args["policy"] == contract.policy(MODEL, TARGET).policy
        assert policy.args["policyHash"] == fields.policy_hash
        assert version.args == {
            "model": MODEL,
            "version": 1,
            "digest": DIGEST,
            "leafIndex": 7,
            "registrant": REGISTRAR.address(),
        }
        assert made.args["proposal"] == fields
        assert isinstance(made.args["proposal"], ProposalFields)
        assert first.args == {"proposalId": identity, "approver": APPROVERS[0].address()}
        assert changed.args == {
            "model": MODEL,
            "target": TARGET,
            "version": 1,
            "sequence": 1,
            "cause": Cause.PROMOTED,
            "proposalId": identity,
        }
        blocks = [event.block_number for event in events]
        assert blocks == sorted(blocks)
        receipt = registry.ledger.receipt(changed.tx_hash)
        assert receipt is not None
        assert [decode_event(record) for record in receipt.events] == [changed]

    def test_they_are_chosen_by_topics(self, registry: OpenRegistry) -> None:
        registry.gate()
        registry.register(1)
        registry.register(2)
        contract, latest = registry.contract, registry.ledger.block().number
        found = contract.events(0, latest, event_topic("VersionRegistered"))
        assert [event.args["version"] for event in found] == [1, 2]
        second = Digest((2).to_bytes(32, "big"))
        found = contract.events(0, latest, event_topic("VersionRegistered"), MODEL, second)
        assert [event.args["version"] for event in found] == [2]
        assert contract.events(0, latest, None, Digest(b"\x99" * 32)) == []

    def test_every_event_of_the_contract_is_known(self, registry: OpenRegistry) -> None:
        contract, domain = registry.contract, registry.domain
        registry.gate()
        registry.register()
        fields = registry.propose(nonce=1)
        registry.send(APPROVERS[0], contract.review_call(fields, APPROVERS[0].address()))
        registry.send(REQUESTER, contract.withdraw_call(fields))
        fields = registry.propose(nonce=2)
        call = contract.reject_call(fields, REASON, APPROVERS[0].address())
        registry.send(APPROVERS[0], call)
        registry.promote(nonce=3)
        removal = state_removal(domain, MODEL, TARGET, 1, fields.deadline_s, SUMMARY)
        signers = APPROVERS[:2]
        call = contract.remove_call(
            MODEL,
            TARGET,
            1,
            fields.deadline_s,
            hash_summary(SUMMARY),
            [key.address() for key in signers],
            [removal.sign(key) for key in signers],
        )
        registry.send(WRITER, call)
        fields = replace(registry.fields(nonce=4), requester=BREAKER.address())
        registry.send(BREAKER, contract.break_glass_call(fields, REASON))
        registry.send(BREAKER, contract.revoke_version_call(MODEL, 1, REASON))
        registry.send(BREAKER, contract.pause_call())
        registry.send(OWNER, contract.unpause_call())
        registry.send(OWNER, contract.remove_approver_call(GROUP, APPROVERS[0].address()))
        registry.send(OWNER, contract.revoke_role_call(BREAKER_ROLE, BREAKER.address()))
        registry.send(OWNER, contract.succeed_call(NOWHERE, REASON))
        declared = {
            str(entry["name"]) for entry in load_artifact(CONTRACT).abi if entry["type"] == "event"
        }
        # Those two belong to OpenZeppelin and are emitted by nothing that we use.
        assert set(names(registry, 0)) == declared - {"EIP712DomainChanged", "RoleAdminChanged"}

    def test_a_record_of_another_contract_is_passed_over(self) -> None:
        record = EventRecord(NOWHERE, (REASON,), b"", 1, TxHash(b"\2" * 32))
        assert decode_event(record) is None
        assert decode_event(replace(record, topics=())) is None
