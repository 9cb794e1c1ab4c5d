"""What changed about proposals, one by one, from the registry's events and from time. Pure.

Names are given by `chain_client.relay.proposal_changes`. Signatures here are stable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from chain_client.ledger.model_registry_values import (
    ANY_MODEL,
    Policy,
    ProposalStatus,
    RegistryEvent,
)
from chain_client.notices import ChangeKind
from chain_client.registry.state import ProposalRecord, RegistryState
from chain_client.types import Address, Digest, TxHash


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """How far the registry's history was told.

    Args:
        block: of the last event.
        index: of that event among the registry's events of its block, from 0.
        at_s: up to which second everything was told that time alone brings about.
    """

    block: int
    index: int
    at_s: int


@dataclass(frozen=True, slots=True)
class RawChange:
    """A change of a proposal, by ids and addresses; fields as in `ProposalChange`."""

    kind: ChangeKind
    record: ProposalRecord
    at_s: int
    block_number: int
    tx_hash: TxHash | None
    actor: Address | None
    approved_by: tuple[Address, ...]
    threshold: int
    may_still_approve: tuple[Address, ...]
    earliest_s: int
    is_open: bool
    reason_hash: Digest | None = None

    def to_id(self, chain_id: int, registry: bytes) -> str:
        """The same wherever and whenever it is told, and no other change's: 32 hex digits."""
        cause = self.tx_hash or str(self.at_s).encode()
        parts = (registry, self.record.id, self.kind.encode(), cause, self.actor or b"")
        text = b"/".join([str(chain_id).encode(), *(part.hex().encode() for part in parts)])
        return hashlib.sha256(text).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class ChangeGroup:
    """What one event, or one moment, changed; it is told as a whole.

    Args:
        changes: never empty.
        position: up to where everything is told once these are.
    """

    changes: tuple[RawChange, ...]
    position: Position


@dataclass(slots=True)
class _Open:
    """What was told of an open proposal."""

    has_quorum: bool = False
    is_ripe: bool = False
    is_stuck: bool = False
    """That it can't be promoted any more, though the contract would still close it."""


