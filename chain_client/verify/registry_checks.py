"""Whether what was proposed with a report of checks has one that is true."""

from __future__ import annotations

import time
from collections.abc import Iterator

from chain_client.errors import ChainError
from chain_client.hosts import Finding, Recorded
from chain_client.ledger.model_registry import ModelRegistryContract
from chain_client.ledger.model_registry_values import ANY_MODEL, ProposalStatus
from chain_client.registry import documents
from chain_client.registry.checking import judge_checks, read_history
from chain_client.registry.documents import NameBook
from chain_client.registry.evidence import CHECKS, to_kinds
from chain_client.registry.identity import Salt
from chain_client.registry.proposals import ProposalDocument, short_id, show_model
from chain_client.registry.state import Place, ProposalRecord
from chain_client.registry.summaries import check_summary
from chain_client.registry.texts import TextVerdict
from chain_client.signing.eip712 import Domain
from chain_client.types import to_hex
from chain_client.verify.evidence import Evidence
from chain_client.verify.registry_chain import RegistryChain

_YOUNG_S = 600
"""How long another machine's relay may take to bring a proposal's text to the log."""


def compare_checks(
    evidence: Evidence,
    chain: RegistryChain,
    recorded: Recorded,
    store_id: str,
    book: NameBook,
    salt: Salt,
) -> Iterator[Finding]:
    """Findings about proposals of models of one database that name a report of checks.

    Args:
        evidence: what to look at.
        chain: the registries.
        recorded: what was recorded of the database.
        store_id: the database.
        book: names of models.
        salt: the deployment's.

    Raises:
        LedgerUnavailable: the chain does not answer.
    """
    deployment = evidence.deployment
    for address, timeline in zip(chain.addresses, chain.timelines, strict=True):
        checked = [
            record
            for record in timeline.state.proposals.values()
            if CHECKS in to_kinds(record.fields.evidence_kinds)
        ]
        if not checked:
            continue
        domain = Domain(deployment.chain_id, address)
        contract = ModelRegistryContract(evidence.ledger, address)
        now_s = max(time.time(), chain.time_s)
        history = read_history(evidence.log, evidence.ledger, deployment, contract, now_s)
        for record in checked:
            model = book.models.get(record.fields.model)
            if model is None or model.store_id != store_id:
                continue
            subject = (
                f"model version {show_model(model)}/{record.fields.version}, proposal "
                f"{short_id(record.id)}"
            )
            document = _find_true(recorded, record, domain, salt)
            if document is None:
                is_young = chain.time_s - record.made_at_s < _YOUNG_S
                if not (is_young and record.status is ProposalStatus.OPEN):
                    yield _missing(subject, "neither a true text of it nor its report is known")
                continue
            report = document.names.checks
            assert report is not None  # a true text that names one has it
            verdict = judge_checks(
                evidence.log, history, document, record.made_at_s, deployment.deployment_id
            )
            if verdict is TextVerdict.UNKNOWN:
                yield _missing(subject, "the log holds no report of the digest that was signed")
            elif verdict is not TextVerdict.TRUE:
                told = "it was checked by something else than an admin had applied then, or later"
                yield Finding(
                    "check_report_differs",
                    subject,
                    [to_hex(one.hash) for one in history.of(_place(document))],
                    to_hex(report.configuration),
                    told,
                )


def _missing(subject: str, told: str) -> Finding:
    return Finding("check_report_missing", subject, "a report of checks", None, told)


def _find_true(
    recorded: Recorded, record: ProposalRecord, domain: Domain, salt: Salt
) -> ProposalDocument | None:
    """The true text of a proposal, in the log or in a spool."""
    for event in recorded("proposal", to_hex(record.id), False):
        if event.type != documents.PROPOSAL_WRITTEN:
            continue
        try:
            document = ProposalDocument.from_json(event.payload.get("document"))
            check_summary(document, salt)
        except ChainError:
            continue
        if document.id == record.id and document.domain == domain:
            return document
    return None


def _place(document: ProposalDocument) -> Place:
    terms, fields = document.terms, document.fields
    owner = ANY_MODEL if terms is not None and terms.is_default else fields.model
    return owner, fields.target
