"""Which checks a promotion needs here and now, and whether a proposal's report is of those."""

from __future__ import annotations

from chain_client.errors import PromotionDenied
from chain_client.ledger.base import Ledger
from chain_client.ledger.deployment import Deployment
from chain_client.ledger.model_registry import ADMIN_ROLE, ModelRegistryContract, event_topic
from chain_client.ledger.model_registry_values import ANY_MODEL, Policy
from chain_client.ledger.timelock import PROPOSER_ROLE, TimelockContract
from chain_client.registry import documents
from chain_client.registry.check_configuration import (
    AppliedChecks,
    ConfiguredCheck,
    latest,
    read_applied,
)
from chain_client.registry.check_reports import CheckReport
from chain_client.registry.evidence import CHECKS, to_kinds
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.reading import RegistryReader
from chain_client.registry.state import Place
from chain_client.types import Address, Digest, to_hex

_AGAIN = "let an admin apply the policy file (mlops-chain policy apply)"


class CheckedReader(RegistryReader):
    """Reads the checks that were applied. Signatures here are stable."""

    def applied_checks(self) -> dict[Place, AppliedChecks]:
        """What was applied for each place at last, by somebody who was entitled to then or later.

        Of a place at which checks were taken away again, an empty list.
        """
        every = read_applied(self._log, self.deployment.deployment_id, self.domain)
        ever = entitled_ever(self._ledger, self.deployment, self.contract) if every else ()
        places = {one.place for one in every}
        found = {place: latest(every, place, ever) for place in places}
        return {place: one for place, one in found.items() if one is not None}

    def required_checks(self, model: Digest, target: Digest) -> AppliedChecks | None:
        """The checks that a proposal for a place has to pass; None where the policy asks for none.

        Raises:
            PromotionDenied: the policy on chain asks for checks, and the log has none that count.
        """
        in_force = self.contract.policy(model, target)
        if in_force.policy is None or not demands_checks(in_force.policy):
            return None
        owner = ANY_MODEL if in_force.is_default else model
        found = self.applied_checks().get((owner, target))
        if found is None or not found.checks:
            raise PromotionDenied(
                "the policy demands checks, and the log holds no configuration of them that an "
                f"admin has signed: {_AGAIN}, or wait for the relay that takes it in"
            )
        if not self.may_apply_checks(found.signer):
            raise PromotionDenied(
                "the latest configuration of the checks that the policy demands was signed by "
                f"{to_hex(found.signer)}, who administers the registry no more: {_AGAIN}"
            )
        return found

    def may_apply_checks(self, account: Address) -> bool:
        """Whether an account administers the registry now, itself or by proposing to a timelock."""
        timelock = self.deployment.timelock
        if timelock is not None and TimelockContract(self._ledger, timelock).has_role(
            PROPOSER_ROLE, account
        ):
            return True
        return self.contract.has_role(ADMIN_ROLE, account)

    def check_report(self, document: ProposalDocument) -> None:
        """See that what a proposal says of checks is of those that are required now.

        What the report says is compared with the proposal by `check_document` already.

        Raises:
            PromotionDenied: its report is not in the log, or of other checks, or there is none.
        """
        fields, report = document.fields, document.names.checks
        required = self.required_checks(fields.model, fields.target)
        if required is None:
            return
        if report is None:
            raise PromotionDenied(
                "the policy demands checks, and the proposal has no report of any: propose it again"
            )
        if not is_report_of(report, required, self.deployment.deployment_id):
            raise PromotionDenied(
                "the proposal was checked by another configuration than the one that is applied "
                f"(0x{report.configuration.hex()[:12]}…, applied is "
                f"0x{required.hash.hex()[:12]}…): nobody should approve it; propose it again"
            )
        store_id = document.names.model.store_id
        if documents.find_report(self._log, store_id, report.digest) is None:
            raise PromotionDenied(
                "the report of the checks that the proposal names is not in the log: nobody should "
                "approve it; propose it again (a relay may still be taking it in)"
            )


def demands_checks(policy: Policy) -> bool:
    """Whether a policy on chain asks for a report of checks."""
    return CHECKS in to_kinds(policy.evidence_kinds)


def is_report_of(report: CheckReport, applied: AppliedChecks, deployment_id: str) -> bool:
    """Whether a report is of exactly the checks that were applied."""
    return (
        report.deployment == deployment_id
        and report.configuration == applied.hash
        and [(one.name, one.plugin, one.configuration) for one in report.results]
        == [(one.name, one.plugin, one.hash) for one in applied.checks]
    )


def entitled_ever(
    ledger: Ledger, deployment: Deployment, contract: ModelRegistryContract
) -> frozenset[Address]:
    """Everybody who ever administered a registry, or could propose to its timelock.

    Raises:
        LedgerUnavailable: the chain does not answer.
    """
    first, newest = deployment.registry_block or 0, ledger.block().number
    granted = contract.events(first, newest, event_topic("RoleGranted"), ADMIN_ROLE)
    found = {event.args["account"] for event in granted}
    if deployment.timelock is not None:
        lock = TimelockContract(ledger, deployment.timelock)
        found |= {deployment.owner, *lock.granted(PROPOSER_ROLE, first, newest)}
    return frozenset(found)


def describe_checks(checks: tuple[ConfiguredCheck, ...]) -> str:
    """Checks and plugins in a line for people."""
    return ", ".join(f"{check.name} (plugin {check.plugin})" for check in checks) or "none"
