"""What was current, gated and revoked when: the registry's events, folded. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from chain_client.ledger.model_registry_values import (
    ANY_MODEL,
    Cause,
    Policy,
    ProposalFields,
    RegistryEvent,
)
from chain_client.types import Address, TxHash

TargetKey: TypeAlias = tuple[bytes, bytes]
"""Model and target, as they stand on chain."""


@dataclass(frozen=True, slots=True)
class Change:
    """A target got another current version, or none.

    Args:
        version: zero for none.
        sequence: counts every change of the target.
        cause: how it came.
        proposal: by which; zero for a removal.
        at_s: block time.
        block_number: of its block.
        tx_hash: of its transaction.
        approvers: whose approvals counted, in the order in which they came.
        needed: how many the policy asked for; zero where there was none.
        breaker: who broke the glass, if that is how it came.
    """

    version: int
    sequence: int
    cause: Cause
    proposal: bytes
    at_s: int
    block_number: int
    tx_hash: TxHash
    approvers: tuple[Address, ...] = ()
    needed: int = 0
    breaker: Address | None = None


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """From when on which policy stood; None: none."""

    at_s: int
    policy: Policy | None


@dataclass(slots=True)
class Timeline:
    """The history of one registry up to a block.

    Args:
        changes: of each target, in chain order.
        policies: of each model (`ANY_MODEL` for defaults) and target, in chain order.
        proposals: every proposal that was ever made, by id.
        open: those of them that are not closed; their deadline may have passed.
        versions: salted digest of every registered version, by model and number.
        revoked: block time, by model and number.
        paused: whether the registry is paused.
        successor: the registry that took its place.
    """

    changes: defaultdict[TargetKey, list[Change]] = field(default_factory=lambda: defaultdict(list))
    policies: defaultdict[TargetKey, list[PolicyChange]] = field(
        default_factory=lambda: defaultdict(list)
    )
    proposals: dict[bytes, ProposalFields] = field(default_factory=dict)
    open: set[bytes] = field(default_factory=set)
    versions: dict[tuple[bytes, int], bytes] = field(default_factory=dict)
    revoked: dict[tuple[bytes, int], int] = field(default_factory=dict)
    paused: bool = False
    successor: Address | None = None
    _approvals: defaultdict[bytes, list[Address]] = field(default_factory=lambda: defaultdict(list))
    _returns: defaultdict[tuple[bytes, bytes, int], list[Address]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _breakers: dict[bytes, Address] = field(default_factory=dict)

    def add(self, event: RegistryEvent, at_s: int) -> None:
        """Take the next event, of a block with that time."""
        args = event.args
        match event.name:
            case "PolicySet":
                policy = args["policy"] if args["policy"].threshold else None
                key = (args["model"], args["target"])
                self.policies[key].append(PolicyChange(at_s, policy))
            case "VersionRegistered":
                self.versions[args["model"], args["version"]] = args["digest"]
            case "VersionRevoked":
                self.revoked.setdefault((args["model"], args["version"]), at_s)
            case "ProposalMade":
                self.proposals[args["proposalId"]] = args["proposal"]
                self.open.add(args["proposalId"])
            case "ProposalApproved":
                self._approvals[args["proposalId"]].append(args["approver"])
            case "ApproverRemoved":
                self._forget(args["group"], args["account"])
            case "ProposalRejected" | "ProposalWithdrawn":
                self.open.discard(args["proposalId"])
            case "ReturnApproved":
                key_now = (args["model"], args["target"], args["sequence"])
                self._returns[key_now].append(args["approver"])
            case "GlassBroken":
                self._breakers[args["proposalId"]] = args["breaker"]
            case "CurrentChanged":
                self._change(event, at_s)
            case "Paused" | "Unpaused":
                self.paused = event.name == "Paused"
            case "RegistrySucceeded":
                self.successor = args["successor"]
            case _:
                pass

    def current(self, key: TargetKey) -> Change | None:
        """The latest change of a target; None if it never had one."""
        changes = self.changes.get(key)
        return changes[-1] if changes else None

    def policy(self, key: TargetKey) -> Policy | None:
        """The policy in force: the model's own, else the default."""
        return self.policy_at(key, None)

    def policy_at(self, key: TargetKey, at_s: float | None) -> Policy | None:
        """The policy that was in force at a time; at None, now."""
        for model in (key[0], ANY_MODEL):
            latest: Policy | None = None
            for change in self.policies.get((model, key[1]), ()):
                if at_s is None or change.at_s <= at_s:
                    latest = change.policy
            if latest is not None:
                return latest
        return None

    def may_have_been(self, key: TargetKey, version: int, from_s: float, to_s: float) -> bool:
        """Whether a version (zero for none) was current at any time in a span."""
        if version == 0 and (not self.changes.get(key) or self.changes[key][0].at_s >= from_s):
            return True
        return any(
            change.version == version and begin <= to_s and from_s <= end
            for change, begin, end in self._spans(key)
        )

    def first_policy_s(self) -> int | None:
        """When anything was gated for the first time; None if nothing ever was."""
        times = [
            change.at_s
            for changes in self.policies.values()
            for change in changes
            if change.policy is not None
        ]
        return min(times, default=None)

    def standing(self, model: bytes) -> Iterator[tuple[bytes, Change]]:
        """Target and latest change of each target of a model that has a current version."""
        for (of, target), changes in self.changes.items():
            if of == model and changes[-1].version:
                yield target, changes[-1]

    def _spans(self, key: TargetKey) -> Iterator[tuple[Change, float, float]]:
        changes = self.changes.get(key, [])
        for change, following in zip(changes, [*changes[1:], None]):
            yield change, change.at_s, float("inf") if following is None else following.at_s

    def _change(self, event: RegistryEvent, at_s: int) -> None:
        args = event.args
        key = (args["model"], args["target"])
        proposal, cause = args["proposalId"], args["cause"]
        approvers: list[Address] = []
        if cause is Cause.PROMOTED:
            approvers = self._approvals.get(proposal, [])
        elif cause in (Cause.ROLLED_BACK, Cause.REMOVED):
            approvers = self._returns.pop((*key, args["sequence"] - 1), [])
        policy = self.policy(key)
        self.changes[key].append(
            Change(
                args["version"],
                args["sequence"],
                cause,
                proposal,
                at_s,
                event.block_number,
                event.tx_hash,
                tuple(approvers),
                0 if policy is None else policy.threshold,
                self._breakers.get(proposal) if cause is Cause.BROKE_GLASS else None,
            )
        )
        self.open.discard(proposal)

    def _forget(self, group: bytes, account: Address) -> None:
        """What a removed member approved counts no more where nothing was promoted yet."""
        for proposal in self.open:
            fields = self.proposals[proposal]
            policy = self.policy((fields.model, fields.target))
            if policy is not None and policy.group == group:
                kept = [a for a in self._approvals[proposal] if a != account]
                self._approvals[proposal] = kept
