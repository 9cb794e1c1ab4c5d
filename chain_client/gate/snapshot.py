"""What the registry holds at one block, folded from its events. Pure; kept by `snapshot_file`.

It tells what belongs to a model as a whole, which no view of the contract does, and it is the
gate's memory while the chain can't be reached.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from chain_client.gate.signed_text import SignedText
from chain_client.ledger.base import Block
from chain_client.ledger.model_registry_values import (
    ANY_MODEL,
    Cause,
    Current,
    Member,
    Policy,
    ProposalFields,
    RegistryEvent,
)
from chain_client.types import Address, Digest

TargetKey: TypeAlias = tuple[bytes, bytes]
"""Model and target, as they stand on chain."""

_NO_DIGEST = Digest(bytes(32))


@dataclass(frozen=True, slots=True)
class Standing:
    """What is current for a target.

    Args:
        version: zero for none.
        sequence: counts every change of the target.
        cause: how it became so.
        proposal: by which it was promoted; zero for none.
        summary_hash: of the text that was signed for a rollback; None if it was none.
    """

    version: int
    sequence: int
    cause: Cause
    proposal: bytes
    summary_hash: Digest | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The registry at one block.

    Args:
        chain_id: of its chain.
        registry: its address.
        block: the block.
        policies: by model (`ANY_MODEL` for defaults) and target.
        groups: who is or was a member, by group.
        currents: by model and target.
        open: proposals that can still be promoted, by id.
        former: proposals whose version is or was current, by id.
        revoked: model and number of versions.
        is_paused: whether the registry is paused.
        successor: the registry that took its place.
    """

    chain_id: int
    registry: Address
    block: Block
    policies: Mapping[TargetKey, Policy] = field(default_factory=dict)
    groups: Mapping[bytes, tuple[Member, ...]] = field(default_factory=dict)
    currents: Mapping[TargetKey, Standing] = field(default_factory=dict)
    open: Mapping[bytes, ProposalFields] = field(default_factory=dict)
    former: Mapping[bytes, ProposalFields] = field(default_factory=dict)
    revoked: frozenset[tuple[bytes, int]] = frozenset()
    is_paused: bool = False
    successor: Address | None = None

    def advance(self, events: Iterable[RegistryEvent], block: Block) -> Snapshot:
        """The registry at a later block.

        Args:
            events: all of the registry's after this block up to that one, in chain order.
            block: that one.
        """
        fold = _Fold(self)
        for event in events:
            fold.add(event)
        return fold.at(block)

    def policy_of(self, model: bytes, target: bytes) -> Policy | None:
        """The policy in force: the model's own, else the default."""
        return self.policies.get((model, target)) or self.policies.get((ANY_MODEL, target))

    def may_gate(self, model: bytes) -> bool:
        """Whether any target of a model is gated."""
        return any(of in (model, ANY_MODEL) for of, _ in self.policies)

    def has_own_policy(self, model: bytes) -> bool:
        """Whether a policy was made for this incarnation."""
        return any(of == model for of, _ in self.policies)

    @property
    def has_default_policy(self) -> bool:
        """Whether models that nobody named are gated."""
        return self.has_own_policy(ANY_MODEL)

    def current(self, model: bytes, target: bytes) -> Current:
        """What is current for a target; ``since_s`` is not known here."""
        stands = self.currents.get((model, target))
        if stands is None:
            return Current(0, _NO_DIGEST, 0, 0, Cause.NONE, False)
        proposal = self.former.get(stands.proposal) if stands.version else None
        return Current(
            stands.version,
            proposal.digest if proposal else _NO_DIGEST,
            stands.sequence,
            0,
            stands.cause,
            (model, stands.version) in self.revoked,
        )

    def signed_text(self, model: bytes, target: bytes) -> SignedText | None:
        """The text that approvers signed for what is current; None where nobody signed."""
        stands = self.currents.get((model, target))
        if stands is None or stands.cause not in (Cause.PROMOTED, Cause.ROLLED_BACK):
            return None
        place = (self.chain_id, self.registry, Digest(stands.proposal))
        if stands.cause is Cause.PROMOTED:
            return SignedText(*place)
        return SignedText(*place, stands.sequence - 1, stands.summary_hash or _NO_DIGEST)

    def versions_in_use(self, model: bytes) -> tuple[int, ...]:
        """Versions of a model that are current for a gated target."""
        found = {
            stands.version
            for (of, target), stands in self.currents.items()
            if of == model and stands.version and self.policy_of(model, target) is not None
        }
        return tuple(sorted(found))

    def versions_proposed(self, model: bytes) -> tuple[int, ...]:
        """Versions of a model with a proposal that is open in this block."""
        found = {
            fields.version
            for fields in self.open.values()
            if fields.model == model and fields.deadline_s >= self.block.timestamp_s
        }
        return tuple(sorted(found))

    def members(self, group: bytes) -> frozenset[Address]:
        """Who is a member of a group now."""
        return frozenset(m.address for m in self.groups.get(group, ()) if m.is_member)


