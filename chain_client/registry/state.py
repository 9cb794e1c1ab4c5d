"""What the registry holds, folded from its events alone: currents, proposals, policies, groups.

Pure, and whole: the contract's events tell its whole history. Signatures here are stable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from chain_client.ledger.model_registry_values import (
    ANY_MODEL,
    Cause,
    Policy,
    PolicyInForce,
    ProposalFields,
    ProposalStatus,
    RegistryEvent,
    VersionRecord,
)
from chain_client.types import Address, Digest

Place: TypeAlias = tuple[Digest, Digest]
"""A model's incarnation and a target, as they stand on chain."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of what is current for a target.

    Args:
        model: the incarnation.
        target: the target.
        version: current since then; 0 for none.
        sequence: number of the change, from 1.
        cause: why.
        proposal_id: by which the version was first promoted; None for a removal.
        at_s: block time.
        block_number: the block.
    """

    model: Digest
    target: Digest
    version: int
    sequence: int
    cause: Cause
    proposal_id: Digest | None
    at_s: int
    block_number: int


@dataclass(frozen=True, slots=True)
class ProposalRecord:
    """A proposal as the events tell it.

    Args:
        id: its id.
        fields: what was proposed.
        status: OPEN also once its deadline has passed.
        made_at_s: block time.
        approved_by: everybody who ever approved, in order; who left the group counts no more.
        reviewed_by: everybody who reviewed.
        closed_at_s: block time of promotion, rejection or withdrawal; None while it is open.
    """

    id: Digest
    fields: ProposalFields
    status: ProposalStatus
    made_at_s: int
    approved_by: tuple[Address, ...] = ()
    reviewed_by: tuple[Address, ...] = ()
    closed_at_s: int | None = None


@dataclass(frozen=True, slots=True)
class PolicyInterval:
    """A policy and how long it stood; ``policy`` None: taken away. ``until_s`` None: stands."""

    policy: Policy | None
    policy_hash: Digest
    since_s: int
    until_s: int | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """A seat, whose it was, and how long. ``until_s`` None: still is."""

    address: Address
    seat: int
    since_s: int
    until_s: int | None = None


@dataclass(slots=True)
class RegistryState:
    """Everything that the registry holds after some block.

    Args:
        changes: of each place, oldest first; the last one is how it stands.
        proposals: every proposal by id.
        versions: every registered version by (model, number).
        policies: of each place, oldest first; defaults under `ANY_MODEL`.
        groups: every seat ever given, by group.
        roles: who has which role.
        is_paused: whether the registry is paused.
        successor: the registry that took its place, if one did.
        block_number: block of the last event.
    """

    changes: dict[Place, list[Change]] = field(default_factory=dict)
    proposals: dict[Digest, ProposalRecord] = field(default_factory=dict)
    versions: dict[tuple[Digest, int], VersionRecord] = field(default_factory=dict)
    policies: dict[Place, list[PolicyInterval]] = field(default_factory=dict)
    groups: dict[Digest, list[Membership]] = field(default_factory=dict)
    roles: dict[Digest, set[Address]] = field(default_factory=dict)
    is_paused: bool = False
    successor: Address | None = None
    block_number: int = 0

    def current(self, model: Digest, target: Digest) -> Change | None:
        """The last change of a place, also one that left it without a version; None if it never
        had one."""
        changes = self.changes.get((model, target))
        return changes[-1] if changes else None

    def currents(self) -> list[Change]:
        """How every place stands that has a current version."""
        return [changes[-1] for changes in self.changes.values() if changes[-1].version]

    def formerly_current(self, model: Digest, target: Digest) -> list[Change]:
        """Promotions that a rollback may return to: unrevoked and not current, latest first, one
        for each proposal."""
        now = self.current(model, target)
        found: dict[Digest, Change] = {}
        for change in reversed(self.changes.get((model, target), [])):
            record = self.versions.get((model, change.version))
            if change.proposal_id is None or record is None or record.is_revoked:
                continue
            if now is None or change.version != now.version:
                found.setdefault(change.proposal_id, change)
        return list(found.values())

    def open_proposals(self, now_s: int) -> list[ProposalRecord]:
        """Proposals that can still be approved, by the age of their deadline."""
        found = [
            record
            for record in self.proposals.values()
            if record.status is ProposalStatus.OPEN and record.fields.deadline_s >= now_s
        ]
        return sorted(found, key=lambda record: (record.fields.deadline_s, record.id))

    def policy(self, model: Digest, target: Digest) -> PolicyInterval | None:
        """The policy in force for a place: the model's own, else the default; None if none is."""
        for owner in (model, ANY_MODEL):
            intervals = self.policies.get((owner, target))
            if intervals and intervals[-1].policy is not None:
                return intervals[-1]
        return None

    def policy_by_hash(
        self, model: Digest, target: Digest, policy_hash: Digest
    ) -> PolicyInForce | None:
        """The policy that was once in force for a place under this hash."""
        for owner in (model, ANY_MODEL):
            for interval in self.policies.get((owner, target), []):
                if interval.policy is not None and interval.policy_hash == policy_hash:
                    return PolicyInForce(interval.policy, policy_hash, owner == ANY_MODEL)
        return None

    def own_policies(self) -> dict[Place, Policy]:
        """Every policy that stands now, under the place it was set for."""
        return {
            place: intervals[-1].policy
            for place, intervals in self.policies.items()
            if intervals[-1].policy is not None
        }

    def members(self, group: Digest) -> tuple[Address, ...]:
        """Who is a member of a group now, by seat."""
        return tuple(seat.address for seat in self.groups.get(group, []) if seat.until_s is None)

    def apply(self, event: RegistryEvent, at_s: int) -> None:
        """Take one more event in.

        Args:
            event: the next one in chain order.
            at_s: time of its block.
        """
        step = _STEPS.get(event.name)
        if step is not None:
            step(self, event.args, at_s, event.block_number)
        self.block_number = max(self.block_number, event.block_number)


