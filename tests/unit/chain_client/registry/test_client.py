"""Deciding through the client, on the embedded chain with the real bytecode."""

from __future__ import annotations

import pytest

from chain_client.errors import (
    ContractReverted,
    InvalidInput,
    NotInTime,
    PromotionConflict,
    PromotionDenied,
    SignatureRefused,
    SummaryMismatch,
)
from chain_client.ledger.base import Call
from chain_client.ledger.model_registry import Cause, ProposalStatus
from chain_client.registry import documents
from chain_client.registry.client import Done
from chain_client.registry.evidence import EvidenceItem
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.standing import Standing
from chain_client.registry.statements import (
    SignedStatement,
    request_approval,
    request_authorship,
    request_rejection,
    request_return,
    request_withdrawal,
)
from chain_client.registry.summaries import complete_proposal, salt_line_of
from chain_client.registry.targets import Target
from chain_client.registry.users import bind
from chain_client.types import Digest
from tests.embedded_chains import transact
from tests.unit.chain_client.registry.office import (
    ALICE,
    BOB,
    BREAKER,
    CAROL,
    CHAMPION,
    DAVE,
    FRAUD,
    STRANGER,
    Office,
)


def test_two_approvals_make_a_version_current(office: Office) -> None:
    client = office.client
    document = office.propose(open_for_s=4 * 3600 + 1800)
    assert client.standing(document).text == (
        "0 of 2 approvals; bob, carol, dave may still approve; expires in 4 h"
    )
    client.approve(document, signer=BOB)
    standing = client.standing(document)
    assert standing.text == "1 of 2 approvals; carol, dave may still approve; expires in 4 h"
    assert not standing.has_quorum
    client.approve(document, signer=CAROL)
    standing = client.standing(document)
    assert standing.text == "2 of 2 approvals; can be promoted now; expires in 4 h"
    assert standing.has_quorum
    client.promote(document)
    current = client.contract.current(document.fields.model, document.fields.target)
    assert (current.version, current.sequence, current.cause) == (1, 1, Cause.PROMOTED)
    assert client.standing(document).text == "promoted"


def test_everything_may_be_done_again(office: Office) -> None:
    client = office.client
    document = office.promote()
    before = client.events()
    office.register()
    client.propose(document, signer=ALICE)
    assert client.approve(document, signer=BOB) == Done()
    assert client.promote(document) == Done()
    assert client.grant_role("requester", ALICE.address()) == Done()
    assert client.add_approver("risk", BOB.address()) == Done()
    assert client.remove_approver("risk", STRANGER.address()) == Done()
    assert client.events() == before


def test_approvals_that_were_signed_as_files_are_brought_by_anyone(office: Office) -> None:
    document = office.propose()
    files = []
    for key in (BOB, CAROL):
        request = SignedStatement.from_text(request_approval(document).to_text())
        files.append(request.sign(key, office.client.salt).to_text())
    signed = [SignedStatement.from_text(text) for text in files]
    office.client.approve(document, signed=signed)
    assert office.client.standing(document).has_quorum


def test_a_wallet_signs_the_typed_data_of_a_file(office: Office) -> None:
    from eth_account import Account

    document = office.propose()
    request = request_approval(document)
    account = Account.from_key(BOB.secret)
    signature = account.sign_typed_data(full_message=request.to_json()["typedData"]).signature
    signed = request.with_signature(bytes(signature))
    assert signed.signer == BOB.address()
    office.client.submit(signed)
    assert office.client.standing(document).approved_by == (BOB.address(),)


def test_an_approval_that_only_reviews_counts_towards_no_quorum(office: Office) -> None:
    document = office.propose()
    office.client.review(document, signer=BOB)
    office.client.review(document, signer=BOB)
    standing = office.client.standing(document)
    assert standing.reviewed_by == (BOB.address(),)
    assert standing.approvals == 0


@pytest.mark.parametrize(
    ("key", "error"),
    [(ALICE, "ApproverIsRequester|NotApprover"), (STRANGER, "NotApprover")],
    ids=["requester", "stranger"],
)
def test_who_may_not_approve_is_refused(office: Office, key: object, error: str) -> None:
    document = office.propose()
    with pytest.raises(ContractReverted, match=error):
        office.client.approve(document, signer=key)  # type: ignore[arg-type]
    assert office.client.standing(document).approvals == 0


def test_the_requester_can_not_approve_as_a_member_either(office: Office) -> None:
    office.client.add_approver("risk", ALICE.address())
    document = office.propose()
    with pytest.raises(ContractReverted, match="ApproverIsRequester"):
        office.client.approve(document, signer=ALICE)
    assert ALICE.address() not in office.client.standing(document).may_still_approve