class _Fold:
    """A snapshot in the making."""

    def __init__(self, begin: Snapshot) -> None:
        self._begin = begin
        self._policies = dict(begin.policies)
        self._groups = dict(begin.groups)
        self._currents = dict(begin.currents)
        self._open = dict(begin.open)
        self._former = dict(begin.former)
        self._revoked = set(begin.revoked)
        self._returns: dict[tuple[bytes, bytes, int], Digest] = {}
        self._is_paused = begin.is_paused
        self._successor = begin.successor

    def add(self, event: RegistryEvent) -> None:
        args = event.args
        match event.name:
            case "PolicySet":
                self._set_policy((args["model"], args["target"]), args["policy"])
            case "ApproverAdded":
                member = Member(args["account"], args["seat"], True)
                self._groups[args["group"]] = (*self._groups.get(args["group"], ()), member)
            case "ApproverRemoved":
                self._groups[args["group"]] = tuple(
                    replace(m, is_member=False) if m.seat == args["seat"] else m
                    for m in self._groups.get(args["group"], ())
                )
            case "ProposalMade":
                self._open[args["proposalId"]] = args["proposal"]
            case "ProposalRejected" | "ProposalWithdrawn":
                self._open.pop(args["proposalId"], None)
            case "ReturnApproved":
                place = (args["model"], args["target"], args["sequence"])
                self._returns[place] = args["summaryHash"]
            case "CurrentChanged":
                self._change(event)
            case "VersionRevoked":
                self._revoked.add((args["model"], args["version"]))
            case "Paused" | "Unpaused":
                self._is_paused = event.name == "Paused"
            case "RegistrySucceeded":
                self._successor = args["successor"]
            case _:
                pass

    def at(self, block: Block) -> Snapshot:
        still_open = {
            key: fields
            for key, fields in self._open.items()
            if fields.deadline_s >= block.timestamp_s
        }
        return Snapshot(
            self._begin.chain_id,
            self._begin.registry,
            block,
            self._policies,
            self._groups,
            self._currents,
            still_open,
            self._former,
            frozenset(self._revoked),
            self._is_paused,
            self._successor,
        )

    def _set_policy(self, key: TargetKey, policy: Policy) -> None:
        if policy.threshold:
            self._policies[key] = policy
        else:
            self._policies.pop(key, None)

    def _change(self, event: RegistryEvent) -> None:
        args = event.args
        made = self._open.pop(args["proposalId"], None)
        if made is not None:
            self._former[args["proposalId"]] = made
        key, sequence = (args["model"], args["target"]), args["sequence"]
        # The approvals of a return stand in the same transaction, before it.
        summary_hash = self._returns.pop((*key, sequence - 1), None)
        self._currents[key] = Standing(
            args["version"], sequence, args["cause"], args["proposalId"], summary_hash
        )
