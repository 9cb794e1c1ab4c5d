"""Which proposal is waited for, and that a promotion would use the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain_client.errors import UnknownName, UnknownProposal
from chain_client.governing.choosing import Meant, read_meant
from chain_client.governing.promoting import find_proposal
from chain_client.registry.approval import Approval, Verdict
from chain_client.registry.documents import note_document, note_model
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.targets import Target
from chain_client.types import to_hex
from tests.unit.chain_client.registry.office import ALICE, BOB, CAROL, CHAMPION, FRAUD, Office

FIRST = Meant("fraud", 1, CHAMPION)


def _look(office: Office, meant: Meant = FIRST) -> Approval:
    return read_meant(office.chain, meant)


def _promoted_by(office: Office) -> ProposalDocument:
    return find_proposal(office.chain, name="fraud", version=1, target=CHAMPION)


def _propose_anew(office: Office) -> ProposalDocument:
    document = office.write(1)
    office.client.propose(document, signer=ALICE)
    return document


def test_a_proposal_is_found_by_what_it_is_for(office: Office) -> None:
    first, second = office.propose(1), office.propose(2)
    assert _look(office).document == first
    assert _look(office, Meant("fraud", 2, CHAMPION)).document == second
    assert _look(office, Meant(proposal_id=second.id.hex()[:12])).document == second
    for other in (
        Meant("fraud", 3, CHAMPION),
        Meant("other", 1, CHAMPION),
        Meant("fraud", 1, Target.parse("@other")),
        Meant(proposal_id="ab" * 32),
    ):
        found = _look(office, other)
        assert (found.verdict, found.cause) == (Verdict.WAITING, "text_unknown")


def test_the_beginning_of_an_id_that_no_proposal_has_is_not_waited_for(office: Office) -> None:
    office.propose(1)
    with pytest.raises(UnknownProposal, match="begins with 'deadbeef'"):
        _look(office, Meant(proposal_id="deadbeef"))


def test_an_id_beside_other_names_is_refused(office: Office) -> None:
    document = office.promote(1)
    known = Meant("fraud", 1, CHAMPION, to_hex(document.id))
    assert _look(office, known).verdict is Verdict.APPROVED
    for other in (
        replace(known, name="other"),
        replace(known, name="workspace/fraud"),
        replace(known, version=2),
        replace(known, target=Target.parse("stage:Production")),
    ):
        with pytest.raises(UnknownProposal, match="is for version 1 of 'fraud'"):
            _look(office, other)


def test_a_promotion_of_earlier_times_is_no_approval_of_a_proposal_made_anew(
    office: Office,
) -> None:
    earlier = office.promote(1)
    assert (_look(office).verdict, _look(office).cause) == (Verdict.APPROVED, "promoted")
    office.promote(2)
    for meant in (FIRST, Meant(proposal_id=earlier.id.hex())):
        found = _look(office, meant)
        assert (found.verdict, found.cause) == (Verdict.CLOSED, "replaced")
        assert "since then version 2 is current" in found.text
    anew = _propose_anew(office)
    found = _look(office)
    assert (found.verdict, found.document) == (Verdict.WAITING, anew)
    assert _promoted_by(office) == anew
    for key in (BOB, CAROL):
        office.client.approve(anew, signer=key)
    found = _look(office)
    assert (found.verdict, found.document) == (Verdict.APPROVED, anew)


def test_a_closed_proposal_gives_way_to_an_older_one_that_still_can_be_promoted(
    office: Office,
) -> None:
    older = office.propose(1)
    newer = _propose_anew(office)
    assert _look(office).document == newer == _promoted_by(office)
    office.client.reject(newer, "too late", signer=BOB)
    assert _look(office).document == older == _promoted_by(office)


def test_a_model_that_was_made_again_has_no_approval_of_the_former_one(office: Office) -> None:
    document = office.promote(1)
    again = replace(FRAUD, creation_ms=FRAUD.creation_ms + 1)
    note_model(office.records, office.client.salt, again)
    found = _look(office)
    assert (found.verdict, found.cause) == (Verdict.WAITING, "text_unknown")
    with pytest.raises(UnknownProposal, match="nobody proposed"):
        _promoted_by(office)
    found = _look(office, Meant(proposal_id=document.id.hex()))
    assert (found.verdict, found.cause) == (Verdict.CLOSED, "model_replaced")


def test_models_of_one_name_in_several_databases_are_not_confused(office: Office) -> None:
    document = office.promote(1)
    note_model(office.records, office.client.salt, replace(FRAUD, store_id="7e" * 16))
    with pytest.raises(UnknownName, match="several databases"):
        _look(office)
    assert _look(office, Meant(proposal_id=document.id.hex())).verdict is Verdict.APPROVED


def test_a_false_text_that_somebody_else_writes_neither_hides_nor_closes_a_proposal(
    office: Office,
) -> None:
    document = office.promote(1)
    model = replace(document.names.model, store_id="7e" * 16)
    note_document(office.records, replace(document, names=replace(document.names, model=model)))
    found = _look(office, Meant(proposal_id=document.id.hex()))
    assert (found.verdict, found.document) == (Verdict.APPROVED, document)
    assert find_proposal(office.chain, proposal_id=document.id.hex()) == document


def test_what_is_approved_at_a_block_and_closed_since_is_not_approved(office: Office) -> None:
    document = office.propose(1)
    for key in (BOB, CAROL):
        office.client.approve(document, signer=key)
    then = office.client.block_number()
    assert read_meant(office.chain, FIRST, then).verdict is Verdict.APPROVED
    office.client.reject(document, "too old", signer=BOB)
    found = read_meant(office.chain, FIRST, then)
    assert (found.verdict, found.cause) == (Verdict.WAITING, "rejected")
    assert _look(office).verdict is Verdict.CLOSED