class ChangeBook:
    """Gathers changes, in order, from the events of the registry and the time between them."""

    def __init__(self) -> None:
        self.state = RegistryState()
        self._open: dict[Digest, _Open] = {}
        self._position = Position(0, -1, 0)

    def take(self, event: RegistryEvent, index: int, at_s: int) -> Iterator[ChangeGroup]:
        """What the next event changes, after what time brought about before it.

        Args:
            event: the next one in chain order.
            index: among the events of its block, from 0.
            at_s: time of its block.
        """
        yield from self.pass_time(at_s - 1, event.block_number)
        self.state.apply(event, at_s)
        changes = tuple(self._changes(event, at_s))
        self._position = Position(event.block_number, index, self._position.at_s)
        if changes:
            yield ChangeGroup(changes, self._position)

    def pass_time(self, now_s: int, block_number: int) -> Iterator[ChangeGroup]:
        """What time alone changed since the last call.

        Args:
            now_s: block time; no later event is older.
            block_number: that saw it.
        """
        while (moment := self._next_moment(now_s)) is not None:
            self._position = replace(self._position, at_s=max(moment, self._position.at_s))
            changes = tuple(self._changes_of_time(moment, block_number))
            yield ChangeGroup(changes, self._position)
        self._position = replace(self._position, at_s=max(now_s, self._position.at_s))

    @property
    def position(self) -> Position:
        """Up to where everything was taken."""
        return self._position

    # --- time

    def _next_moment(self, now_s: int) -> int | None:
        moments = [
            moment
            for key, told in self._open.items()
            for moment in self._moments(self.state.proposals[key], told)
            if moment <= now_s
        ]
        return min(moments, default=None)

    def _moments(self, record: ProposalRecord, told: _Open) -> Iterator[int]:
        if told.is_stuck:
            return
        if told.has_quorum and not told.is_ripe:
            yield self._earliest_s(record)
        yield record.fields.deadline_s + 1

    def _changes_of_time(self, moment: int, block_number: int) -> Iterator[RawChange]:
        for key, told in list(self._open.items()):
            record = self.state.proposals[key]
            if told.is_stuck or moment not in self._moments(record, told):
                continue
            if moment > record.fields.deadline_s:
                told.is_stuck = True
                yield self._change(ChangeKind.EXPIRED, record, moment, block_number, is_open=False)
            else:
                told.is_ripe = True
                yield self._change(ChangeKind.PROMOTABLE, record, moment, block_number)

    # --- events

    def _changes(self, event: RegistryEvent, at_s: int) -> Iterator[RawChange]:
        args, place = event.args, (event, at_s)
        match event.name:
            case "ProposalMade":
                yield from self._made(event, at_s)
            case "ProposalApproved":
                yield from self._approved(event, at_s)
            case "ProposalReviewed":
                yield from self._told(ChangeKind.REVIEWED, *place, actor=args["reviewer"])
            case "ProposalRejected":
                yield from self._closed(
                    ChangeKind.REJECTED, *place, actor=args["approver"], reason=args["reason"]
                )
            case "ProposalWithdrawn":
                yield from self._closed(ChangeKind.WITHDRAWN, *place, actor=args["requester"])
            case "GlassBroken":
                yield from self._closed(
                    ChangeKind.GLASS_BROKEN, *place, actor=args["breaker"], reason=args["reason"]
                )
            case "CurrentChanged":
                record = self.state.proposals.get(args["proposalId"])
                if record is not None and record.status is ProposalStatus.PROMOTED:
                    yield from self._promoted(event, at_s)
            case "VersionRevoked":
                yield from self._revoked(event, at_s)
            case "PolicySet":
                yield from self._policy_set(event, at_s)
            case "ApproverRemoved" | "ApproverAdded":
                self._count_again()
            case _:
                pass

    def _made(self, event: RegistryEvent, at_s: int) -> Iterator[RawChange]:
        self._open[event.args["proposalId"]] = _Open()
        requester = event.args["proposal"].requester
        yield from self._told(ChangeKind.PROPOSED, event, at_s, actor=requester)

    def _approved(self, event: RegistryEvent, at_s: int) -> Iterator[RawChange]:
        key, kind = event.args["proposalId"], ChangeKind.APPROVED
        told = self._open.get(key)
        if told is not None and not told.has_quorum:
            record = self.state.proposals[key]
            told.has_quorum = self._has_quorum(record)
            if told.has_quorum:
                kind = ChangeKind.QUORUM
                # Without a delay, or after it, that is all there is to tell.
                told.is_ripe = self._earliest_s(record) <= at_s
        yield from self._told(kind, event, at_s, actor=event.args["approver"])

    def _promoted(self, event: RegistryEvent, at_s: int) -> Iterator[RawChange]:
        key = event.args["proposalId"]
        if key in self._open:
            yield from self._closed(ChangeKind.PROMOTED, event, at_s)

    def _revoked(self, event: RegistryEvent, at_s: int) -> Iterator[RawChange]:
        version = event.args["model"], event.args["version"]
        for key, told in self._open.items():
            record = self.state.proposals[key]
            if (record.fields.model, record.fields.version) == version and not told.is_stuck:
                told.is_stuck = True
                yield self._change(
                    ChangeKind.REVOKED,
                    record,
                    at_s,
                    event.block_number,
                    event.tx_hash,
                    event.args["revoker"],
                    event.args["reason"],
                    is_open=False,
                )

    def _policy_set(self, event: RegistryEvent, at_s: int) -> Iterator[RawChange]:
        if event.args["model"] not in {ANY_MODEL, *(r.fields.model for r in self._records())}:
            return
        for key, told in self._open.items():
            fields = self.state.proposals[key].fields
            in_force = self.state.policy(fields.model, fields.target)
            if told.is_stuck or (in_force and in_force.policy_hash == fields.policy_hash):
                continue
            told.is_stuck = True
            yield self._change(
                ChangeKind.POLICY_CHANGED,
                self.state.proposals[key],
                at_s,
                event.block_number,
                event.tx_hash,
                is_open=False,
            )

    def _count_again(self) -> None:
        """Who left a group counts no more; what was told of a quorum may not hold any more."""
        for key, told in self._open.items():
            if told.has_quorum and not self._has_quorum(self.state.proposals[key]):
                told.has_quorum = told.is_ripe = False

    def _told(
        self, kind: ChangeKind, event: RegistryEvent, at_s: int, *, actor: Address
    ) -> Iterator[RawChange]:
        record = self.state.proposals.get(event.args["proposalId"])
        if record is not None:
            yield self._change(kind, record, at_s, event.block_number, event.tx_hash, actor)

    def _closed(
        self,
        kind: ChangeKind,
        event: RegistryEvent,
        at_s: int,
        *,
        actor: Address | None = None,
        reason: Digest | None = None,
    ) -> Iterator[RawChange]:
        key = event.args["proposalId"]
        self._open.pop(key, None)
        record = self.state.proposals.get(key)
        if record is not None:
            yield self._change(
                kind, record, at_s, event.block_number, event.tx_hash, actor, reason, is_open=False
            )

    # --- how a proposal stands

    def _records(self) -> Iterator[ProposalRecord]:
        return (self.state.proposals[key] for key in self._open)

    def _change(
        self,
        kind: ChangeKind,
        record: ProposalRecord,
        at_s: int,
        block_number: int,
        tx_hash: TxHash | None = None,
        actor: Address | None = None,
        reason: Digest | None = None,
        *,
        is_open: bool | None = None,
    ) -> RawChange:
        fields = record.fields
        told = self._open.get(record.id)
        still = told is not None and not told.is_stuck if is_open is None else is_open
        approved, members = self._approved_by(record), self._members(record)
        version = self.state.versions.get((fields.model, fields.version))
        barred = {fields.requester, None if version is None else version.registrant, *approved}
        return RawChange(
            kind=kind,
            record=record,
            at_s=at_s,
            block_number=block_number,
            tx_hash=tx_hash,
            actor=actor,
            approved_by=approved,
            threshold=self._threshold(record),
            may_still_approve=tuple(m for m in members if m not in barred) if still else (),
            earliest_s=self._earliest_s(record),
            is_open=still,
            reason_hash=reason if reason and any(reason) else None,
        )

    def _threshold(self, record: ProposalRecord) -> int:
        policy = self._policy(record)
        return 0 if policy is None else policy.threshold

    def _policy(self, record: ProposalRecord) -> Policy | None:
        fields = record.fields
        found = self.state.policy_by_hash(fields.model, fields.target, fields.policy_hash)
        return None if found is None else found.policy

    def _members(self, record: ProposalRecord) -> tuple[Address, ...]:
        policy = self._policy(record)
        return () if policy is None else self.state.members(policy.group)

    def _approved_by(self, record: ProposalRecord) -> tuple[Address, ...]:
        members = self._members(record)
        return tuple(address for address in record.approved_by if address in members)

    def _has_quorum(self, record: ProposalRecord) -> bool:
        return 0 < self._threshold(record) <= len(self._approved_by(record))

    def _earliest_s(self, record: ProposalRecord) -> int:
        policy = self._policy(record)
        return record.made_at_s + (0 if policy is None else policy.min_delay_s)
