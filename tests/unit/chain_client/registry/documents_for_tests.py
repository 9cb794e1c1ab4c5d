"""Documents without a chain, and strategies of their parts."""

from __future__ import annotations

from hypothesis import strategies as st

from chain_client.hosts import ModelIncarnation
from chain_client.ledger.model_registry import Policy, ProposalFields
from chain_client.registry.evidence import CHECKS, KINDS, EvidenceItem
from chain_client.registry.identity import (
    Salt,
    digest_commitment,
    group_id,
    model_id,
    target_id,
)
from chain_client.registry.proposals import PolicyTerms, ProposalDocument, ProposalNames
from chain_client.registry.returns import ReturnDocument
from chain_client.registry.summaries import complete_proposal, complete_return
from chain_client.registry.targets import STAGES, Target
from chain_client.signing.eip712 import Domain
from chain_client.types import Address, Digest
from tests.strategies import texts

SALT = Salt(b"\x33" * 32)
DOMAIN = Domain(1337, Address(b"\x22" * 20))

words = st.binary(min_size=32, max_size=32).map(Digest)
addresses = st.binary(min_size=20, max_size=20).map(Address)
targets = st.sampled_from(STAGES).map(Target.stage) | st.from_regex(
    r"[a-zA-Z0-9_\-]{1,12}", fullmatch=True
).map(Target.alias)
models = st.builds(ModelIncarnation, texts, texts, texts, st.integers(0, 2**41))
brought = st.sampled_from(sorted(set(KINDS) - {CHECKS}))
evidence = st.lists(
    st.builds(EvidenceItem, brought, st.integers(0, 2**48 - 1))
    | st.builds(
        lambda kind, digest: EvidenceItem(kind, digest=digest),
        brought,
        words,
    ),
    max_size=4,
).map(tuple)
policies = st.builds(
    Policy,
    words,
    st.integers(1, 64),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(1, 2**63 - 1),
)


@st.composite
def proposals(draw: st.DrawFn) -> ProposalDocument:
    """Any true document."""
    model, target, digest = draw(models), draw(targets), draw(words)
    group, version = draw(texts.filter(bool)), draw(st.integers(1, 2**64 - 1))
    on_chain = model_id(SALT, model.store_id, model.workspace, model.name, model.creation_ms)
    terms = None
    if draw(st.booleans()):
        drawn = draw(policies)
        policy = Policy(group_id(SALT, group), *drawn.to_tuple()[1:])
        terms = PolicyTerms(group, policy, draw(st.booleans()))
    fields = ProposalFields(
        model=on_chain,
        target=target_id(SALT, target),
        version=version,
        digest=digest_commitment(SALT, on_chain, version, digest),
        policy_hash=Digest(bytes(32)) if terms is None else draw(words.filter(any)),
        summary_hash=Digest(bytes(32)),
        evidence_hash=Digest(bytes(32)),
        evidence_kinds=0,
        deadline_s=draw(st.integers(0, 2**37)),
        requester=draw(addresses),
        supersedes=draw(st.just(Digest(bytes(32))) | words),
        nonce=draw(words),
    )
    names = ProposalNames(model, target, digest, draw(texts), draw(evidence))
    return complete_proposal(DOMAIN, fields, names, terms, draw(words))


@st.composite
def returns(draw: st.DrawFn) -> ReturnDocument:
    """Any true rollback or removal."""
    former = draw(proposals())
    document = ReturnDocument(
        domain=DOMAIN,
        model=former.names.model,
        model_id=former.fields.model,
        target=former.names.target,
        target_id=former.fields.target,
        sequence=draw(st.integers(0, 2**63 - 1)),
        deadline_s=draw(st.integers(0, 2**37)),
        former=former if draw(st.booleans()) else None,
        summary="",
    )
    return complete_return(document, draw(words))