def test_a_rejection_closes_and_its_reason_is_kept(office: Office) -> None:
    client, document = office.client, office.propose()
    client.reject(document, "the recall is too low", signer=DAVE)
    assert client.reject(document, "again", signer=DAVE) == Done()
    assert client.standing(document).status is ProposalStatus.REJECTED
    with pytest.raises(InvalidInput, match="rejected; write a new one"):
        client.propose(document, signer=ALICE)
    told = [entry for entry in client.history().entries if entry.meaning == "rejection"]
    assert [(entry.name, entry.detail) for entry in told] == [
        ("dave", "reason: the recall is too low")
    ]
    successor = office.write(supersedes=document.id)
    client.propose(successor, signer=ALICE)
    assert f"Takes up again: proposal 0x{document.id.hex()}" in successor.summary


def test_a_rejection_and_a_withdrawal_may_be_signed_elsewhere(office: Office) -> None:
    first, second = office.propose(), office.write()
    office.client.propose(second, signer=ALICE)
    salt = office.client.salt
    office.client.submit(request_rejection(first, b"\x07" * 32).sign(BOB, salt))
    office.client.submit(request_withdrawal(second).sign(ALICE, salt))
    assert office.client.standing(first).text == "rejected"
    assert office.client.standing(second).text == "withdrawn"


def test_only_the_requester_withdraws(office: Office) -> None:
    document = office.propose()
    with pytest.raises(SignatureRefused, match="has to sign this"):
        office.client.withdraw(document, signer=BOB)
    office.client.withdraw(document, signer=ALICE)
    assert office.client.standing(document).text == "withdrawn"


def test_a_rollback_and_a_removal_need_enough_members(office: Office) -> None:
    client = office.client
    former = office.promote(1)
    office.promote(2)
    place = (former.fields.model, former.fields.target)
    back = client.write_rollback(former)
    request = request_return(back)
    bobs = request.sign(BOB, client.salt)
    with pytest.raises(ContractReverted, match="1 of 2 approvals"):
        client.rollback(back, signed=[bobs])
    client.rollback(back, signer=CAROL, signed=[bobs])
    assert client.rollback(back, signer=CAROL, signed=[bobs]) == Done()
    assert client.contract.current(*place).version == 1

    away = client.write_removal(FRAUD, CHAMPION)
    with pytest.raises(InvalidInput, match="expected a rollback"):
        client.rollback(away, signer=BOB)
    with pytest.raises(SignatureRefused, match="this very document"):
        client.remove(away, signed=[bobs])
    client.remove(away, signer=BOB, signed=[request_return(away).sign(CAROL, client.salt)])
    assert client.contract.current(*place).version == 0
    meanings = [entry.meaning for entry in client.history().of_target(CHAMPION).entries]
    assert meanings.count("rollback") == 2
    assert meanings.count("removal") == 2


def test_breaking_the_glass_is_told_with_its_reason(office: Office) -> None:
    office.register()
    document = office.client.write_proposal(
        FRAUD, 1, CHAMPION, Digest(b"\x64" * 32), BREAKER.address(), for_break_glass=True
    )
    office.client.break_glass(document, "the champion leaks", signer=BREAKER)
    assert office.client.break_glass(document, "again", signer=BREAKER) == Done()
    told = [e for e in office.client.history().entries if e.meaning == "break-glass"]
    assert [(e.name, e.version, e.detail) for e in told] == [
        ("eve", 1, "reason: the champion leaks")
    ]
    current = office.client.contract.current(document.fields.model, document.fields.target)
    assert current.cause is Cause.BROKE_GLASS


def test_a_version_is_registered_once_with_one_digest(office: Office) -> None:
    office.register()
    office.register()
    with pytest.raises(PromotionConflict, match="registered with another digest"):
        office.register(digest=Digest(b"\x65" * 32))


def test_a_revoked_version_is_promoted_no_more(office: Office) -> None:
    client, document = office.client, office.propose()
    client.approve(document, signer=BOB)
    client.approve(document, signer=CAROL)
    client.revoke_version(document.fields.model, 1, "backdoor", signer=BREAKER)
    again = client.revoke_version(document.fields.model, 1, "backdoor", signer=BREAKER)
    assert again == Done()
    with pytest.raises(ContractReverted, match="VersionIsRevoked"):
        client.promote(document)
    assert "was revoked" in client.standing(document).text


