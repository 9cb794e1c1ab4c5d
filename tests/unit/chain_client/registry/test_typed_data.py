"""What people sign is what wallets and the contract compute, and no bit of it may change."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chain_client.errors import ChainError, InvalidInput, SignatureRefused, SummaryMismatch
from chain_client.registry.evidence import EvidenceItem
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.returns import ReturnDocument
from chain_client.registry.statements import (
    SignedStatement,
    request_approval,
    request_authorship,
    request_rejection,
    request_return,
    request_withdrawal,
)
from chain_client.registry.summaries import check_return_summary, check_summary
from chain_client.registry.typed_data import STRUCTS, Statement
from chain_client.signing.keccak import keccak256
from chain_client.types import Digest
from tests.registries import OpenRegistry, make_registry
from tests.strategies import examples
from tests.unit.chain_client.registry.documents_for_tests import (
    SALT,
    addresses,
    evidence,
    proposals,
    returns,
    words,
)
from tests.unit.chain_client.registry.office import BOB

requests = st.one_of(
    st.builds(request_authorship, proposals()),
    st.builds(request_approval, proposals(), st.sampled_from(["approval", "review"])),
    st.builds(request_rejection, proposals(), words),
    st.builds(request_withdrawal, proposals()),
    st.builds(request_return, returns()),
)


@settings(max_examples=examples(60))
@given(requests)
def test_a_digest_is_the_one_that_wallets_sign(request_: SignedStatement) -> None:
    typed = request_.to_json()["typedData"]
    message = encode_typed_data(full_message=typed)
    ours = request_.statement.digest()
    assert ours == keccak256(b"\x19" + message.version + message.header + message.body)
    wallet = Account.from_key(BOB.secret).sign_message(message).signature
    assert request_.statement.sign(BOB) == bytes(wallet)
    assert request_.with_signature(bytes(wallet)).signer == BOB.address()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> OpenRegistry:
    return make_registry(tmp_path_factory.mktemp("typed") / "chain.db")


@settings(max_examples=examples(25))
@given(document=proposals())
def test_an_id_is_the_one_that_the_contract_computes(
    document: ProposalDocument, registry: OpenRegistry
) -> None:
    assert registry.contract.id_of(document.fields) == document.id
    assert document.statement().struct_hash() == document.id
    registry.ledger.close()


@settings(max_examples=examples(60))
@given(requests)
def test_a_file_gives_back_what_was_written_and_its_text_is_true(
    request_: SignedStatement,
) -> None:
    request_.check_text(SALT)
    assert SignedStatement.from_text(request_.to_text()) == request_
    signed = request_.sign(BOB, SALT)
    again = SignedStatement.from_text(signed.to_text())
    assert again == signed
    again.check_signature()
    assert again.signer == BOB.address()


@settings(max_examples=examples(60))
@given(proposals(), returns())
def test_documents_come_back_from_their_json(
    proposal: ProposalDocument, back: ReturnDocument
) -> None:
    assert ProposalDocument.from_json(json.loads(json.dumps(proposal.to_json()))) == proposal
    assert ReturnDocument.from_json(json.loads(json.dumps(back.to_json()))) == back


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Ways to every text and number in a JSON value."""
    if isinstance(value, dict):
        return [found for key in value for found in _paths(value[key], (*path, key))]
    if isinstance(value, list):
        return [found for key, item in enumerate(value) for found in _paths(item, (*path, key))]
    return [path]


def _changed(value: Any, draw: st.DrawFn) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value ^ (1 << draw(st.integers(0, 7)))
    if not isinstance(value, str) or not value:
        return "x"
    place = draw(st.integers(0, len(value) - 1))
    other = "1" if value[place] != "1" else "2"
    return value[:place] + other + value[place + 1 :]


@settings(max_examples=examples(300))
@given(st.data())
def test_no_character_of_a_signed_file_may_change(data: st.DataObject) -> None:
    signed = data.draw(requests).sign(BOB, SALT)
    content = json.loads(signed.to_text())
    changed = copy.deepcopy(content)
    path = data.draw(st.sampled_from(_paths(content)))
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = data.draw(st.composite(lambda draw: _changed(inner[path[-1]], draw))())
    with pytest.raises(ChainError):
        _accept(changed)


def _accept(content: object) -> None:
    found = SignedStatement.from_json(content)
    found.check_text(SALT)
    found.check_signature()


@settings(max_examples=examples(60))
@given(proposals(), st.sampled_from(["model", "target", "digest", "policy_hash", "nonce"]), words)
def test_a_text_of_other_fields_is_refused(
    document: ProposalDocument, name: str, value: Digest
) -> None:
    from dataclasses import replace

    if name == "policy_hash" and any(document.fields.policy_hash):
        return  # only the chain tells
    assume(value != getattr(document.fields, name))
    changed: dict[str, Any] = {name: value}
    lie = replace(document, fields=replace(document.fields, **changed))
    if name == "nonce":
        check_summary(lie, SALT)  # it is random, and no text tells it: the id does
        assert lie.id != document.id
        return
    with pytest.raises(SummaryMismatch):
        check_summary(lie, SALT)


@settings(max_examples=examples(40))
@given(proposals(), addresses, evidence)
def test_other_people_or_evidence_are_refused(
    document: ProposalDocument, other: Any, brought: tuple[EvidenceItem, ...]
) -> None:
    from dataclasses import replace

    if other != document.fields.requester:
        with pytest.raises(SummaryMismatch):
            check_summary(replace(document, fields=replace(document.fields, requester=other)), SALT)
        if document.names.requester:
            with pytest.raises(SummaryMismatch, match="requester's name"):
                check_summary(document, SALT, {document.names.requester: other})
    hidden = replace(document.fields, evidence_hash=Digest(b"\x07" * 32))
    with pytest.raises(SummaryMismatch, match="the evidence"):
        check_summary(replace(document, fields=hidden), SALT)
    if brought != document.names.evidence:
        lie = replace(document, names=replace(document.names, evidence=brought))
        with pytest.raises(SummaryMismatch):
            check_summary(lie, SALT)


