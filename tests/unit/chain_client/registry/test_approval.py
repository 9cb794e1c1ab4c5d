"""Whether a proposal is approved, still waits, or never will be."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from chain_client.ledger.model_registry import Policy, ProposalStatus
from chain_client.registry.approval import Verdict, judge, read_approval
from chain_client.registry.documents import note_document
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.summaries import complete_proposal, new_salt_line
from chain_client.types import to_hex
from tests.unit.chain_client.registry.office import (
    ALICE,
    BOB,
    BREAKER,
    CAROL,
    CHAMPION,
    FRAUD,
    Office,
)


@pytest.mark.parametrize(
    ("status", "is_revoked", "obstacle", "expected"),
    [
        ("NONE", False, "ProposalNotOpen", (Verdict.WAITING, "not_proposed")),
        ("OPEN", False, "QuorumMissing", (Verdict.WAITING, "QuorumMissing")),
        ("OPEN", False, "TooEarly", (Verdict.WAITING, "TooEarly")),
        ("OPEN", False, "EnforcedPause", (Verdict.WAITING, "EnforcedPause")),
        ("OPEN", False, "SomethingNew", (Verdict.WAITING, "SomethingNew")),
        ("OPEN", False, None, (Verdict.APPROVED, "quorum")),
        ("OPEN", False, "DeadlinePassed", (Verdict.CLOSED, "expired")),
        ("OPEN", False, "PolicyChanged", (Verdict.CLOSED, "policy_changed")),
        ("OPEN", False, "VersionIsRevoked", (Verdict.CLOSED, "revoked")),
        ("OPEN", False, "Succeeded", (Verdict.CLOSED, "registry_succeeded")),
        ("OPEN", True, None, (Verdict.CLOSED, "revoked")),
        ("PROMOTED", False, "ProposalNotOpen", (Verdict.APPROVED, "promoted")),
        ("PROMOTED", True, "ProposalNotOpen", (Verdict.CLOSED, "revoked")),
        ("REJECTED", False, "ProposalNotOpen", (Verdict.CLOSED, "rejected")),
        ("WITHDRAWN", False, "ProposalNotOpen", (Verdict.CLOSED, "withdrawn")),
        ("NONE", True, "ProposalNotOpen", (Verdict.CLOSED, "revoked")),
    ],
)
def test_the_verdict(
    status: str, is_revoked: bool, obstacle: str | None, expected: tuple[Verdict, str]
) -> None:
    found = judge(ProposalStatus[status], is_revoked=is_revoked, obstacle=obstacle)
    assert found[:2] == expected


def test_a_proposal_waits_until_enough_people_approved_it_and_stays_approved(
    office: Office,
) -> None:
    document = office.propose(1)
    assert read_approval(office.client, document).verdict is Verdict.WAITING
    office.client.approve(document, signer=BOB)
    waiting = read_approval(office.client, document)
    assert (waiting.verdict, waiting.cause) == (Verdict.WAITING, "QuorumMissing")
    assert "1 of 2 approvals" in waiting.text
    office.client.approve(document, signer=CAROL)
    approved = read_approval(office.client, document)
    assert (approved.verdict, approved.cause) == (Verdict.APPROVED, "quorum")
    assert approved.to_json()["proposal_id"] == to_hex(document.id)
    assert approved.to_json()["model_name"] == "fraud"
    # At an earlier block it was not yet so.
    before = (approved.block_number or 0) - 1
    assert read_approval(office.client, document, before).verdict is Verdict.WAITING
    office.client.promote(document)
    assert read_approval(office.client, document).cause == "promoted"


def _rejected(office: Office, document: ProposalDocument) -> None:
    office.client.reject(document, "too old", signer=BOB)


def _withdrawn(office: Office, document: ProposalDocument) -> None:
    office.client.withdraw(document, signer=ALICE)


def _revoked(office: Office, document: ProposalDocument) -> None:
    model = office.client.model_id(FRAUD)
    office.client.revoke_version(model, document.version, "leaks", signer=BREAKER)


def _policy_changed(office: Office, document: ProposalDocument) -> None:
    policy = Policy(office.client.group_id("risk"), 1, 0, 3600, 0)
    office.client.set_policy(None, CHAMPION, policy)


@pytest.mark.parametrize("close", [_rejected, _withdrawn, _revoked, _policy_changed])
def test_what_ends_a_proposal_is_named_even_after_a_quorum(
    office: Office, close: Callable[[Office, ProposalDocument], None]
) -> None:
    document = office.propose(1)
    for key in (BOB, CAROL):
        office.client.approve(document, signer=key)
    close(office, document)
    found = read_approval(office.client, document)
    assert (found.verdict, f"_{found.cause}") == (Verdict.CLOSED, close.__name__)


def test_an_expired_proposal_is_over(empty_office: Office) -> None:
    office = empty_office
    office.govern(expiry_s=2)
    document = office.propose(1)
    ends = time.monotonic() + 60
    while (found := read_approval(office.client, document)).verdict is Verdict.WAITING:
        assert time.monotonic() < ends
    assert (found.verdict, found.cause) == (Verdict.CLOSED, "expired")


def test_a_quorum_for_a_text_that_lies_is_no_approval(office: Office) -> None:
    office.register(1)
    honest = office.write(1)
    lying = complete_proposal(
        honest.domain,
        honest.fields,
        replace(honest.names, model=replace(FRAUD, name="harmless")),
        honest.terms,
        new_salt_line(),
    )
    note_document(office.records, lying)
    contract = office.chain.model_registry
    from tests.embedded_chains import transact

    for key, call in (
        (ALICE, contract.propose_call(lying.fields)),
        (BOB, contract.approve_call(lying.fields)),
        (CAROL, contract.approve_call(lying.fields)),
    ):
        assert transact(office.chain.ledger, key, call).succeeded
    assert contract.is_promotable(lying.fields) is None
    found = read_approval(office.client, lying)
    assert (found.verdict, found.cause) == (Verdict.CLOSED, "text_untrue")
