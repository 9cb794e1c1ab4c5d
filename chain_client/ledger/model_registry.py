"""Typed binding of the `ModelRegistry` contract: what may be promoted, and what is current.

Views ask a ledger; the ``*_call`` builders (`model_registry_calls`) are pure and say what to
send, which the transaction queue does. The contract itself is `contracts/src/ModelRegistry.sol`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chain_client.errors import ContractReverted
from chain_client.ledger.abi import load_abi
from chain_client.ledger.base import BlockTag, EventRecord, Ledger
from chain_client.ledger.model_registry_calls import ModelRegistryCalls, deploy_call
from chain_client.ledger.model_registry_refusals import CONTRACT, explain, explain_data
from chain_client.ledger.model_registry_values import (
    ADMIN_ROLE,
    ANY_MODEL,
    BREAKER_ROLE,
    REGISTRAR_ROLE,
    REQUESTER_ROLE,
    ROLE_NAMES,
    Cause,
    Current,
    Member,
    Policy,
    PolicyInForce,
    ProposalFields,
    ProposalState,
    ProposalStatus,
    RegistryEvent,
    VersionRecord,
)
from chain_client.ledger.ranges import block_ranges
from chain_client.ledger.views import read_view
from chain_client.types import Address, Digest

__all__ = [
    "ADMIN_ROLE",
    "ANY_MODEL",
    "BREAKER_ROLE",
    "CONTRACT",
    "REGISTRAR_ROLE",
    "REQUESTER_ROLE",
    "ROLE_NAMES",
    "Cause",
    "Current",
    "Member",
    "ModelRegistryContract",
    "Policy",
    "PolicyInForce",
    "ProposalFields",
    "ProposalState",
    "ProposalStatus",
    "RegistryEvent",
    "VersionRecord",
    "decode_event",
    "deploy_call",
    "event_topic",
    "explain",
]

_MEMBERS: Mapping[str, Callable[[Any], object]] = {
    "policy": Policy.from_tuple,
    "proposal": ProposalFields.from_tuple,
    "cause": Cause,
}


class ModelRegistryContract(ModelRegistryCalls):
    """The contract at an address of a ledger. Every view may raise what the ledger raises.

    Args:
        ledger: where the contract is.
        address: at which address.
    """

    def __init__(self, ledger: Ledger, address: Address) -> None:
        super().__init__(address)
        self._ledger = ledger

    def current(self, model: bytes, target: bytes, at: BlockTag | int = "latest") -> Current:
        """What is current for a target, and since when.

        Raises:
            ContractMissing: there is no such contract at the address.
        """
        version, digest, sequence, since_s, cause, revoked = self._view(
            "current", model, target, at=at
        )
        return Current(version, Digest(digest), sequence, since_s, Cause(cause), revoked)

    def policy(self, model: bytes, target: bytes, at: BlockTag | int = "latest") -> PolicyInForce:
        """The policy in force for a target: the model's own, else the default."""
        members, policy_hash, is_default = self._view("policyOf", model, target, at=at)
        policy = Policy.from_tuple(members)
        return PolicyInForce(policy if policy.threshold else None, Digest(policy_hash), is_default)

    def proposal(self, proposal_id: bytes, at: BlockTag | int = "latest") -> ProposalState:
        """How a proposal stands; of one that the contract does not know, status NONE."""
        status, *rest = self._view("proposal", proposal_id, at=at)[0]
        return ProposalState(ProposalStatus(status), *rest)

    def version(
        self, model: bytes, version: int, at: BlockTag | int = "latest"
    ) -> VersionRecord | None:
        """What is registered of a version; None if nothing is."""
        (members,) = self._view("versionOf", model, version, at=at)
        return VersionRecord(*members) if any(members[0]) else None

    def approvers(self, group: bytes, at: BlockTag | int = "latest") -> tuple[Member, ...]:
        """Everybody who ever was a member of a group, by seat."""
        accounts, taken = self._view("approversOf", group, at=at)
        return tuple(
            Member(account, seat, bool(taken >> seat & 1)) for seat, account in enumerate(accounts)
        )

    def is_approver(self, group: bytes, account: Address, at: BlockTag | int = "latest") -> bool:
        """Whether an account is a member of a group now."""
        return bool(self._view("isApprover", group, account, at=at)[0])

    def is_promotable(
        self, fields: ProposalFields, at: BlockTag | int = "latest"
    ) -> ContractReverted | None:
        """Why a proposal can't be promoted now; None if it can."""
        promotable, reason = self._view("isPromotable", fields.to_tuple(), at=at)
        return None if promotable else explain_data(reason)

    def id_of(self, fields: ProposalFields) -> Digest:
        """A proposal's id, as the contract computes it."""
        return Digest(self._view("idOf", fields.to_tuple())[0])

    def has_role(self, role: bytes, account: Address, at: BlockTag | int = "latest") -> bool:
        """Whether an account has a role."""
        return bool(self._view("hasRole", role, account, at=at)[0])

    def paused(self, at: BlockTag | int = "latest") -> bool:
        """Whether the registry is paused."""
        return bool(self._view("paused", at=at)[0])

    def successor(self, at: BlockTag | int = "latest") -> Address | None:
        """The registry that took this one's place, if one did."""
        (address,) = self._view("successor", at=at)
        return Address(address) if any(address) else None

    def salt_hash(self) -> Digest:
        """keccak-256 of the salt of this deployment."""
        return Digest(self._view("SALT_HASH")[0])

    def events(self, from_block: int, to_block: int, *topics: Digest | None) -> list[RegistryEvent]:
        """The contract's events in a range of blocks (both ends included), in chain order.

        However long the range is, no single question to the chain is about too much of it.

        Args:
            from_block: first block.
            to_block: last block.
            topics: what the events' topics have to be, from the first on (`event_topic`); None
                lets every value pass.
        """
        decoded = (
            decode_event(record)
            for first, last in block_ranges(from_block, to_block)
            for record in self._ledger.events(self.address, topics, first, last)
        )
        return [event for event in decoded if event is not None]

    def _view(self, function: str, *args: object, at: BlockTag | int = "latest") -> tuple[Any, ...]:
        return read_view(self._ledger, CONTRACT, self.address, explain, function, *args, at=at)


def event_topic(name: str) -> Digest:
    """First topic of an event, such as ``CurrentChanged``."""
    return load_abi(CONTRACT).event_topic(name)


def decode_event(record: EventRecord) -> RegistryEvent | None:
    """The event in a record, such as a receipt holds; None if the contract declares no such.

    Raises:
        InvalidInput: the record is damaged.
    """
    abi = load_abi(CONTRACT)
    name = abi.find_event(record)
    if name is None:
        return None
    args = {
        key: _MEMBERS[key](value) if key in _MEMBERS else value
        for key, value in abi.decode_event(name, record).items()
    }
    return RegistryEvent(name, args, record.block_number, record.tx_hash)
