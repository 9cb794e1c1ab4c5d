"""Which checks a promotion needs here and now, and whether a proposal's report is of those."""

from __future__ import annotations

from chain_client.errors import PromotionDenied
from chain_client.ledger.base import Ledger
from chain_client.ledger.deployment import Deployment
from chain_client.ledger.model_registry import ADMIN_ROLE, ModelRegistryContract
from chain_client.ledger.model_registry_values import ANY_MODEL, Policy
from chain_client.ledger.timelock import PROPOSER_ROLE, TimelockContract
from chain_client.log import Log
from chain_client.registry import documents
from chain_client.registry.check_configuration import (
    AppliedChecks,
    ConfiguredCheck,
    read_applied,
)
from chain_client.registry.check_history import CheckHistory, Tenures, is_report_of
from chain_client.registry.evidence import CHECKS, to_kinds
from chain_client.registry.identity import Salt
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.reading import RegistryReader
from chain_client.registry.state import Place
from chain_client.registry.texts import UNCHECKED, TextVerdict, find_true, is_text_true
from chain_client.signing.eip712 import Domain
from chain_client.types import Address, Digest, to_hex

_AGAIN = "let an admin apply the policy file (mlops-chain policy apply)"


class CheckedReader(RegistryReader):
    """Reads the checks that were applied. Signatures here are stable."""

    def applied_checks(self) -> dict[Place, AppliedChecks]:
        """What counts now for each place; of one whose checks were taken away, an empty list.

        A place is left out where nothing counts any more, so that it is applied again: its signer
        lost the right, or something later can't be read.
        """
        history = self.check_history()
        found = {place: history.last(place) for place in history.places}
        return {
            place: reign.applied
            for place, reign in found.items()
            if reign is not None
            and history.unreadable(place) is None
            and self.may_apply_checks(reign.applied.signer)
        }

    def required_checks(self, model: Digest, target: Digest) -> AppliedChecks | None:
        """The checks that a proposal for a place has to pass; None where the policy asks for none.

        Raises:
            PromotionDenied: the policy on chain asks for checks, and the log has none that count.
        """
        in_force = self.contract.policy(model, target)
        if in_force.policy is None or not demands_checks(in_force.policy):
            return None
        place = (ANY_MODEL if in_force.is_default else model, target)
        history = self.check_history()
        lost = history.unreadable(place)
        if lost is not None:
            raise PromotionDenied(
                f"entry {lost} of the log, which says which checks the policy demands, can't be "
                f"read or was changed (see mlops-chain verify), so nobody knows them: {_AGAIN}"
            )
        found = history.last(place)
        if found is None or not found.applied.checks:
            raise PromotionDenied(
                "the policy demands checks, and the log holds no configuration of them that an "
                f"admin has signed: {_AGAIN}, or wait for the relay that takes it in"
            )
        if not self.may_apply_checks(found.applied.signer):
            raise PromotionDenied(
                "the latest configuration of the checks that the policy demands was signed by "
                f"{to_hex(found.applied.signer)}, who administers the registry no more: {_AGAIN}"
            )
        return found.applied

    def check_history(self) -> CheckHistory:
        """Everything that was ever applied, and for how long it counted."""
        now_s = max(self._clock.time_us() / 1e6, self.now_s())
        return read_history(self._log, self._ledger, self.deployment, self.contract, now_s)

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

    def check_promoted(self, document: ProposalDocument) -> None:
        """See that a proposal was checked by what counted when it was made, or later.

        That is less than what `check_report` asks of who approves: what was applied meanwhile
        takes nothing away from those that approved before.

        Raises:
            PromotionDenied: it was not, or its report is not in the log.
        """
        if CHECKS not in to_kinds(document.fields.evidence_kinds):
            return
        found = self.judge_report(document, self.contract.proposal(document.id).made_at_s)
        if found is not TextVerdict.TRUE:
            raise PromotionDenied(f"{UNCHECKED[found]}: nothing is promoted; propose it again")

    def judge_report(self, document: ProposalDocument, made_at_s: float) -> TextVerdict:
        """Whether a proposal that names a report of checks has one that counts.

        Args:
            document: whose text is true.
            made_at_s: when it came on chain.
        """
        history, deployment_id = self.check_history(), self.deployment.deployment_id
        return judge_checks(self._log, history, document, made_at_s, deployment_id)

    def judge_checks(self, proposal_id: Digest) -> TextVerdict:
        """The same of a proposal whose text was found true."""
        return judge_proposal(
            *(self._log, self.salt, self._ledger, self.deployment, proposal_id),
            max(self._clock.time_us() / 1e6, self.now_s()),
        )


