"""Whether a proposal is approved, still waits, or never will be. Reads chain and log only.

Signatures here are stable.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from chain_client.errors import SummaryMismatch
from chain_client.events import Json
from chain_client.ledger.base import BlockTag
from chain_client.ledger.model_registry_values import ProposalStatus
from chain_client.registry.checking import CheckedReader
from chain_client.registry.evidence import CHECKS, to_kinds
from chain_client.registry.proposals import ProposalDocument, show_model
from chain_client.registry.texts import UNCHECKED, TextVerdict
from chain_client.types import to_hex


class Verdict(StrEnum):
    """What can be said of a proposal."""

    WAITING = "waiting"
    """Something is missing that can still come."""
    APPROVED = "approved"
    """Nothing is missing, or it was promoted already and is current."""
    CLOSED = "closed"
    """It never can be promoted any more."""


_CLOSING = {
    "DeadlinePassed": "expired",
    "PolicyChanged": "policy_changed",
    "VersionIsRevoked": "revoked",
    "Succeeded": "registry_succeeded",
}
"""What the contract says of a proposal that stays open for ever, and means that it is over."""


@dataclass(frozen=True, slots=True)
class Approval:
    """How a proposal stands for who waits for its approval.

    Args:
        verdict: what can be said.
        cause: why: ``quorum`` or ``promoted``; ``rejected``, ``withdrawn``, ``expired``,
            ``revoked``, ``policy_changed``, ``registry_succeeded``, ``text_untrue``,
            ``not_checked``, ``replaced`` (it was promoted, and is current no more),
            ``model_replaced``; while it waits, the
            contract's own reason, ``not_proposed``, ``text_unknown`` or ``report_unknown``.
        text: one line for people.
        document: the proposal, if the log holds it.
        block_number: at which it was looked.
    """

    verdict: Verdict
    cause: str
    text: str
    document: ProposalDocument | None = None
    block_number: int | None = None

    def to_json(self) -> dict[str, Json]:
        """All of it by name."""
        found: dict[str, Json] = {
            "verdict": self.verdict.value,
            "cause": self.cause,
            "text": self.text,
            "block": self.block_number,
        }
        if self.document is not None:
            names = self.document.names
            found |= {
                "proposal_id": to_hex(self.document.id),
                "model_name": show_model(names.model),
                "version": self.document.version,
                "target": str(names.target),
            }
        return found


def judge(
    status: ProposalStatus, *, is_revoked: bool, obstacle: str | None, obstacle_text: str = ""
) -> tuple[Verdict, str, str]:
    """Verdict, cause and text. Pure.

    Args:
        status: of the proposal.
        is_revoked: whether its version was revoked.
        obstacle: the contract's name for why it can't be promoted; None if it can.
        obstacle_text: the same as a sentence.
    """
    if status is ProposalStatus.REJECTED:
        return Verdict.CLOSED, "rejected", "an approver rejected the proposal"
    if status is ProposalStatus.WITHDRAWN:
        return Verdict.CLOSED, "withdrawn", "its requester withdrew the proposal"
    if is_revoked:
        return Verdict.CLOSED, "revoked", "the version was revoked"
    if status is ProposalStatus.PROMOTED:
        return Verdict.APPROVED, "promoted", "the version was promoted already"
    if status is ProposalStatus.NONE:
        return Verdict.WAITING, "not_proposed", "the registry does not know the proposal (yet)"
    if obstacle is None:
        return Verdict.APPROVED, "quorum", "nothing is missing: it can be promoted"
    if obstacle in _CLOSING:
        return Verdict.CLOSED, _CLOSING[obstacle], obstacle_text
    return Verdict.WAITING, obstacle, obstacle_text


def read_approval(
    reader: CheckedReader, document: ProposalDocument, at: BlockTag | int = "finalized"
) -> Approval:
    """How a proposal stands at a block; nothing counts as approved whose text is not true.

    Args:
        reader: of the home.
        document: the proposal.
        at: the block.

    Raises:
        Unavailable: chain or log do not answer.
        HistoryMissing: no node keeps the state after that block any more.
    """
    contract, fields = reader.contract, document.fields
    number = at if isinstance(at, int) else reader.block_number(at)
    try:
        reader.check_text(document)
    except SummaryMismatch as exc:
        return Approval(Verdict.CLOSED, "text_untrue", str(exc), document, number)
    record = contract.version(fields.model, fields.version, at)
    obstacle = contract.is_promotable(fields, at)
    # Last, for it alone never goes back: what was promotable a block ago may be promoted now.
    state = contract.proposal(document.id, at)
    verdict, cause, text = judge(
        state.status,
        is_revoked=record is not None and record.is_revoked,
        obstacle=None if obstacle is None else obstacle.name,
        obstacle_text="" if obstacle is None else str(obstacle).removeprefix(f"{obstacle.name}: "),
    )
    if verdict is Verdict.APPROVED and CHECKS in to_kinds(fields.evidence_kinds):
        found = reader.judge_report(document, state.made_at_s)
        if found is TextVerdict.UNKNOWN:
            return Approval(Verdict.WAITING, "report_unknown", UNCHECKED[found], document, number)
        if found is not TextVerdict.TRUE:
            return Approval(Verdict.CLOSED, "not_checked", UNCHECKED[found], document, number)
    if cause == "promoted":
        now = contract.current(fields.model, fields.target, at)
        if now.version != fields.version:
            verdict, cause = Verdict.CLOSED, "replaced"
            since = f"version {now.version} is current" if now.version else "nothing is current"
            text = f"the version was promoted, and since then {since}"
    return Approval(verdict, cause, text, document, number)
