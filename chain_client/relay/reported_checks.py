"""What approvers are told of the checks of a proposal, as far as log and chain have it now."""

from __future__ import annotations

from chain_client.ledger.base import Ledger
from chain_client.ledger.deployment import Deployment
from chain_client.ledger.model_registry import ModelRegistryContract
from chain_client.log import Log
from chain_client.notices import CheckWarning, ReportedChecks
from chain_client.registry import documents
from chain_client.registry.checking import judge_checks, read_history
from chain_client.registry.evidence import CHECKS, to_kinds
from chain_client.registry.identity import Salt
from chain_client.registry.state import ProposalRecord
from chain_client.registry.texts import UNCHECKED, find_true
from chain_client.signing.eip712 import Domain

MOST_WARNINGS = 20
"""A report may hold 512, of 1000 characters each."""
_UNREADABLE = (
    "the report of checks that the proposal names can't be read: the log does not hold the "
    "proposal's text (a relay may still be taking it in), or it was erased, or says something else "
    "than what was signed"
)


def read_checks(
    log: Log,
    ledger: Ledger,
    deployment: Deployment,
    salt: Salt | None,
    *,
    record: ProposalRecord,
    now_s: float,
) -> ReportedChecks | None:
    """What the report says that a proposal binds; None if it binds none.

    Whether it is of what an admin had applied is compared; whether the checks were carried out, and
    found this, nobody but the requester knows.

    Args:
        log: the home's.
        ledger: the chain.
        deployment: with a registry.
        salt: the deployment's; without it the text of the proposal is compared with itself alone.
        record: the proposal as it stands on chain.
        now_s: time in seconds since the epoch.

    Raises:
        LedgerUnavailable: the chain does not answer.
        LogUnavailable: the log does not.
    """
    if CHECKS not in to_kinds(record.fields.evidence_kinds):
        return None
    assert deployment.registry is not None
    domain = Domain(deployment.chain_id, deployment.registry)
    if salt is None:
        document = documents.find_proposal(log, record.id)
    else:
        document = find_true(log, salt, domain, record.id)
    if document is None or document.names.checks is None:
        return ReportedChecks(obstacle=_UNREADABLE)
    report = document.names.checks
    contract = ModelRegistryContract(ledger, deployment.registry)
    history = read_history(log, ledger, deployment, contract, now_s)
    verdict = judge_checks(log, history, document, record.made_at_s, deployment.deployment_id)
    warnings = [CheckWarning(check, finding.text) for check, finding in report.warnings()]
    return ReportedChecks(
        report=report.digest,
        configuration=report.configuration,
        passed=tuple(result.describe() for result in report.results),
        warnings=tuple(warnings[:MOST_WARNINGS]),
        warning_count=len(warnings),
        obstacle=UNCHECKED.get(verdict, ""),
    )