def judge_proposal(
    log: Log,
    salt: Salt,
    ledger: Ledger,
    deployment: Deployment,
    proposal_id: Digest,
    now_s: float,
) -> TextVerdict:
    """Whether the text of a proposal is known and true, and it was checked as an admin wanted.

    Raises:
        LedgerUnavailable: the chain does not answer.
    """
    assert deployment.registry is not None
    domain = Domain(deployment.chain_id, deployment.registry)
    verdict = is_text_true(log, salt, domain, proposal_id)
    document = find_true(log, salt, domain, proposal_id)
    if document is None or CHECKS not in to_kinds(document.fields.evidence_kinds):
        return verdict
    contract = ModelRegistryContract(ledger, deployment.registry)
    history = read_history(log, ledger, deployment, contract, now_s)
    made_at_s = contract.proposal(proposal_id).made_at_s
    return judge_checks(log, history, document, made_at_s, deployment.deployment_id)


def judge_checks(
    log: Log,
    history: CheckHistory,
    document: ProposalDocument,
    made_at_s: float,
    deployment_id: str,
) -> TextVerdict:
    """Whether a proposal that names a report of checks has one that counts.

    Args:
        log: has to hold it.
        history: what was applied, and for how long it counted.
        document: whose text is true.
        made_at_s: when it came on chain.
        deployment_id: of the deployment.
    """
    report, terms, fields = document.names.checks, document.terms, document.fields
    if report is None or terms is None:
        return TextVerdict.UNCHECKED
    if documents.find_report(log, document.names.model.store_id, report.digest) is None:
        return TextVerdict.UNKNOWN
    place = (ANY_MODEL if terms.is_default else fields.model, fields.target)
    counts = history.counted(place, report, made_at_s, deployment_id)
    return TextVerdict.TRUE if counts else TextVerdict.UNCHECKED


def demands_checks(policy: Policy) -> bool:
    """Whether a policy on chain asks for a report of checks."""
    return CHECKS in to_kinds(policy.evidence_kinds)


def read_history(
    log: Log,
    ledger: Ledger,
    deployment: Deployment,
    contract: ModelRegistryContract,
    now_s: float,
) -> CheckHistory:
    """Everything that was ever applied for a registry, and for how long it counted.

    Raises:
        LedgerUnavailable: the chain does not answer.
    """
    domain = Domain(deployment.chain_id, contract.address)
    read = read_applied(log, deployment.deployment_id, domain)
    tenures = Tenures()
    if read.applied:
        _take_tenures(tenures, ledger, deployment, contract)
    return CheckHistory(read, tenures, now_s)


def _take_tenures(
    tenures: Tenures, ledger: Ledger, deployment: Deployment, contract: ModelRegistryContract
) -> None:
    """Who administered the registry, or could propose to its timelock, and when."""
    first, newest = deployment.registry_block or 0, ledger.block().number
    events = contract.events(first, newest, None, ADMIN_ROLE)
    roles = [
        [
            (event.block_number, event.args["account"], event.name == "RoleGranted")
            for event in events
            if event.name in ("RoleGranted", "RoleRevoked")
        ]
    ]
    if deployment.timelock is not None:
        lock = TimelockContract(ledger, deployment.timelock)
        changes = lock.role_changes(PROPOSER_ROLE, first, newest)
        roles.append([(first, deployment.owner, True), *changes])
    for role in roles:
        times = {number: ledger.block(number).timestamp_s for number, _, _ in role}
        tenures.add((float(times[number]), account, given) for number, account, given in role)


def describe_checks(checks: tuple[ConfiguredCheck, ...]) -> str:
    """Checks and plugins in a line for people."""
    return ", ".join(f"{check.name} (plugin {check.plugin})" for check in checks) or "none"