def fold(events: Iterable[RegistryEvent], times: Mapping[int, int]) -> RegistryState:
    """What the registry holds after these events.

    Args:
        events: all of the contract's, in chain order.
        times: seconds since the epoch by block number, for every block of the events.
    """
    state = RegistryState()
    for event in events:
        state.apply(event, times[event.block_number])
    return state


_Args: TypeAlias = Mapping[str, Any]


def _version_registered(state: RegistryState, args: _Args, at_s: int, block: int) -> None:
    state.versions[args["model"], args["version"]] = VersionRecord(
        args["digest"], args["registrant"], args["leafIndex"], at_s, False
    )


def _version_revoked(state: RegistryState, args: _Args, at_s: int, block: int) -> None:
    key = args["model"], args["version"]
    if key in state.versions:
        state.versions[key] = replace(state.versions[key], is_revoked=True)


def _policy_set(state: RegistryState, args: _Args, at_s: int, block: int) -> None:
    intervals = state.policies.setdefault((args["model"], args["target"]), [])
    if intervals:
        intervals[-1] = replace(intervals[-1], until_s=at_s)
    policy: Policy = args["policy"]
    stands = policy if policy.threshold else None
    intervals.append(PolicyInterval(stands, args["policyHash"], at_s))


def _proposal_made(state: RegistryState, args: _Args, at_s: int, block: int) -> None:
    key = args["proposalId"]
    state.proposals[key] = ProposalRecord(key, args["proposal"], ProposalStatus.OPEN, at_s)


def _proposal_approved(state: RegistryState, args: _Args, at_s: int, block: int) -> None:
    _change_proposal(
        state, args, lambda record: {"approved_by": (*record.approved_by, args["approver"])}
    )


def _proposal_reviewed(state: RegistryState, args: _Args, at_s: int, block: int) -> None:
    _change_proposal(
        state, args, lambda record: {"reviewed_by": (*record.reviewed_by, args["reviewer"])}
    )


def _proposal_rejected(state: RegistryState, args: _Args, at_s: int, block: int) -> None:
    _close(state, args, ProposalStatus.REJECTED, at_s)


def _proposal_withdrawn(state: RegistryState, args: _Args, at_s: int, block: int) -> None:
    _close(state, args, ProposalStatus.WITHDRAWN, at_s)


def _current_changed(state: RegistryState, args: _Args, at_s: int, block: int) -> None:
    proposal_id = args["proposalId"] if any(args["proposalId"]) else None
    change = Change(
        args["model"],
        args["target"],
        args["version"],
        args["sequence"],
        args["cause"],
        proposal_id,
        at_s,
        block,
    )
    state.changes.setdefault((change.model, change.target), []).append(change)
    if change.cause in (Cause.PROMOTED, Cause.BROKE_GLASS):
        _close(state, args, ProposalStatus.PROMOTED, at_s)


def _approver_added(state: RegistryState, args: _Args, at_s: int, block: int) -> None:
    seat = Membership(args["account"], args["seat"], at_s)
    state.groups.setdefault(args["group"], []).append(seat)


def _approver_removed(state: RegistryState, args: _Args, at_s: int, block: int) -> None:
    seats = state.groups.get(args["group"], [])
    for place, seat in enumerate(seats):
        if seat.seat == args["seat"]:
            seats[place] = replace(seat, until_s=at_s)


def _role_granted(state: RegistryState, args: _Args, at_s: int, block: int) -> None:
    state.roles.setdefault(args["role"], set()).add(args["account"])


def _role_revoked(state: RegistryState, args: _Args, at_s: int, block: int) -> None:
    state.roles.get(args["role"], set()).discard(args["account"])


def _paused(state: RegistryState, args: _Args, at_s: int, block: int) -> None:
    state.is_paused = True


def _unpaused(state: RegistryState, args: _Args, at_s: int, block: int) -> None:
    state.is_paused = False


def _registry_succeeded(state: RegistryState, args: _Args, at_s: int, block: int) -> None:
    state.successor = args["successor"]


def _close(state: RegistryState, args: _Args, status: ProposalStatus, at_s: int) -> None:
    _change_proposal(state, args, lambda record: {"status": status, "closed_at_s": at_s})


def _change_proposal(
    state: RegistryState, args: _Args, change: Callable[[ProposalRecord], dict[str, Any]]
) -> None:
    record = state.proposals.get(args["proposalId"])
    if record is not None:
        state.proposals[record.id] = replace(record, **change(record))


_STEPS: Mapping[str, Callable[[RegistryState, _Args, int, int], None]] = {
    "VersionRegistered": _version_registered,
    "VersionRevoked": _version_revoked,
    "PolicySet": _policy_set,
    "ProposalMade": _proposal_made,
    "ProposalApproved": _proposal_approved,
    "ProposalReviewed": _proposal_reviewed,
    "ProposalRejected": _proposal_rejected,
    "ProposalWithdrawn": _proposal_withdrawn,
    "CurrentChanged": _current_changed,
    "ApproverAdded": _approver_added,
    "ApproverRemoved": _approver_removed,
    "RoleGranted": _role_granted,
    "RoleRevoked": _role_revoked,
    "Paused": _paused,
    "Unpaused": _unpaused,
    "RegistrySucceeded": _registry_succeeded,
}
"""What each event changes; the others change nothing that is kept here."""
