"""What the `ModelRegistry` contract keeps, as plain values. The contract: `model_registry`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from chain_client.types import Address, Digest, TxHash

ADMIN_ROLE = Digest(bytes(32))
"""Sets policies, groups and roles; ``DEFAULT_ADMIN_ROLE``."""
REGISTRAR_ROLE = Digest(
    bytes.fromhex("edcc084d3dcd65a1f7f23c65c46722faca6953d28e43150a467cf43e5c309238")
)
"""Registers versions."""
REQUESTER_ROLE = Digest(
    bytes.fromhex("61a3517f153a09154844ed8be639dabc6e78dc22315c2d9a91f7eddf9398c002")
)
"""Asks for promotions."""
BREAKER_ROLE = Digest(
    bytes.fromhex("a42ba706c23e2ffe6797a85f1a62e5943c6267a62c42aa92111d41ba35dcc88c")
)
"""Promotes without a quorum, revokes versions, pauses."""
ROLE_NAMES: Mapping[Digest, str] = {
    ADMIN_ROLE: "admin",
    REGISTRAR_ROLE: "registrar",
    REQUESTER_ROLE: "requester",
    BREAKER_ROLE: "breaker",
}
"""What people call the roles."""
ANY_MODEL = Digest(bytes(32))
"""The model under which default policies stand."""


class Cause(IntEnum):
    """How a version became current, or what ended it."""

    NONE = 0
    PROMOTED = 1
    ROLLED_BACK = 2
    BROKE_GLASS = 3
    REMOVED = 4


class ProposalStatus(IntEnum):
    """How a proposal stands; NONE: the contract knows no such proposal."""

    NONE = 0
    OPEN = 1
    PROMOTED = 2
    REJECTED = 3
    WITHDRAWN = 4


@dataclass(frozen=True, slots=True)
class ProposalFields:
    """A proposal as the contract takes it; the hash of these fields is its id.

    Args:
        model: the incarnation of a registered model.
        target: salted hash of the alias or stage.
        version: number of the version.
        digest: salted digest of the version's files.
        policy_hash: of the policy in force.
        summary_hash: keccak-256 of the readable summary.
        evidence_hash: of the list of evidence; zero for none.
        evidence_kinds: a bit for each kind in that list.
        deadline_s: last second in which it can be approved or promoted.
        requester: who asks, and signs.
        supersedes: a closed proposal that this one takes up again; zero for none.
        nonce: 32 random bytes.
    """

    model: Digest
    target: Digest
    version: int
    digest: Digest
    policy_hash: Digest
    summary_hash: Digest
    evidence_hash: Digest
    evidence_kinds: int
    deadline_s: int
    requester: Address
    supersedes: Digest
    nonce: Digest

    def to_tuple(self) -> tuple[Any, ...]:
        """The members in the order of the contract's struct."""
        return (
            self.model,
            self.target,
            self.version,
            self.digest,
            self.policy_hash,
            self.summary_hash,
            self.evidence_hash,
            self.evidence_kinds,
            self.deadline_s,
            self.requester,
            self.supersedes,
            self.nonce,
        )

    @classmethod
    def from_tuple(cls, members: tuple[Any, ...]) -> ProposalFields:
        """The fields that `to_tuple` gave."""
        return cls(*members)


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may decide about a target, and how.

    Args:
        group: whose members approve.
        threshold: of how many approvals; zero: there is no policy.
        min_delay_s: from the proposal to the earliest promotion.
        expiry_s: how long a proposal may stay open at most.
        evidence_kinds: a bit for each kind that a proposal has to bring.
        revision: counts what was ever applied for this model and target; the contract sets it.
    """

    group: Digest
    threshold: int
    min_delay_s: int
    expiry_s: int
    evidence_kinds: int = 0
    revision: int = 0

    def to_tuple(self) -> tuple[Any, ...]:
        """The members in the order of the contract's struct."""
        return (
            self.group,
            self.threshold,
            self.min_delay_s,
            self.expiry_s,
            self.evidence_kinds,
            self.revision,
        )

    @classmethod
    def from_tuple(cls, members: tuple[Any, ...]) -> Policy:
        """The policy that `to_tuple` gave."""
        return cls(*members)


@dataclass(frozen=True, slots=True)
class Current:
    """What is current for a target.

    Args:
        version: number of the version; zero: none.
        digest: its salted digest; zero if there is none.
        sequence: counts every change of this target.
        since_s: block time of the last change; zero if there was none.
        cause: how the version became current, or what ended it.
        is_revoked: the version was revoked since.
    """

    version: int
    digest: Digest
    sequence: int
    since_s: int
    cause: Cause
    is_revoked: bool


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """The policy of a target: the model's own, else the default.

    Args:
        policy: None if the target is not gated.
        policy_hash: what proposals have to name; zero if there is none.
        is_default: it is the default, not the model's own.
    """

    policy: Policy | None
    policy_hash: Digest
    is_default: bool


@dataclass(frozen=True, slots=True)
class ProposalState:
    """How a proposal stands. ``approvals`` and ``reviews``: bits of the group's seats."""

    status: ProposalStatus
    made_at_s: int
    deadline_s: int
    approvals: int
    reviews: int


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A registered version.

    Args:
        digest: salted digest of its files.
        registrant: who registered it.
        leaf_index: leaf of its attestation in the log.
        registered_at_s: block time.
        is_revoked: it can be promoted no more.
    """

    digest: Digest
    registrant: Address
    leaf_index: int
    registered_at_s: int
    is_revoked: bool


@dataclass(frozen=True, slots=True)
class Member:
    """Who has, or had, a seat in a group of approvers."""

    address: Address
    seat: int
    is_member: bool


@dataclass(frozen=True, slots=True)
class RegistryEvent:
    """An event of the contract.

    Args:
        name: such as ``ProposalMade``.
        args: by the contract's names; ``policy`` is a `Policy`, ``proposal`` are
            `ProposalFields`, ``cause`` is a `Cause`.
        block_number: block that holds it.
        tx_hash: transaction that caused it.
    """

    name: str
    args: Mapping[str, Any]
    block_number: int
    tx_hash: TxHash
