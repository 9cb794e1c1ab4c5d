"""How a proposal stands, in numbers and in one line: what is missing, and who can give it. Pure.

Signatures here are stable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from chain_client.errors import ContractReverted
from chain_client.events import Json
from chain_client.ledger.model_registry_values import (
    Member,
    PolicyInForce,
    ProposalState,
    ProposalStatus,
)
from chain_client.registry.durations import show_roughly
from chain_client.registry.proposals import ProposalDocument
from chain_client.types import Address, Digest, to_hex


@dataclass(frozen=True, slots=True)
class Standing:
    """How a proposal stands.

    Args:
        proposal_id: the proposal.
        status: as the contract has it; an expired one is still OPEN there.
        approvals: how many count now.
        threshold: how many are needed; 0 without a policy.
        approved_by: whose approvals count.
        reviewed_by: who reviewed it.
        may_still_approve: members who have not, and are neither requester nor registrant.
        expires_in_s: seconds to the deadline; negative once it has passed.
        earliest_s: block time from which it can be promoted; None while it is not proposed.
        is_promotable: nothing is missing now.
        obstacle: the contract's reason why it can't be promoted now; None if it can.
        text: all that in a line for people.
    """

    proposal_id: Digest
    status: ProposalStatus
    approvals: int
    threshold: int
    approved_by: tuple[Address, ...]
    reviewed_by: tuple[Address, ...]
    may_still_approve: tuple[Address, ...]
    expires_in_s: int
    earliest_s: int | None
    is_promotable: bool
    obstacle: str | None
    text: str

    @property
    def has_quorum(self) -> bool:
        """Whether enough approvals count."""
        return 0 < self.threshold <= self.approvals

    @property
    def is_closed(self) -> bool:
        """Whether it can never be promoted any more, or was."""
        closed = self.status not in (ProposalStatus.OPEN, ProposalStatus.NONE)
        return closed or self.expires_in_s < 0

    def to_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {
            "proposal": to_hex(self.proposal_id),
            "status": self.status.name.lower(),
            "approvals": self.approvals,
            "threshold": self.threshold,
            "approved_by": [to_hex(address) for address in self.approved_by],
            "reviewed_by": [to_hex(address) for address in self.reviewed_by],
            "may_still_approve": [to_hex(address) for address in self.may_still_approve],
            "expires_in_s": self.expires_in_s,
            "earliest_s": self.earliest_s,
            "is_promotable": self.is_promotable,
            "obstacle": self.obstacle,
            "text": self.text,
        }


def stand(
    document: ProposalDocument,
    state: ProposalState,
    in_force: PolicyInForce,
    members: Sequence[Member],
    registrant: Address | None,
    obstacle: ContractReverted | None,
    now_s: int,
    names: Mapping[Address, str],
) -> Standing:
    """How a proposal stands.

    Args:
        document: the proposal.
        state: as the contract has it.
        in_force: the policy of its target now.
        members: of the group that decides about the proposal.
        registrant: who registered the version; can't approve it.
        obstacle: what `ModelRegistryContract.is_promotable` gave.
        now_s: block time.
        names: of addresses, for the text.
    """
    fields, policy = document.fields, in_force.policy
    current = [member for member in members if member.is_member]
    approved = tuple(m.address for m in current if state.approvals >> m.seat & 1)
    left = tuple(
        m.address for m in current if m.address not in (*approved, fields.requester, registrant)
    )
    standing = Standing(
        proposal_id=document.id,
        status=state.status,
        approvals=len(approved),
        threshold=0 if policy is None else policy.threshold,
        approved_by=approved,
        reviewed_by=tuple(m.address for m in current if state.reviews >> m.seat & 1),
        may_still_approve=left,
        expires_in_s=fields.deadline_s - now_s,
        earliest_s=None
        if policy is None or not state.made_at_s
        else state.made_at_s + policy.min_delay_s,
        is_promotable=obstacle is None,
        obstacle=None if obstacle is None else str(obstacle),
        text="",
    )
    text = _text(standing, document, in_force, now_s, names, obstacle)
    return replace(standing, text=text)


def show_address(address: Address, names: Mapping[Address, str]) -> str:
    """The name that is bound to an address; else the address, shortened."""
    text = to_hex(address)
    return names.get(address) or f"{text[:8]}…{text[-4:]}"


def _text(
    standing: Standing,
    document: ProposalDocument,
    in_force: PolicyInForce,
    now_s: int,
    names: Mapping[Address, str],
    obstacle: ContractReverted | None,
) -> str:
    if standing.status is ProposalStatus.NONE:
        return "not proposed yet"
    if standing.status is not ProposalStatus.OPEN:
        return standing.status.name.lower()
    if standing.expires_in_s < 0:
        return f"expired {show_roughly(-standing.expires_in_s)} ago; propose it again"
    if document.fields.policy_hash != in_force.policy_hash:
        return "the policy was changed since; propose it again"
    parts = [f"{standing.approvals} of {standing.threshold} approvals"]
    if not standing.has_quorum:
        left = ", ".join(show_address(address, names) for address in standing.may_still_approve)
        parts.append(f"{left} may still approve" if left else "nobody is left who may approve")
    if standing.earliest_s is not None and standing.earliest_s > now_s:
        parts.append(
            f"can be promoted in {show_roughly(standing.earliest_s - now_s)} at the earliest"
        )
    elif standing.is_promotable:
        parts.append("can be promoted now")
    if obstacle is not None and obstacle.name not in ("QuorumMissing", "TooEarly"):
        parts.append(str(obstacle))
    parts.append(f"expires in {show_roughly(standing.expires_in_s)}")
    return "; ".join(parts)