def test_every_text_ends_with_a_random_line() -> None:
    from chain_client.registry.summaries import salt_line_of

    document = _example()
    assert len(salt_line_of(document.summary)) == 32
    for text in ("", "Salt: 0x12", document.summary + "\n", document.summary[:-1]):
        with pytest.raises(SummaryMismatch, match="salt line"):
            salt_line_of(text)


def test_a_text_says_all_that_is_signed() -> None:
    text = _example().summary
    for part in ("version 3", '"fraud"', "alias:champion", "0x6464", '2 of the group "risk"',
                 "1 h after", "7 d", "2026-11-20 16:00:00 UTC", '"alice" (0x', "evaluation:12",
                 "meaning is approval", "default policy, revision 4", "on chain 1337"):  # fmt: skip
        assert part in text, part


def test_a_name_can_not_hide_or_turn_the_text() -> None:
    text = _example(name='x"\nVersion: 9\u202e\u200b').summary
    assert "\nVersion: 9" not in text
    assert "\u202e" not in text
    assert '"x\\"\\nVersion: 9\\u202e\\u200b"' in text


def test_a_signature_of_nobody_is_refused() -> None:
    request_ = request_approval(_example())
    with pytest.raises(SignatureRefused, match="nobody has signed"):
        request_.check_signature()
    with pytest.raises(SignatureRefused, match="of no key"):
        request_.with_signature(b"\x01" * 65)
    wallet = request_.with_signature(b"\x01" * 200, BOB.address())
    with pytest.raises(SignatureRefused):
        wallet.check_signature()


def test_a_statement_about_another_document_is_refused() -> None:
    one, other = _example(), _example(name="other")
    mixed = request_approval(one).to_json()
    mixed["proposal"] = other.to_json()
    with pytest.raises(SummaryMismatch, match="not about the document"):
        SignedStatement.from_json(mixed)


@pytest.mark.parametrize(
    "change",
    [
        {"primaryType": "Permit"},
        {"types": {}},
        {"domain": {"name": "other"}},
        {"message": {"proposal": "0x00"}},
    ],
    ids=["struct", "types", "domain", "message"],
)
def test_typed_data_that_are_not_ours_are_refused(change: dict[str, Any]) -> None:
    typed = request_approval(_example()).statement.to_typed_data()
    with pytest.raises(InvalidInput, match="typedData"):
        Statement.from_typed_data(typed | change)


def test_wallets_spelling_of_numbers_is_taken() -> None:
    statement = _example().statement()
    typed = json.loads(json.dumps(statement.to_typed_data()))
    typed["message"]["version"] = "0x3"
    typed["message"]["deadline"] = str(typed["message"]["deadline"])
    typed["domain"]["chainId"] = "1337"
    assert Statement.from_typed_data(json.dumps(typed)) == statement


def test_all_six_structs_are_those_of_the_contract() -> None:
    from pathlib import Path

    folder = Path(__file__).parents[4] / "contracts" / "src"
    source = "".join(path.read_text("utf-8") for path in sorted(folder.glob("*.sol")))
    assert len(STRUCTS) == 6
    for struct in STRUCTS.values():
        assert f'"{struct.to_text()}"' in source


def test_a_return_of_another_model_is_refused() -> None:
    from dataclasses import replace

    from chain_client.registry.summaries import complete_return

    former = _example()
    document = complete_return(
        ReturnDocument(
            former.domain,
            former.names.model,
            former.fields.model,
            former.names.target,
            former.fields.target,
            4,
            1_800_000_000,
            former,
            "",
        ),
        b"\x01" * 32,
    )
    check_return_summary(document, SALT)
    other = replace(former.names.model, name="other")
    for lie in (
        replace(document, model=other),
        complete_return(replace(document, model=other), b"\x01" * 32),
    ):
        with pytest.raises(SummaryMismatch):
            check_return_summary(lie, SALT)


def _example(name: str = "fraud") -> ProposalDocument:
    from chain_client.hosts import ModelIncarnation
    from chain_client.ledger.model_registry import Policy, ProposalFields
    from chain_client.registry.identity import digest_commitment, group_id, model_id, target_id
    from chain_client.registry.proposals import PolicyTerms, ProposalNames
    from chain_client.registry.summaries import complete_proposal
    from chain_client.registry.targets import Target
    from tests.unit.chain_client.registry.documents_for_tests import DOMAIN

    model = ModelIncarnation("store", "", name, 1_700_000_000_123)
    target, digest = Target.parse("@champion"), Digest(b"\x64" * 32)
    on_chain = model_id(SALT, "store", "", name, 1_700_000_000_123)
    zero = Digest(bytes(32))
    fields = ProposalFields(
        on_chain, target_id(SALT, target), 3, digest_commitment(SALT, on_chain, 3, digest),
        Digest(b"\x09" * 32), zero, zero, 0, 1_795_190_400, BOB.address(), zero, zero,
    )  # fmt: skip
    terms = PolicyTerms("risk", Policy(group_id(SALT, "risk"), 2, 3600, 604_800, 4, 4), True)
    names = ProposalNames(model, target, digest, "alice", (EvidenceItem.parse("evaluation:12"),))
    return complete_proposal(DOMAIN, fields, names, terms, b"\x77" * 32)
