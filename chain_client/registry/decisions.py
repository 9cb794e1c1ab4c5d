"""What was decided about models, one by one: approved, rejected, promoted, revoked. Pure.

The contract tells of each but the first: that nothing is missing any more for a promotion is told
by no event, as the last thing missing may be time alone. A proposal counts as approved from the
first final block at which the contract says that it can be promoted, and at the latest where it
is promoted. Signatures here are stable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from chain_client.events import Json
from chain_client.ledger.model_registry_values import Cause, ProposalFields, RegistryEvent
from chain_client.registry.durations import show_time
from chain_client.types import Address, Digest, TxHash, to_hex

NAMED_IN_S = 60.0
"""How long after its block the name of a model may come to the log from another machine."""


class DecisionKind(StrEnum):
    """What can be decided about a version."""

    APPROVED = "approved"
    """Quorum and delay are reached: anybody may promote it now."""
    REJECTED = "rejected"
    """The proposal was rejected by an approver, or withdrawn by its requester."""
    PROMOTED = "promoted"
    """It became current: by a promotion, by breaking the glass, or by a rollback."""
    REVOKED = "revoked"
    """It can be promoted no more."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing that was decided, and is final.

    Args:
        id: the same wherever and whenever it is told, and no other decision's.
        kind: what was decided.
        cause: how: ``quorum``; ``rejected``, ``withdrawn``; ``promoted``, ``rolled_back``,
            ``broke_glass``; ``revoked``.
        model: the incarnation on chain.
        version: its number.
        target: on chain; None where it concerns the version as such.
        proposal_id: by which; None where there is none.
        block_number: the block; of an approval, the one at which it was seen.
        at_s: that block's time.
        tx_hash: the transaction; None where none was needed.
    """

    id: str
    kind: DecisionKind
    cause: str
    model: Digest
    version: int
    target: Digest | None
    proposal_id: Digest | None
    block_number: int
    at_s: int
    tx_hash: TxHash | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where decisions are made: the chain, and the registry on it."""

    chain_id: int
    contract: Address


@dataclass(frozen=True, slots=True)
class Look:
    """Everything that was decided up to a final block.

    Args:
        place: where.
        block_number: the final block.
        now_s: the machine's time at the look, in seconds since the epoch.
        decisions: all that the contract's events tell, in chain order; it is never changed.
        ripe: open proposals that can be promoted now.
        open: ids of the proposals that are open.
        models: names of models by id on chain, as far as they are known.
        targets: names of targets by id on chain, as far as they are known.
    """

    place: Place
    block_number: int
    now_s: float
    decisions: Sequence[Decision]
    ripe: tuple[Decision, ...]
    open: frozenset[Digest]
    models: Mapping[Digest, str] = field(default_factory=dict)
    targets: Mapping[Digest, str] = field(default_factory=dict)

    def to_json(self, decision: Decision) -> dict[str, Json]:
        """A decision by names, which are None where they are not known."""
        target, proposal, tx = decision.target, decision.proposal_id, decision.tx_hash
        return {
            "event_id": decision.id,
            "event": decision.kind.value,
            "cause": decision.cause,
            "model_name": self.models.get(decision.model),
            "model_id": to_hex(decision.model),
            "version": decision.version,
            "target": None if target is None else self.targets.get(target),
            "target_id": None if target is None else to_hex(target),
            "proposal_id": None if proposal is None else to_hex(proposal),
            "block": decision.block_number,
            "at": show_time(decision.at_s),
            "transaction": None if tx is None else to_hex(tx),
            "chain_id": self.place.chain_id,
            "contract": to_hex(self.place.contract),
        }


@dataclass(slots=True)
class DecisionBook:
    """Gathers decisions from the contract's events.

    Args:
        decisions: so far, in chain order.
    """

    decisions: list[Decision] = field(default_factory=list)
    _open: dict[Digest, ProposalFields] = field(default_factory=dict)
    _approved_once: set[Digest] = field(default_factory=set)

    def take(self, event: RegistryEvent, at_s: int) -> None:
        """Take the next event, of a block with that time."""
        args = event.args
        match event.name:
            case "ProposalMade":
                self._open[args["proposalId"]] = args["proposal"]
            case "ProposalApproved":
                self._approved_once.add(args["proposalId"])
            case "ProposalRejected" | "ProposalWithdrawn":
                fields = self._open.pop(args["proposalId"], None)
                if fields is not None:
                    cause = event.name.removeprefix("Proposal").lower()
                    rejected = (DecisionKind.REJECTED, cause, args["proposalId"])
                    self.decisions.append(_of_proposal(*rejected, fields, event, at_s))
            case "CurrentChanged":
                self.decisions.extend(self._changed(event, at_s))
            case "VersionRevoked":
                self.decisions.append(_revoked(event, at_s))
            case _:
                pass

    @property
    def open(self) -> frozenset[Digest]:
        """Ids of the proposals that are open; their deadline may have passed."""
        return frozenset(self._open)

    def candidates(self, now_s: int) -> Iterator[tuple[Digest, ProposalFields]]:
        """Open proposals that may be promotable; the contract has the last word."""
        for key, fields in self._open.items():
            if key in self._approved_once and fields.deadline_s >= now_s:
                yield key, fields

    def _changed(self, event: RegistryEvent, at_s: int) -> Iterator[Decision]:
        args = event.args
        cause, proposal = args["cause"], args["proposalId"]
        fields = None
        if cause in (Cause.PROMOTED, Cause.BROKE_GLASS):
            fields = self._open.pop(proposal, None)
        if cause is Cause.REMOVED:
            return
        if cause is Cause.PROMOTED and fields is not None:
            # Whoever waits for approvals learns of this one too, however fast the promotion was.
            yield ripe(proposal, fields, event.block_number, at_s, event.tx_hash)
        model, target = args["model"], args["target"]
        yield Decision(
            f"promoted/{to_hex(model)}/{to_hex(target)}/{args['sequence']}",
            DecisionKind.PROMOTED,
            cause.name.lower(),
            model,
            args["version"],
            target,
            proposal if any(proposal) else None,
            event.block_number,
            at_s,
            event.tx_hash,
        )


def ripe(
    proposal_id: Digest,
    fields: ProposalFields,
    block_number: int,
    at_s: int,
    tx_hash: TxHash | None = None,
) -> Decision:
    """That a proposal can be promoted, as seen at a block."""
    return Decision(
        f"approved/{to_hex(proposal_id)}",
        DecisionKind.APPROVED,
        "quorum",
        fields.model,
        fields.version,
        fields.target,
        proposal_id,
        block_number,
        at_s,
        tx_hash,
    )


def _of_proposal(
    kind: DecisionKind,
    cause: str,
    proposal_id: Digest,
    fields: ProposalFields,
    event: RegistryEvent,
    at_s: int,
) -> Decision:
    return Decision(
        f"{kind.value}/{to_hex(proposal_id)}",
        kind,
        cause,
        fields.model,
        fields.version,
        fields.target,
        proposal_id,
        event.block_number,
        at_s,
        event.tx_hash,
    )


def _revoked(event: RegistryEvent, at_s: int) -> Decision:
    args: Mapping[str, Any] = event.args
    model, version = args["model"], args["version"]
    return Decision(
        f"revoked/{to_hex(model)}/{version}",
        DecisionKind.REVOKED,
        "revoked",
        model,
        version,
        None,
        None,
        event.block_number,
        at_s,
        event.tx_hash,
    )