def test_a_lying_text_is_signed_and_sent_by_nobody(office: Office) -> None:
    from dataclasses import replace

    office.register()
    office.register(2)
    honest = office.write(1)
    names = replace(honest.names, model=replace(FRAUD, name="harmless"))
    for lie in (
        replace(honest, summary=honest.summary.replace("version 1", "version 2")),
        replace(honest, names=names),
        replace(honest, fields=replace(honest.fields, version=2)),
    ):
        with pytest.raises((SummaryMismatch, InvalidInput)):
            office.client.propose(lie, signer=ALICE)
        with pytest.raises((SummaryMismatch, InvalidInput)):
            request_authorship(lie).sign(ALICE, office.client.salt)
    assert office.client.state().proposals == {}


def test_a_text_with_another_policy_than_the_chains_is_refused(office: Office) -> None:
    from dataclasses import replace

    office.register()
    honest = office.write()
    assert honest.terms is not None
    for policy in (
        replace(honest.terms.policy, threshold=3),
        replace(honest.terms.policy, min_delay_s=3600),
    ):
        terms = replace(honest.terms, policy=policy)
        lie = complete_proposal(
            honest.domain, honest.fields, honest.names, terms, salt_line_of(honest.summary)
        )
        with pytest.raises(SummaryMismatch, match="the policy"):
            office.client.propose(lie, signer=ALICE)
    unknown = replace(honest.fields, policy_hash=Digest(b"\x01" * 32))
    lie = complete_proposal(
        honest.domain, unknown, honest.names, honest.terms, salt_line_of(honest.summary)
    )
    with pytest.raises(SummaryMismatch, match="was never set on chain"):
        office.client.propose(lie, signer=ALICE)


def test_evidence_that_the_policy_asks_for_has_to_be_brought(empty_office: Office) -> None:
    office = empty_office
    office.govern(evidence_kinds=0b100)
    office.register()
    with pytest.raises(InvalidInput, match="missing: evaluation"):
        office.write()
    with pytest.raises(InvalidInput, match="no leaf 100000"):
        office.write(evidence=[EvidenceItem("evaluation", leaf_index=100_000)])
    document = office.write(evidence=[EvidenceItem("evaluation", leaf_index=0)])
    office.client.propose(document, signer=ALICE)
    assert "Evidence: evaluation:0" in document.summary


def test_waiting_ends_with_the_quorum_and_tells_each_change(office: Office) -> None:
    client, document = office.client, office.propose()
    client.approve(document, signer=BOB)
    seen: list[int] = []

    def watch(standing: Standing) -> None:
        seen.append(standing.approvals)
        if standing.approvals == 1:
            office.connect().approve(document, signer=CAROL)

    standing = client.wait_for(document, "quorum", timeout_s=30, progress=watch)
    assert standing.has_quorum
    assert seen == [1, 2]


def test_waiting_in_vain_says_how_it_stands(office: Office) -> None:
    document = office.propose()
    with pytest.raises(NotInTime, match=r"waited 5 s: 0 of 2 approvals; bob, carol, dave may"):
        office.client.wait_for(document, timeout_s=5)
    office.client.withdraw(document, signer=ALICE)
    with pytest.raises(NotInTime, match="closed: withdrawn"):
        office.client.wait_for(document, timeout_s=5)


def test_a_policy_that_changes_meanwhile_voids_the_proposal(office: Office) -> None:
    from dataclasses import replace

    client, document = office.client, office.propose()
    policy = client.contract.policy(document.fields.model, document.fields.target).policy
    assert policy is not None
    client.set_policy(None, CHAMPION, replace(policy, threshold=1))
    assert client.standing(document).text == "the policy was changed since; propose it again"
    with pytest.raises(PromotionDenied, match="propose it again"):
        client.approve(document, signer=BOB)
    with pytest.raises(ContractReverted, match="PolicyChanged"):
        client.promote(document)


def test_an_inbox_holds_what_its_owner_may_still_approve(office: Office) -> None:
    client, document = office.client, office.propose()
    assert [one.id for one, _ in client.inbox(BOB.address())] == [document.id]
    assert client.inbox(ALICE.address()) == []
    client.approve(document, signer=BOB)
    assert client.inbox(BOB.address()) == []


def _lie(office: Office) -> ProposalDocument:
    """Alice proposes version 6 of fraud with a text about another model's sandbox."""
    from dataclasses import replace

    office.register(6)
    true = office.write(6)
    toy = replace(FRAUD, name="toy")
    names = replace(true.names, model=toy, target=Target.parse("@sandbox"))
    lie = complete_proposal(true.domain, true.fields, names, true.terms, b"\x01" * 32)
    call = office.client.contract.propose_call(lie.fields)
    assert transact(office.chain.ledger, ALICE, call).succeeded
    documents.note_document(office.records, lie)
    return lie


