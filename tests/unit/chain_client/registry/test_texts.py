"""What is said of a text by whoever acts on a quorum."""

from __future__ import annotations

from dataclasses import replace

from chain_client.registry.documents import note_document
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.returns import ReturnDocument
from chain_client.registry.summaries import complete_proposal, complete_return
from chain_client.registry.texts import TextVerdict, is_return_text_true, is_text_true
from chain_client.registry.typed_data import hash_summary
from chain_client.signing.eip712 import Domain
from chain_client.types import Address
from tests.unit.chain_client.registry.office import CHAMPION, FRAUD, Office

_WORD = b"\x09" * 32


def _of(office: Office, document: ProposalDocument) -> TextVerdict:
    return is_text_true(office.log, office.client.salt, office.client.domain, document.id)


def _of_return(office: Office, document: ReturnDocument) -> TextVerdict:
    assert document.former is not None
    return is_return_text_true(
        office.log,
        office.client.salt,
        office.client.domain,
        document.former.id,
        document.sequence,
        hash_summary(document.summary),
    )


def _lie(document: ProposalDocument) -> ProposalDocument:
    """Of the same model on chain, with a text about a toy."""
    toy = replace(document.names, model=replace(FRAUD, name="toy"))
    return complete_proposal(document.domain, document.fields, toy, document.terms, _WORD)


def _return_to(office: Office, former: ProposalDocument) -> ReturnDocument:
    client, fields = office.client, former.fields
    document = ReturnDocument(
        client.domain, FRAUD, fields.model, CHAMPION, fields.target, 2, 1_900_000_000, former, ""
    )
    return complete_return(document, _WORD)


def test_a_text_in_the_log_that_the_salt_confirms_is_true(office: Office) -> None:
    document = office.write()
    assert _of(office, document) is TextVerdict.UNKNOWN
    note_document(office.records, document)
    assert _of(office, document) is TextVerdict.TRUE


def test_a_text_about_another_model_is_untrue(office: Office) -> None:
    lying = _lie(office.write())
    note_document(office.records, lying)
    assert _of(office, lying) is TextVerdict.UNTRUE


def test_a_text_about_another_registry_is_untrue(office: Office) -> None:
    document = office.write()
    elsewhere = Domain(5, Address(b"\x05" * 20))
    foreign = complete_proposal(elsewhere, document.fields, document.names, document.terms, _WORD)
    note_document(office.records, foreign)
    assert _of(office, foreign) is TextVerdict.UNTRUE


def test_names_that_somebody_else_wrote_to_a_true_text_take_nothing_from_it(
    office: Office,
) -> None:
    document = office.write()
    other = replace(document, names=replace(document.names, requester="mallory"))
    note_document(office.records, other)
    assert _of(office, document) is TextVerdict.UNTRUE
    note_document(office.records, document)
    assert _of(office, document) is TextVerdict.TRUE


def test_the_text_of_a_return_has_to_be_known_and_true_too(office: Office) -> None:
    document = _return_to(office, office.write())
    assert _of_return(office, document) is TextVerdict.UNKNOWN
    note_document(office.records, document)
    assert _of_return(office, document) is TextVerdict.TRUE


def test_a_return_to_a_proposal_that_lied_is_untrue(office: Office) -> None:
    document = _return_to(office, _lie(office.write()))
    note_document(office.records, document)
    assert _of_return(office, document) is TextVerdict.UNTRUE


def test_the_text_of_another_return_to_the_same_version_does_not_count(office: Office) -> None:
    document = _return_to(office, office.write())
    note_document(office.records, document)
    later = complete_return(replace(document, sequence=3), _WORD)
    assert _of_return(office, later) is TextVerdict.UNKNOWN
