"""Typed binding of OpenZeppelin's `TimelockController`: what an admin does waits in the open.

In production it administers the `ModelRegistry`: a change of policies, groups or roles is
scheduled, stands for everybody to see, and is executed after a delay. Who proposes may cancel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from chain_client.errors import CallReverted, ContractReverted
from chain_client.ledger import model_registry_refusals
from chain_client.ledger.abi import load_abi
from chain_client.ledger.artifacts import load_artifact
from chain_client.ledger.base import BlockTag, Call, Ledger
from chain_client.ledger.model_registry_values import ROLE_NAMES
from chain_client.ledger.ranges import block_ranges
from chain_client.ledger.revert import explain_revert
from chain_client.ledger.views import read_view
from chain_client.signing.keccak import keccak256
from chain_client.types import Address, Digest, TxHash

CONTRACT = "TimelockController"
ADMIN_ROLE = Digest(bytes(32))
PROPOSER_ROLE = Digest(
    bytes.fromhex("b09aa5aeb3702cfd50b6b62bc4532604938f21248a27a1d5ca736082b6819cc1")
)
"""Schedules operations."""
EXECUTOR_ROLE = Digest(
    bytes.fromhex("d8aa0f3194971a2a116679f7c2090f6939c8d4e01a2a8d7e41d55e5351469e63")
)
"""Executes them when they are due."""
CANCELLER_ROLE = Digest(
    bytes.fromhex("fd643c72710c63c0180259aba6b2d05451e3591a24e58b62239378085726f783")
)
"""Cancels them before; proposers can too."""
_ZERO = Digest(bytes(32))
_ROLE_NAMES = {
    **ROLE_NAMES,  # the registry, when it is called, refuses by the same error
    PROPOSER_ROLE: "proposer of the timelock",
    EXECUTOR_ROLE: "executor of the timelock",
    CANCELLER_ROLE: "canceller of the timelock",
}

_SENTENCES = {
    "AccessControlBadConfirmation": "a role can be renounced only by who has it",
    "AccessControlUnauthorizedAccount": "{account} has not the role {neededRole}; use a key "
    "that has it",
    "FailedCall": "what was scheduled failed without a reason",
    "TimelockInsufficientDelay": "a delay of {delay} s is shorter than the {minDelay} s that the "
    "timelock asks for",
    "TimelockInvalidOperationLength": "there are {targets} targets, {values} values and {payloads} "
    "calls; each call needs one of each",
    "TimelockUnauthorizedCaller": "{caller} can't change the timelock's delay; it does so itself, "
    "by an operation that waited like any other",
    "TimelockUnexecutedPredecessor": "the operation {predecessorId} has to be executed first",
    "TimelockUnexpectedOperationState": "the operation {operationId} was scheduled already, is not "
    "due yet, or is done or cancelled; look at it first",
}


class OperationState(IntEnum):
    """How an operation stands; NONE: it was never scheduled, or cancelled."""

    NONE = 0
    WAITING = 1
    READY = 2
    DONE = 3


@dataclass(frozen=True, slots=True)
class Operation:
    """A call that waits; its fields give its id.

    Args:
        call: what the timelock does.
        salt: 32 bytes that tell two equal calls apart.
        predecessor: operation that has to be done before; zero for none.
    """

    call: Call
    salt: Digest
    predecessor: Digest = _ZERO

    def to_arguments(self) -> tuple[object, ...]:
        """What the contract's functions take first."""
        return (self.call.to, self.call.value_wei, self.call.data, self.predecessor, self.salt)

    @property
    def id(self) -> Digest:
        """Its id, as the contract computes it."""
        selector_and_arguments = load_abi(CONTRACT).encode_call(
            "hashOperation", *self.to_arguments()
        )
        return Digest(keccak256(selector_and_arguments[4:]))


@dataclass(frozen=True, slots=True)
class ScheduledOperation:
    """An operation that was scheduled.

    Args:
        operation_id: its id.
        operation: what it does.
        delay_s: how long it had to wait.
        block_number: block in which it was scheduled.
        tx_hash: transaction that did it.
    """

    operation_id: Digest
    operation: Operation
    delay_s: int
    block_number: int
    tx_hash: TxHash


def explain(error: CallReverted) -> ContractReverted:
    """The timelock's own error, or that of the registry which it called."""
    abi = load_abi(CONTRACT)
    if abi.decode_error(error.revert_data) is None:
        return model_registry_refusals.explain(error)
    return explain_revert(error.revert_data, abi, _SENTENCES, show=_show)


