"""A proposal with its readable side: what is passed around, signed and kept in the log.

The format is in ``docs/reference/approval-files.md``. Signatures here are stable; whether text and
names say what the fields say is checked by `summaries`.
"""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.errors import InvalidInput
from chain_client.events import Json
from chain_client.hosts import ModelIncarnation
from chain_client.ledger.model_registry_values import Policy, ProposalFields
from chain_client.registry.check_reports import CheckReport
from chain_client.registry.evidence import EvidenceItem
from chain_client.registry.members import Members
from chain_client.registry.targets import Target
from chain_client.registry.typed_data import Statement, proposal_id, state_proposal
from chain_client.signing.eip712 import Domain
from chain_client.types import Address, Digest, to_hex

FORMAT = "mlops-chain proposal 1"
_SHORT = 12


@dataclass(frozen=True, slots=True)
class PolicyTerms:
    """The policy that was in force when a proposal was written, with its group's name."""

    group: str
    policy: Policy
    is_default: bool


@dataclass(frozen=True, slots=True)
class ProposalNames:
    """What the salted fields of a proposal stand for.

    Args:
        model: the incarnation.
        target: the alias or stage.
        digest: the model digest, SHA-256 of the manifest of the version's files.
        requester: name that is bound to the requester's address; empty if none is.
        evidence: what the requester brings, and the digest of the report of checks.
        checks: that report; None where the policy demands no checks.
    """

    model: ModelIncarnation
    target: Target
    digest: Digest
    requester: str = ""
    evidence: tuple[EvidenceItem, ...] = ()
    checks: CheckReport | None = None


@dataclass(frozen=True, slots=True)
class ProposalDocument:
    """A proposal, readable.

    Args:
        domain: chain and registry.
        fields: what the contract sees.
        names: what they stand for.
        terms: the policy that ``fields.policy_hash`` names; None where break-glass needed none.
        summary: the text that is signed.
    """

    domain: Domain
    fields: ProposalFields
    names: ProposalNames
    terms: PolicyTerms | None
    summary: str

    @property
    def id(self) -> Digest:
        """The proposal's id in the contract."""
        return proposal_id(self.fields)

    @property
    def version(self) -> int:
        """Number of the version."""
        return self.fields.version

    def statement(self) -> Statement:
        """What the requester signs."""
        return state_proposal(self.domain, self.fields, self.summary)

    def to_json(self) -> dict[str, Json]:
        """The document as JSON; `from_json` gives an equal one back."""
        fields, names = self.fields, self.names
        return {
            "format": FORMAT,
            "id": to_hex(self.id),
            "chainId": self.domain.chain_id,
            "registry": to_hex(self.domain.contract),
            "fields": {
                "model": to_hex(fields.model),
                "target": to_hex(fields.target),
                "version": fields.version,
                "digest": to_hex(fields.digest),
                "policyHash": to_hex(fields.policy_hash),
                "summaryHash": to_hex(fields.summary_hash),
                "evidenceHash": to_hex(fields.evidence_hash),
                "evidenceKinds": fields.evidence_kinds,
                "deadline": fields.deadline_s,
                "requester": to_hex(fields.requester),
                "supersedes": to_hex(fields.supersedes),
                "nonce": to_hex(fields.nonce),
            },
            "names": {
                "model": model_to_json(names.model),
                "target": str(names.target),
                "digest": to_hex(names.digest),
                "requester": names.requester,
                "evidence": [str(item) for item in names.evidence],
                **({} if names.checks is None else {"checks": names.checks.to_json()}),
            },
            "policy": None if self.terms is None else _terms_json(self.terms),
            "summary": self.summary,
        }

    @classmethod
    def from_json(cls, data: object) -> ProposalDocument:
        """The inverse of `to_json`.

        Guarantee: the id is the hash of the fields. Whether the text says what they say is not
        checked here.

        Raises:
            InvalidInput: it is no such document, or its id is another.
        """
        document = Members(data, "proposal")
        if document.text("format") != FORMAT:
            raise InvalidInput(f"proposal.format: expected {FORMAT!r}")
        found = cls(
            domain=Domain(document.number("chainId", 63), Address(document.bytes("registry", 20))),
            fields=_fields(document.part("fields")),
            names=_names(document.part("names")),
            terms=None if document.is_null("policy") else _terms(document.part("policy")),
            summary=document.text("summary"),
        )
        if document.bytes("id", 32) != found.id:
            raise InvalidInput("proposal.id: it is not the hash of these fields")
        return found


def short_id(proposal_id: Digest) -> str:
    """The beginning of an id, as much as people type."""
    return proposal_id.hex()[:_SHORT]


def show_model(model: ModelIncarnation) -> str:
    """A model as people name it: ``fraud``, or ``workspace/fraud``."""
    return f"{model.workspace}/{model.name}" if model.workspace else model.name


def model_to_json(model: ModelIncarnation) -> dict[str, Json]:
    """All of an incarnation by name."""
    return {
        "storeId": model.store_id,
        "workspace": model.workspace,
        "name": model.name,
        "creationMs": model.creation_ms,
    }


def model_from_json(data: object) -> ModelIncarnation:
    """The inverse of `model_to_json`.

    Raises:
        InvalidInput: it is not that.
    """
    value = Members(data, "model")
    return ModelIncarnation(
        value.text("storeId"),
        value.text("workspace"),
        value.text("name"),
        value.number("creationMs", 63),
    )


def _fields(data: Members) -> ProposalFields:
    def word(name: str) -> Digest:
        return Digest(data.bytes(name, 32))

    return ProposalFields(
        model=word("model"),
        target=word("target"),
        version=data.number("version", 64),
        digest=word("digest"),
        policy_hash=word("policyHash"),
        summary_hash=word("summaryHash"),
        evidence_hash=word("evidenceHash"),
        evidence_kinds=data.number("evidenceKinds", 32),
        deadline_s=data.number("deadline", 48),
        requester=Address(data.bytes("requester", 20)),
        supersedes=word("supersedes"),
        nonce=word("nonce"),
    )


def _names(data: Members) -> ProposalNames:
    return ProposalNames(
        model=model_from_json(data.raw("model")),
        target=Target.parse(data.text("target")),
        digest=Digest(data.bytes("digest", 32)),
        requester=data.text("requester"),
        evidence=tuple(EvidenceItem.parse(item) for item in data.texts("evidence")),
        checks=None if data.is_null("checks") else CheckReport.from_json(data.raw("checks")),
    )


def _terms_json(terms: PolicyTerms) -> dict[str, Json]:
    policy = terms.policy
    return {
        "group": terms.group,
        "groupId": to_hex(policy.group),
        "threshold": policy.threshold,
        "minDelay": policy.min_delay_s,
        "expiry": policy.expiry_s,
        "evidenceKinds": policy.evidence_kinds,
        "revision": policy.revision,
        "isDefault": terms.is_default,
    }


def _terms(data: Members) -> PolicyTerms:
    policy = Policy(
        group=Digest(data.bytes("groupId", 32)),
        threshold=data.number("threshold", 8),
        min_delay_s=data.number("minDelay", 32),
        expiry_s=data.number("expiry", 32),
        evidence_kinds=data.number("evidenceKinds", 32),
        revision=data.number("revision", 63),
    )
    return PolicyTerms(data.text("group"), policy, data.flag("isDefault"))
