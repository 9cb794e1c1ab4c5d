"""Carrying the checks of a policy out again: by approvers who trust no report, or before proposing.

Nothing is written, registered or sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chain_client.client import ChainClient
from chain_client.errors import InvalidInput
from chain_client.events import Json
from chain_client.governing.attesting import Tell, read_files, tell_nobody
from chain_client.governing.checking import Checked, run_checks
from chain_client.governing.models import find_model
from chain_client.registry.check_configuration import AppliedChecks
from chain_client.registry.check_history import is_report_of
from chain_client.registry.check_reports import CheckReport, CheckResult
from chain_client.registry.evidence import CHECKS
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.targets import Target
from chain_client.types import Digest, to_hex


@dataclass(frozen=True, slots=True)
class Tried:
    """What the checks find now, and what the latest open proposal's report says they found.

    Args:
        applied: the checks, as an admin applied them.
        results: of each, now.
        proposal: the latest open proposal of that version for that target; None if there is none.
        differences: between its report and now, in words.
        uncompared: checks of its report that can't be carried out here, as their plugin can't be
            used, in words.
    """

    applied: AppliedChecks
    results: tuple[CheckResult, ...]
    proposal: ProposalDocument | None
    differences: tuple[str, ...]
    uncompared: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing blocks."""
        return not any(result.blocking for result in self.results)

    def to_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {
            "passed": self.passed,
            "configuration": to_hex(self.applied.hash),
            "applied_by": to_hex(self.applied.signer),
            "checks": [result.to_json() for result in self.results],
            "proposal": None if self.proposal is None else to_hex(self.proposal.id),
            "differences": list(self.differences),
            "uncompared": list(self.uncompared),
        }


def try_checks(
    client: ChainClient,
    name: str,
    version: int,
    target: Target,
    *,
    tracking_uri: str | None = None,
    tell: Tell = tell_nobody,
) -> Tried:
    """Carry out the checks that a proposal would have to pass now; every file is read.

    Args:
        client: of the home.
        name: of the model, ``fraud`` or ``workspace/fraud``.
        version: its number.
        target: the alias or stage.
        tracking_uri: the database; default: any.
        tell: says what is being done.

    Raises:
        InvalidInput: no policy, or one that demands no checks; or there is no such version.
        PromotionDenied: the policy demands checks, and nobody entitled has configured them.
        Unavailable: chain, log or host do not answer.
    """
    registry = client.registry
    found = find_model(client, name, tracking_uri)
    registry.check_gated(found.model, target)
    place = registry.model_id(found.model), registry.target_id(target)
    applied = registry.required_checks(*place)
    if applied is None:
        raise InvalidInput(f"the policy of {target} demands no checks; there is nothing to try")
    tell("reading every file of the version")
    files = read_files(client, found, version)
    document = _open_proposal(client, *place, version)
    requester = None if document is None else document.fields.requester
    evidence = () if document is None else document.names.evidence
    brought = tuple(str(item) for item in evidence if item.kind != CHECKS)
    checked = Checked(found, version, target, files, requester, brought)
    results = run_checks(client, applied, checked, tell)
    differences: tuple[str, ...] = ()
    uncompared: tuple[str, ...] = ()
    if document is not None:
        deployment_id = client.deployment.deployment_id
        report = document.names.checks
        differences = tuple(_compare(report, applied, deployment_id, files.digest, results))
        uncompared = tuple(_uncompared(report, results))
    return Tried(applied, results, document, differences, uncompared)


def _open_proposal(
    client: ChainClient, model: Digest, target: Digest, version: int
) -> ProposalDocument | None:
    registry = client.registry
    state = registry.state()
    found = [
        record
        for record in state.open_proposals(registry.now_s())
        if (record.fields.model, record.fields.target, record.fields.version)
        == (model, target, version)
    ]
    documents = registry.lookup(state).documents
    true = [one for one in found if one.id in documents]
    return documents[max(true, key=lambda one: one.made_at_s).id] if true else None


def _compare(
    report: CheckReport | None,
    applied: AppliedChecks,
    deployment_id: str,
    files: Digest,
    results: tuple[CheckResult, ...],
) -> Iterator[str]:
    """In what a report differs from what is found now, where that was found. Pure."""
    if report is None:
        yield "the proposal has no report of checks"
        return
    if report.files != files:
        yield "the files are not those that were checked"
    if not is_report_of(report, applied, deployment_id):
        yield "the proposal was checked by another configuration than the one that is applied"
    before = {result.name: result for result in report.results}
    for result in results:
        then = before.get(result.name)
        if then is None:
            yield f"{result.name}: it is not in the report"
        elif not result.distribution:
            continue
        elif then.findings != result.findings:
            was = "; ".join(f"{one.level}: {one.text}" for one in then.findings) or "nothing"
            now = "; ".join(f"{one.level}: {one.text}" for one in result.findings) or "nothing"
            yield f"{result.name}: the report has {was}, and now it finds {now}"
        elif (then.distribution, then.version) != (result.distribution, result.version):
            yield (
                f"{result.name}: the report is by {then.distribution} {then.version}, and here is "
                f"{result.distribution} {result.version}"
            )


def _uncompared(report: CheckReport | None, results: tuple[CheckResult, ...]) -> Iterator[str]:
    """What of a report nobody could look at again here. Pure."""
    by_name = {} if report is None else {result.name: result for result in report.results}
    for result in results:
        then = by_name.get(result.name)
        if then is not None and not result.distribution:
            yield (
                f"{result.name}: its plugin {result.plugin} can't be used here; the report is by "
                f"{then.distribution} {then.version}"
            )