def test_a_proposal_whose_text_lies_waits_in_no_inbox(office: Office) -> None:
    lie, true = _lie(office), office.propose()
    assert lie.id in {one.id for one in office.client.state().open_proposals(0)}
    assert [one.id for one, _ in office.client.inbox(BOB.address())] == [true.id]
    assert [one.id for one, _ in office.client.waiting()] == [true.id]


def test_a_proposal_whose_text_lies_is_not_promoted(office: Office) -> None:
    client, lie = office.client, _lie(office)
    for key in (BOB, CAROL):
        call = client.contract.approve_call(lie.fields)
        assert transact(office.chain.ledger, key, call).succeeded
    assert client.standing(lie).is_promotable
    with pytest.raises(SummaryMismatch):
        client.promote(lie)
    assert client.contract.current(lie.fields.model, lie.fields.target).version == 0


def test_a_name_that_is_bound_to_another_later_keeps_nothing_from_being_promoted(
    office: Office,
) -> None:
    document = office.propose()
    for key in (BOB, CAROL):
        office.client.approve(document, signer=key)
    bind(office.records, office.chain.deployment, office.owner, "alice", STRANGER.address())
    office.client.promote(document)
    assert office.client.standing(document).text == "promoted"


def test_a_member_that_joined_again_approves_by_an_own_transaction(office: Office) -> None:
    client = office.client
    client.remove_approver("risk", BOB.address())
    document = office.propose()
    client.add_approver("risk", BOB.address())
    client.approve(document, signer=BOB)
    assert client.standing(document).approved_by == (BOB.address(),)


def test_what_a_member_signed_who_joined_again_is_sent_by_their_key(office: Office) -> None:
    client, document = office.client, office.propose()
    client.remove_approver("risk", BOB.address())
    client.add_approver("risk", BOB.address())
    signed = [
        request_approval(document).sign(key, client.salt, client.users()) for key in (BOB, CAROL)
    ]
    with pytest.raises(ContractReverted, match="StaleSignature"):
        client.approve(document, signed=signed)
    review = request_approval(document, "review").sign(BOB, client.salt)
    assert client.submit(review, signer=BOB).tx_hash is not None
    assert client.approve(document, signer=BOB, signed=signed).tx_hash is not None
    standing = client.standing(document)
    assert set(standing.approved_by) == {BOB.address(), CAROL.address()}
    assert standing.reviewed_by == (BOB.address(),)


def test_the_key_of_another_sends_no_stale_signature(office: Office) -> None:
    client, document = office.client, office.propose()
    client.remove_approver("risk", BOB.address())
    client.add_approver("risk", BOB.address())
    signed = request_approval(document).sign(BOB, client.salt)
    with pytest.raises(ContractReverted, match="StaleSignature"):
        client.approve(document, signer=CAROL, signed=[signed])
    assert client.standing(document).approvals == 0


def test_a_member_that_joined_again_rejects_what_is_older(office: Office) -> None:
    client, document = office.client, office.propose()
    client.remove_approver("risk", BOB.address())
    client.add_approver("risk", BOB.address())
    client.reject(document, "it fails on leap days", signer=BOB)
    assert client.standing(document).text == "rejected"


def test_what_is_for_another_registry_is_refused(office: Office) -> None:
    from dataclasses import replace

    document = office.propose()
    elsewhere = replace(document, domain=replace(document.domain, chain_id=1))
    with pytest.raises(SummaryMismatch, match="not for this home's"):
        office.client.approve(elsewhere, signer=BOB)


def test_names_and_numbers_are_found_again_from_the_log(office: Office) -> None:
    document = office.propose()
    found = office.client.find_document(document.id.hex()[:12])
    assert found == document
    assert office.client.state().open_proposals(office.client.now_s())[0].id == document.id


def test_a_contracts_wallet_approves_as_the_registry_asks_it(office: Office) -> None:
    # Answers every question with ERC-1271's magic value: PUSH4 … PUSH1 e0 SHL, MSTORE, RETURN.
    answer = bytes.fromhex("631626ba7e60e01b60005260206000f3")
    deploy = bytes.fromhex("6f") + answer + bytes.fromhex("60005260106010f3")
    wallet = transact(office.chain.ledger, BOB, Call(None, deploy)).contract_address
    assert wallet is not None
    assert office.chain.ledger.code(wallet) == answer
    office.client.add_approver("risk", wallet)
    document = office.propose()
    signed = request_approval(document).with_signature(b"signed by three owners", wallet)
    office.client.submit(SignedStatement.from_text(signed.to_text()))
    assert office.client.standing(document).approved_by == (wallet,)
    nobody = request_approval(document).with_signature(b"signed by nobody", DAVE.address())
    with pytest.raises(SignatureRefused):
        office.client.submit(nobody)
