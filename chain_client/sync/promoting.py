"""Promoting what enough people approved: anybody may, and here the submitter does."""

from __future__ import annotations

import logging
from collections.abc import Callable

from chain_client.errors import ChainError, ContractReverted
from chain_client.ledger.model_registry import ModelRegistryContract
from chain_client.ledger.model_registry_values import ProposalFields, ProposalStatus
from chain_client.steps import step
from chain_client.sync.report import SyncReport
from chain_client.sync.timeline import Timeline
from chain_client.types import Digest, to_hex

_logger = logging.getLogger(__name__)

Promote = Callable[[Digest, ProposalFields], None]
"""Sends the promotion of a proposal and waits for its block."""


def promote_ready(
    timeline: Timeline,
    contract: ModelRegistryContract,
    now_s: int,
    promote: Promote,
    report: SyncReport,
    *,
    dry_run: bool = False,
) -> None:
    """Promote every proposal of which nothing is missing any more.

    That somebody else was faster is success. What is missing is nobody's fault: only when it is
    time alone, the report says when to look again.

    Args:
        timeline: of the newest block.
        contract: the registry.
        now_s: time of that block.
        promote: sends it.
        report: takes what was done.
        dry_run: send nothing.
    """
    for proposal, fields in timeline.open().items():
        if fields.deadline_s < now_s or not timeline.has_quorum(proposal):
            continue
        obstacle = contract.is_promotable(fields)
        if obstacle is None:
            _promote_one(proposal, fields, contract, promote, report, dry_run)
        elif obstacle.name == "TooEarly":
            earliest_s = timeline.earliest_s(proposal)
            report.due_s = min(report.due_s or earliest_s, earliest_s)


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
        except ContractReverted:
            if contract.proposal(proposal).status is not ProposalStatus.PROMOTED:
                raise
        except ChainError as exc:
            report.fail(f"proposal {to_hex(proposal)}", exc)
            return
        step("sync.promoted")
        _logger.info("promoted proposal %s", to_hex(proposal))
    report.promoted.append(proposal)
