"""What was current, gated and revoked when, and by whose approvals. Pure.

What the registry holds is folded by `chain_client.registry.state`; what only its events tell of
how it came there is added here.
"""

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
    ProposalStatus,
    RegistryEvent,
)
from chain_client.registry.state import RegistryState
from chain_client.types import Address, Digest, TxHash

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


@dataclass(slots=True)
class Timeline:
    """The history of one registry up to a block.

    Args:
        state: what it holds there.
        changes: of each target, in chain order.
        revoked: block time, by model and number of the version.
    """

    state: RegistryState = field(default_factory=RegistryState)
    changes: defaultdict[TargetKey, list[Change]] = field(default_factory=lambda: defaultdict(list))
    revoked: dict[tuple[bytes, int], int] = field(default_factory=dict)
    _void: set[tuple[bytes, Address]] = field(default_factory=set)
    _returns: defaultdict[tuple[bytes, bytes, int], list[Address]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _breakers: dict[bytes, Address] = field(default_factory=dict)

    def add(self, event: RegistryEvent, at_s: int) -> None:
        """Take the next event, of a block with that time."""
        args = event.args
        match event.name:
            case "VersionRevoked":
                self.revoked.setdefault((args["model"], args["version"]), at_s)
            case "ApproverRemoved":
                self._forget(args["group"], args["account"])
            case "ProposalApproved":
                self._void.discard((args["proposalId"], args["approver"]))
            case "ReturnApproved":
                key = (args["model"], args["target"], args["sequence"])
                self._returns[key].append(args["approver"])
            case "GlassBroken":
                self._breakers[args["proposalId"]] = args["breaker"]
            case "CurrentChanged":
                self._change(event, at_s)
            case _:
                pass
        self.state.apply(event, at_s)

    def current(self, key: TargetKey) -> Change | None:
        """The latest change of a target; None if it never had one."""
        changes = self.changes.get(key)
        return changes[-1] if changes else None

    def sequence_at(self, key: TargetKey, at_s: float) -> int:
        """How often a target had changed at a time."""
        return max((c.sequence for c in self.changes.get(key, ()) if c.at_s <= at_s), default=0)

    def policy(self, key: TargetKey) -> Policy | None:
        """The policy in force: the model's own, else the default."""
        found = self.state.policy(Digest(key[0]), Digest(key[1]))
        return None if found is None else found.policy

    def policy_at(self, key: TargetKey, at_s: float) -> Policy | None:
        """The policy that was in force at a time."""
        for model in (key[0], ANY_MODEL):
            for interval in self.state.policies.get((Digest(model), Digest(key[1])), ()):
                ends = float("inf") if interval.until_s is None else interval.until_s
                if interval.policy is not None and interval.since_s <= at_s < ends:
                    return interval.policy
        return None

    def gated(self) -> Iterator[tuple[int, int | None]]:
        """From and to when each policy stood; None: it stands."""
        for intervals in self.state.policies.values():
            for interval in intervals:
                if interval.policy is not None:
                    yield interval.since_s, interval.until_s

    def may_have_been(self, key: TargetKey, version: int, from_s: float, to_s: float) -> bool:
        """Whether a version (zero for none) was current at any time in a span."""
        changes = self.changes.get(key, [])
        if version == 0 and (not changes or changes[0].at_s >= from_s):
            return True
        for change, following in zip(changes, [*changes[1:], None]):
            ends = float("inf") if following is None else following.at_s
            if change.version == version and change.at_s <= to_s and from_s <= ends:
                return True
        return False

    def was_always(self, key: TargetKey, version: int, from_s: float, to_s: float) -> bool:
        """Whether a version was current all through a span."""
        changes = self.changes.get(key, [])
        before = [change for change in changes if change.at_s <= from_s]
        within = [change for change in changes if from_s < change.at_s <= to_s]
        return bool(before) and all(c.version == version for c in (before[-1], *within))

    def open(self) -> dict[Digest, ProposalFields]:
        """Proposals that are not closed, in the order in which they were made; their deadline may
        have passed."""
        return {
            key: record.fields
            for key, record in self.state.proposals.items()
            if record.status is ProposalStatus.OPEN
        }

    def approvers(self, proposal: bytes) -> tuple[Address, ...]:
        """Whose approvals of a proposal count: who left the group since is none of them."""
        found = self.state.proposals[Digest(proposal)].approved_by
        return tuple(a for a in dict.fromkeys(found) if (proposal, a) not in self._void)

    def has_quorum(self, proposal: bytes) -> bool:
        """Whether an open proposal may have all its approvals; the contract has the last word."""
        fields = self.state.proposals[Digest(proposal)].fields
        policy = self.policy((fields.model, fields.target))
        return policy is not None and len(self.approvers(proposal)) >= policy.threshold

    def earliest_s(self, proposal: bytes) -> int:
        """Block time from which an open proposal can be promoted."""
        record = self.state.proposals[Digest(proposal)]
        policy = self.policy((record.fields.model, record.fields.target))
        return record.made_at_s + (0 if policy is None else policy.min_delay_s)

    def commitment(self, model: bytes, version: int) -> bytes | None:
        """Salted digest of a registered version."""
        record = self.state.versions.get((Digest(model), version))
        return None if record is None else record.digest

    def _change(self, event: RegistryEvent, at_s: int) -> None:
        args = event.args
        key = (args["model"], args["target"])
        proposal, cause = args["proposalId"], args["cause"]
        approvers: tuple[Address, ...] = ()
        if cause is Cause.PROMOTED:
            approvers = self.approvers(proposal)
        elif cause in (Cause.ROLLED_BACK, Cause.REMOVED):
            approvers = tuple(self._returns.pop((*key, args["sequence"] - 1), ()))
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
                approvers,
                0 if policy is None else policy.threshold,
                self._breakers.get(proposal) if cause is Cause.BROKE_GLASS else None,
            )
        )

    def _forget(self, group: bytes, account: Address) -> None:
        """What a removed member approved counts no more where nothing was promoted yet."""
        for proposal, fields in self.open().items():
            policy = self.policy((fields.model, fields.target))
            if policy is not None and policy.group == group:
                self._void.add((proposal, account))
