"""Promoting what enough people approved: anybody may, and here the submitter does."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from chain_client.errors import ChainError, ContractReverted
from chain_client.ledger.model_registry import ModelRegistryContract
from chain_client.ledger.model_registry_values import ProposalFields, ProposalStatus
from chain_client.registry.texts import UNCHECKED, TextVerdict
from chain_client.steps import step
from chain_client.sync.report import SyncReport
from chain_client.sync.timeline import Timeline
from chain_client.types import Digest, to_hex

_logger = logging.getLogger(__name__)

Promote = Callable[[Digest, ProposalFields], None]
"""Sends the promotion of a proposal and waits for its block."""
Judge = Callable[[Digest], TextVerdict]
"""Says whether the text that the approvers of a proposal signed is known and true, and whether it
was checked by what an admin had applied."""

_YOUNG_S = 30.0
"""How long a relay may take to bring a proposal's text to the log."""
_SOON_S = 1.0
_WRONG = {
    TextVerdict.UNKNOWN: "the log does not hold the text that was signed for it, or the report of "
    "checks that it names, so it is not promoted: bring the text with `mlops-chain model propose "
    "--in FILE`",
    TextVerdict.UNTRUE: "the text that was signed for it says something else than what would be "
    "promoted, so it is not: have it rejected, and ask who wrote it",
    TextVerdict.UNCHECKED: f"{UNCHECKED[TextVerdict.UNCHECKED]}, so it is not promoted: have it "
    "rejected, and ask who wrote it",
}


def promote_ready(
    timeline: Timeline,
    contract: ModelRegistryContract,
    now_s: int,
    promote: Promote,
    judge: Judge,
    report: SyncReport,
    *,
    dry_run: bool = False,
) -> None:
    """Promote every proposal of which nothing is missing any more, in the order of their making.

    That somebody else was faster is success. What is missing is nobody's fault: only when it is
    time alone, the report says when to look again. A proposal whose text is not known or not true,
    or that was checked by something else than an admin had applied, is not promoted, however many
    signed it; what the chain refuses stops no other.

    Args:
        timeline: of the newest block.
        contract: the registry.
        now_s: time of that block.
        promote: sends it.
        judge: looks at the text.
        report: takes what was done.
        dry_run: send nothing.
    """
    for proposal, fields in timeline.open().items():
        if fields.deadline_s < now_s or not timeline.has_quorum(proposal):
            continue
        obstacle = contract.is_promotable(fields)
        if obstacle is None and _is_text_true(proposal, timeline, judge, report):
            _promote_one(proposal, fields, contract, promote, report, dry_run)
        elif obstacle is not None and obstacle.name == "TooEarly":
            report.look_again(timeline.earliest_s(proposal))


def _is_text_true(proposal: Digest, timeline: Timeline, judge: Judge, report: SyncReport) -> bool:
    verdict = judge(proposal)
    if verdict is TextVerdict.TRUE:
        return True
    now_s = time.time()
    made_at_s = timeline.state.proposals[proposal].made_at_s
    # A quorum may be faster than the relay of another machine.
    is_passing = verdict is TextVerdict.UNKNOWN and now_s < made_at_s + _YOUNG_S
    if is_passing:
        report.look_again(now_s + _SOON_S)
    report.fail(f"proposal {to_hex(proposal)}", _WRONG[verdict], is_passing=is_passing)
    return False


def _promote_one(
    proposal: Digest,
    fields: ProposalFields,
    contract: ModelRegistryContract,
    promote: Promote,
    report: SyncReport,
    dry_run: bool,
) -> None:
    if not dry_run:
        try:
            promote(proposal, fields)
        except ContractReverted as exc:
            if contract.proposal(proposal).status is not ProposalStatus.PROMOTED:
                report.fail(f"proposal {to_hex(proposal)}", exc)
                return
        except ChainError as exc:
            report.fail(f"proposal {to_hex(proposal)}", exc)
            return
        step("sync.promoted")
        _logger.info("promoted proposal %s", to_hex(proposal))
    report.promoted.append(proposal)
