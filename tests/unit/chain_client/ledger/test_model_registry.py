"""The binding of `ModelRegistry`, against the real bytecode on an embedded chain."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain_client.errors import CallReverted, ContractMissing, ContractReverted
from chain_client.ledger import Call
from chain_client.ledger.abi import load_abi
from chain_client.ledger.model_registry import (
    ADMIN_ROLE,
    ANY_MODEL,
    BREAKER_ROLE,
    CONTRACT,
    REGISTRAR_ROLE,
    REQUESTER_ROLE,
    Cause,
    Current,
    Member,
    ModelRegistryContract,
    Policy,
    ProposalStatus,
    VersionRecord,
    explain,
)
from chain_client.registry.typed_data import (
    MEANING_REVIEW,
    hash_summary,
    proposal_id,
    state_approval,
    state_proposal,
    state_rejection,
    state_removal,
    state_rollback,
    state_withdrawal,
)
from chain_client.types import Address, Digest
from tests.embedded_chains import OWNER, STRANGER, WRITER, KeyInMemory
from tests.registries import (
    APPROVERS,
    BREAKER,
    DIGEST,
    GROUP,
    MODEL,
    REGISTRAR,
    REQUESTER,
    SALT_HASH,
    SUMMARY,
    TARGET,
    OpenRegistry,
)

NOWHERE = Address(b"\1" * 20)
NONE = Digest(bytes(32))
REASON = Digest(b"\x0d" * 32)


def refusal(registry: OpenRegistry, signer: KeyInMemory, call: Call) -> ContractReverted:
    with pytest.raises(CallReverted) as caught:
        registry.ledger.estimate_gas(call, signer.address())
    return explain(caught.value)


class TestViews:
    def test_the_roles_are_those_of_the_contract(self, registry: OpenRegistry) -> None:
        abi = load_abi(CONTRACT)
        ours = {
            "DEFAULT_ADMIN_ROLE": ADMIN_ROLE,
            "REGISTRAR_ROLE": REGISTRAR_ROLE,
            "REQUESTER_ROLE": REQUESTER_ROLE,
            "BREAKER_ROLE": BREAKER_ROLE,
            "ANY_MODEL": ANY_MODEL,
        }
        for name, value in ours.items():
            call = Call(registry.contract.address, abi.encode_call(name))
            assert registry.ledger.call(call) == value, name

    def test_a_new_registry_is_empty_and_in_use(self, registry: OpenRegistry) -> None:
        contract = registry.contract
        assert contract.salt_hash() == SALT_HASH
        assert not contract.paused()
        assert contract.successor() is None
        assert contract.current(MODEL, TARGET) == Current(0, NONE, 0, 0, Cause.NONE, False)
        assert contract.version(MODEL, 1) is None
        found = contract.policy(MODEL, TARGET)
        assert (found.policy, found.policy_hash, found.is_default) == (None, NONE, True)
        state = contract.proposal(NONE)
        assert (state.status, state.deadline_s, state.approvals) == (ProposalStatus.NONE, 0, 0)
        assert contract.approvers(Digest(b"\x77" * 32)) == ()

    def test_roles_are_given_and_taken(self, registry: OpenRegistry) -> None:
        contract, account = registry.contract, STRANGER.address()
        assert contract.has_role(ADMIN_ROLE, OWNER.address())
        assert not contract.has_role(BREAKER_ROLE, account)
        registry.send(OWNER, contract.grant_role_call(BREAKER_ROLE, account))
        before = registry.ledger.block().number
        assert contract.has_role(BREAKER_ROLE, account)
        registry.send(OWNER, contract.revoke_role_call(BREAKER_ROLE, account))
        assert not contract.has_role(BREAKER_ROLE, account)
        assert contract.has_role(BREAKER_ROLE, account, at=before)
        registry.send(BREAKER, contract.renounce_role_call(BREAKER_ROLE, BREAKER.address()))
        assert not contract.has_role(BREAKER_ROLE, BREAKER.address())

    def test_a_group_keeps_the_seats_of_who_left(self, registry: OpenRegistry) -> None:
        contract = registry.contract
        gone = APPROVERS[1].address()
        assert contract.is_approver(GROUP, gone)
        registry.send(OWNER, contract.remove_approver_call(GROUP, gone))
        assert not contract.is_approver(GROUP, gone)
        registry.send(OWNER, contract.add_approver_call(GROUP, gone))
        assert contract.approvers(GROUP) == (
            Member(APPROVERS[0].address(), 0, True),
            Member(gone, 1, False),
            Member(APPROVERS[2].address(), 2, True),
            Member(gone, 3, True),
        )

    def test_a_models_own_policy_goes_before_the_default(self, registry: OpenRegistry) -> None:
        contract = registry.contract
        registry.gate(threshold=2)
        default = contract.policy(MODEL, TARGET)
        assert default.policy == Policy(GROUP, 2, 0, 1_000, 0, revision=1)
        assert default.is_default
        own = Policy(GROUP, 3, 60, 2_000, 5)
        registry.send(OWNER, contract.set_policy_call(MODEL, TARGET, own))
        found = contract.policy(MODEL, TARGET)
        assert (found.policy, found.is_default) == (replace(own, revision=1), False)
        assert found.policy_hash not in (NONE, default.policy_hash)
        registry.send(OWNER, contract.set_policy_call(MODEL, TARGET, replace(own, threshold=0)))
        assert contract.policy(MODEL, TARGET) == default

    def test_the_past_can_be_read(self, registry: OpenRegistry) -> None:
        before = registry.ledger.block().number
        registry.gate()
        registry.register()
        fields = registry.promote()
        contract = registry.contract
        assert contract.current(MODEL, TARGET, at=before).version == 0
        assert contract.policy(MODEL, TARGET, at=before).policy is None
        assert contract.version(MODEL, 1, at=before) is None
        assert contract.proposal(proposal_id(fields), at=before).status is ProposalStatus.NONE
        assert contract.current(MODEL, TARGET, at="finalized").version == 1

    def test_a_missing_contract_is_told(self, registry: OpenRegistry) -> None:
        with pytest.raises(ContractMissing, match="no ModelRegistry contract answers at 0x0101"):
            ModelRegistryContract(registry.ledger, NOWHERE).paused()


class TestPromotion:
    def test_versions_are_registered_and_revoked(self, registry: OpenRegistry) -> None:
        registry.register(3)
        at_s = registry.ledger.block().timestamp_s
        expected = VersionRecord(DIGEST, REGISTRAR.address(), 7, at_s, False)
        assert registry.contract.version(MODEL, 3) == expected
        registry.send(BREAKER, registry.contract.revoke_version_call(MODEL, 3, REASON))
        assert registry.contract.version(MODEL, 3) == replace(expected, is_revoked=True)

    def test_a_proposal_goes_from_open_to_current(self, registry: OpenRegistry) -> None:
        contract = registry.contract
        registry.gate()
        registry.register()
        fields = registry.propose()
        identity = proposal_id(fields)
        assert contract.id_of(fields) == identity
        made_at_s = registry.ledger.block().timestamp_s
        state = contract.proposal(identity)
        assert (state.status, state.made_at_s) == (ProposalStatus.OPEN, made_at_s)
        assert (state.deadline_s, state.approvals, state.reviews) == (fields.deadline_s, 0, 0)
        missing = contract.is_promotable(fields)
        assert missing is not None
        assert missing.name == "QuorumMissing"
        assert "0 of 2 approvals" in str(missing)
        registry.send(APPROVERS[2], contract.review_call(fields, APPROVERS[2].address()))
        registry.send(APPROVERS[0], contract.approve_call(fields))
        registry.send(APPROVERS[2], contract.approve_call(fields))
        state = contract.proposal(identity)
        assert (state.approvals, state.reviews) == (0b101, 0b100)
        assert contract.is_promotable(fields) is None
        registry.send(WRITER, contract.promote_call(fields))
        since_s = registry.ledger.block().timestamp_s
        assert contract.current(MODEL, TARGET) == Current(
            1, DIGEST, 1, since_s, Cause.PROMOTED, False
        )
        assert contract.proposal(identity).status is ProposalStatus.PROMOTED

    def test_what_others_signed_is_brought_by_anybody(self, registry: OpenRegistry) -> None:
        contract, domain = registry.contract, registry.domain
        registry.gate()
        registry.register()
        fields = registry.fields()
        identity = proposal_id(fields)
        authorship = state_proposal(domain, fields, SUMMARY).sign(REQUESTER)
        registry.send(WRITER, contract.propose_call(fields, authorship))
        review = state_approval(domain, identity, SUMMARY, MEANING_REVIEW).sign(APPROVERS[2])
        registry.send(WRITER, contract.review_call(fields, APPROVERS[2].address(), review))
        approval = state_approval(domain, identity, SUMMARY)
        signers = [APPROVERS[1], APPROVERS[0]]
        call = contract.approve_by_signatures_call(
            fields, [key.address() for key in signers], [approval.sign(key) for key in signers]
        )
        registry.send(WRITER, call)
        registry.send(WRITER, contract.promote_call(fields))
        assert contract.current(MODEL, TARGET).version == 1

    def test_a_proposal_is_rejected_or_withdrawn(self, registry: OpenRegistry) -> None:
        contract, domain = registry.contract, registry.domain
        registry.gate()
        registry.register()
        for nonce, signed in ((1, False), (2, True)):
            fields = registry.propose(nonce=nonce)
            rejection = state_rejection(domain, proposal_id(fields), REASON, SUMMARY)
            signature = rejection.sign(APPROVERS[0]) if signed else b""
            call = contract.reject_call(fields, REASON, APPROVERS[0].address(), signature)
            registry.send(WRITER if signed else APPROVERS[0], call)
            assert contract.proposal(proposal_id(fields)).status is ProposalStatus.REJECTED
        for nonce, signed in ((3, False), (4, True)):
            fields = registry.propose(nonce=nonce)
            withdrawal = state_withdrawal(domain, proposal_id(fields), SUMMARY)
            signature = withdrawal.sign(REQUESTER) if signed else b""
            registry.send(
                WRITER if signed else REQUESTER, contract.withdraw_call(fields, signature)
            )
            assert contract.proposal(proposal_id(fields)).status is ProposalStatus.WITHDRAWN
        told = contract.is_promotable(fields)
        assert told is not None
        assert "was withdrawn" in str(told)

    def test_a_target_returns_and_is_left(self, registry: OpenRegistry) -> None:
        contract, domain = registry.contract, registry.domain
        registry.gate()
        registry.register(1)
        registry.register(2)
        former = registry.promote(version=1, nonce=1)
        registry.promote(version=2, nonce=2)
        deadline_s = former.deadline_s
        signers = APPROVERS[:2]
        addresses = [key.address() for key in signers]
        rollback = state_rollback(domain, proposal_id(former), 2, deadline_s, SUMMARY)
        call = contract.rollback_call(
            former,
            2,
            deadline_s,
            hash_summary(SUMMARY),
            addresses,
            [rollback.sign(key) for key in signers],
        )
        registry.send(WRITER, call)
        now = contract.current(MODEL, TARGET)
        assert (now.version, now.sequence, now.cause) == (1, 3, Cause.ROLLED_BACK)
        removal = state_removal(domain, MODEL, TARGET, 3, deadline_s, SUMMARY)
        call = contract.remove_call(
            MODEL,
            TARGET,
            3,
            deadline_s,
            hash_summary(SUMMARY),
            addresses,
            [removal.sign(key) for key in signers],
        )
        registry.send(WRITER, call)
        now = contract.current(MODEL, TARGET)
        assert (now.version, now.sequence, now.cause) == (0, 4, Cause.REMOVED)

    def test_the_glass_is_broken(self, registry: OpenRegistry) -> None:
        registry.gate()
        registry.register()
        fields = replace(registry.fields(), requester=BREAKER.address())
        registry.send(BREAKER, registry.contract.break_glass_call(fields, REASON))
        assert registry.contract.current(MODEL, TARGET).cause is Cause.BROKE_GLASS

    def test_a_registry_is_paused_and_succeeded(self, registry: OpenRegistry) -> None:
        contract = registry.contract
        registry.send(BREAKER, contract.pause_call())
        assert contract.paused()
        assert refusal(registry, REGISTRAR, register_one(contract)).name == "EnforcedPause"
        registry.send(OWNER, contract.unpause_call())
        assert not contract.paused()
        registry.send(OWNER, contract.succeed_call(NOWHERE, REASON))
        assert contract.successor() == NOWHERE
        told = refusal(registry, REGISTRAR, register_one(contract))
        assert "succeeded by 0x0101" in str(told)


def register_one(contract: ModelRegistryContract) -> Call:
    return contract.register_version_call(MODEL, 1, DIGEST, 0)
