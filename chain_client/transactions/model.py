"""What the transaction queue gives."""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.ledger.base import Call, Receipt
from chain_client.signing import decode_transaction
from chain_client.transactions.state import TransactionStatus
from chain_client.types import Address, Digest, TxHash


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """A signed transaction as it is kept.

    Args:
        id: its row.
        sender: address of the key that signed it.
        nonce: its nonce.
        purpose: what it is for, such as ``anchor:0x…:4000``.
        raw: the signed bytes; these and no others are ever sent for this row.
        tx_hash: their hash.
        status: what is known about it.
        block_number: the block that holds it, None if none does.
        block_hash: hash of that block.
        gas_used: gas it used there.
        failed: it was included, and reverted.
        created_us: wall time of its signature.
    """

    id: int
    sender: Address
    nonce: int
    purpose: str
    raw: bytes
    tx_hash: TxHash
    status: TransactionStatus
    block_number: int | None
    block_hash: Digest | None
    gas_used: int | None
    failed: bool
    created_us: int

    def to_call(self) -> Call:
        """The call that was signed."""
        fields = decode_transaction(self.raw)
        return Call(fields.to, fields.data, fields.value_wei)


@dataclass(frozen=True, slots=True)
class SettledTransaction:
    """A transaction that the chain holds.

    Args:
        id: its row.
        purpose: what it is for.
        nonce: its nonce.
        status: INCLUDED, FINALIZED or REVERTED.
        receipt: as the chain gave it just now.
    """

    id: int
    purpose: str
    nonce: int
    status: TransactionStatus
    receipt: Receipt