def deploy_call(
    min_delay_s: int, proposers: Sequence[Address], executors: Sequence[Address]
) -> Call:
    """Deploys a timelock that administers itself.

    Args:
        min_delay_s: shortest time that an operation waits.
        proposers: schedule and cancel.
        executors: execute.
    """
    arguments = load_abi(CONTRACT).encode_constructor(
        min_delay_s, list(proposers), list(executors), Address(bytes(20))
    )
    return Call(None, load_artifact(CONTRACT).bytecode + arguments)


class TimelockContract:
    """The timelock at an address of a ledger. Every view may raise what the ledger raises.

    Args:
        ledger: where the contract is.
        address: at which address.
    """

    def __init__(self, ledger: Ledger, address: Address) -> None:
        self._ledger = ledger
        self.address = address

    def min_delay_s(self, at: BlockTag | int = "latest") -> int:
        """Shortest time that an operation waits.

        Raises:
            ContractMissing: there is no such contract at the address.
        """
        return int(self._view("getMinDelay", at=at)[0])

    def id_of(self, operation: Operation) -> Digest:
        """An operation's id, as the contract computes it."""
        return Digest(self._view("hashOperation", *operation.to_arguments())[0])

    def state(self, operation_id: bytes, at: BlockTag | int = "latest") -> OperationState:
        """How an operation stands."""
        return OperationState(self._view("getOperationState", operation_id, at=at)[0])

    def ready_at_s(self, operation_id: bytes, at: BlockTag | int = "latest") -> int | None:
        """Block time from which an operation can be executed; None unless it waits or is ready."""
        (timestamp,) = self._view("getTimestamp", operation_id, at=at)
        return timestamp if timestamp > 1 else None  # 1 stands for done

    def has_role(self, role: bytes, account: Address, at: BlockTag | int = "latest") -> bool:
        """Whether an account has a role of the timelock's."""
        return bool(self._view("hasRole", role, account, at=at)[0])

    def role_changes(
        self, role: bytes, from_block: int, to_block: int
    ) -> list[tuple[int, Address, bool]]:
        """Who was given a role of the timelock's, or lost it (False), in a range of blocks (both
        ends included): the number of the block, the account, and which of both."""
        abi = load_abi(CONTRACT)
        found = []
        for first, last in block_ranges(from_block, to_block):
            for record in self._ledger.events(self.address, (None, Digest(role)), first, last):
                name = abi.find_event(record)
                if name in ("RoleGranted", "RoleRevoked"):
                    account = Address(abi.decode_event(name, record)["account"])
                    found.append((record.block_number, account, name == "RoleGranted"))
        return found

    def scheduled(self, from_block: int, to_block: int) -> list[ScheduledOperation]:
        """Operations scheduled in a range of blocks (both ends included), in chain order."""
        abi = load_abi(CONTRACT)
        records = [
            record
            for first, last in block_ranges(from_block, to_block)
            for record in self._ledger.events(self.address, (), first, last)
        ]
        salts = {}  # the contract leaves a salt of zero out
        for record in records:
            if abi.find_event(record) == "CallSalt":
                args = abi.decode_event("CallSalt", record)
                salts[args["id"]] = Digest(args["salt"])
        found = []
        for record in records:
            if abi.find_event(record) != "CallScheduled":
                continue
            args = abi.decode_event("CallScheduled", record)
            operation = Operation(
                Call(args["target"], args["data"], args["value"]),
                salts.get(args["id"], _ZERO),
                Digest(args["predecessor"]),
            )
            found.append(
                ScheduledOperation(
                    Digest(args["id"]),
                    operation,
                    args["delay"],
                    record.block_number,
                    record.tx_hash,
                )
            )
        return found

    def schedule_call(self, operation: Operation, delay_s: int) -> Call:
        """Lets an operation wait; a proposer sends it."""
        return self._call("schedule", *operation.to_arguments(), delay_s)

    def execute_call(self, operation: Operation) -> Call:
        """Does what has waited; an executor sends it."""
        return self._call("execute", *operation.to_arguments())

    def cancel_call(self, operation_id: bytes) -> Call:
        """Takes back what waits; a canceller sends it."""
        return self._call("cancel", operation_id)

    def _call(self, function: str, *args: object) -> Call:
        return Call(self.address, load_abi(CONTRACT).encode_call(function, *args))

    def _view(self, function: str, *args: object, at: BlockTag | int = "latest") -> tuple[Any, ...]:
        return read_view(self._ledger, CONTRACT, self.address, explain, function, *args, at=at)


def _show(name: str, value: object) -> object:
    if name == "neededRole" and isinstance(value, bytes):
        return _ROLE_NAMES.get(Digest(value), value)
    return value
