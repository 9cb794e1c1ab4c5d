"""What a ledger is: the interface, and the values that cross it.

No exception of a node library crosses it; see each method for what it raises. The suite in
`chain_client.testing.ledger_suite` holds every implementation to this text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from chain_client.types import Address, Digest, TxHash

BlockTag: TypeAlias = Literal["latest", "finalized"]


@dataclass(frozen=True, slots=True)
class Call:
    """What a transaction does or a view asks.

    Args:
        to: the contract, or None to deploy ``data`` as init code.
        data: ABI-encoded call data, or init code.
        value_wei: wei sent along.
    """

    to: Address | None
    data: bytes
    value_wei: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """A block header's part that we use. ``timestamp_s``: seconds since the epoch."""

    number: int
    hash: Digest
    timestamp_s: int
    base_fee_wei: int


@dataclass(frozen=True, slots=True)
class EventRecord:
    """A contract event (an EVM log entry) in a receipt or a range of blocks."""

    address: Address
    topics: tuple[Digest, ...]
    data: bytes
    block_number: int
    tx_hash: TxHash


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of an included transaction."""

    tx_hash: TxHash
    block_number: int
    block_hash: Digest
    succeeded: bool
    gas_used: int
    contract_address: Address | None
    events: tuple[EventRecord, ...]


@dataclass(frozen=True, slots=True)
class Fees:
    """Fees for the next transaction.

    Args:
        max_fee_wei: most to pay for a unit of gas, tip included; the gas price if ``is_legacy``.
        max_priority_fee_wei: tip for a unit of gas.
        is_legacy: the chain knows no EIP-1559.
    """

    max_fee_wei: int
    max_priority_fee_wei: int
    is_legacy: bool = False


class Ledger(Protocol):
    """A connection to one EVM chain.

    Every method raises `LedgerUnavailable` if the chain does not answer within the
    connection's timeout, and `WrongChain` if it turns out to be another chain than the one it
    was opened for. Constructors do no I/O; the first call connects.
    """

    url: str

    def chain_id(self) -> int:
        """The chain's id, read from the chain."""

    def block(self, at: BlockTag | int = "latest") -> Block:
        """A block by number or tag. On `embedded`, a committed block is final.

        The block that one connection shows as ``finalized`` never goes back.

        Raises:
            InvalidInput: the chain has no block of that number yet.
            ConfigurationError: the node knows no finality, and `ledger.finality` names no depth.
        """

    def code(self, address: Address) -> bytes:
        """Runtime code at ``address`` in the latest block; empty if there is none."""

    def balance_wei(self, address: Address) -> int:
        """Balance in the latest block."""

    def nonce(self, address: Address, at: BlockTag = "latest") -> int:
        """Number of transactions of ``address`` that are included up to a block."""

    def fees(self) -> Fees:
        """Fees that will do for the next blocks."""

    def estimate_gas(self, call: Call, sender: Address) -> int:
        """Gas the call would use, without margin.

        Raises:
            CallReverted: the call would revert.
            TransactionRejected: ``insufficient_funds``; some nodes look at them here already.
        """

    def call(
        self, call: Call, at: BlockTag | int = "latest", sender: Address | None = None
    ) -> bytes:
        """Return data of a view.

        ``latest`` and ``finalized`` run on that block's state; the time they see is not before
        that block's and not after now. (`embedded` runs them now, a node in that block or in the
        next.) A number runs on the state after that block.

        Raises:
            CallReverted: with the raw revert data.
            InvalidInput: the chain has no block of that number yet.
            HistoryMissing: the state after that block is kept by no node that is asked.
        """

    def send(self, raw: bytes) -> TxHash:
        """Hand a signed transaction to the chain.

        Sending bytes that the chain already has is success (the same hash is returned).

        Raises:
            TransactionRejected: the chain refuses it for ever (nonce too low, bad signature,
                no balance); ``reason`` tells which.
        """

    def receipt(self, tx_hash: TxHash) -> Receipt | None:
        """Receipt of an included transaction, None if it is not included."""

    def events(
        self, address: Address, topics: tuple[Digest | None, ...], from_block: int, to_block: int
    ) -> list[EventRecord]:
        """Events of a contract in a range of blocks (both ends included), in chain order."""

    def close(self) -> None:
        """Release files and connections; a later call connects again."""
