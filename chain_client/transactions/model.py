"""What the transaction queue gives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from chain_client.ledger.base import Call, Receipt
from chain_client.signing import decode_transaction
from chain_client.transactions.state import TransactionStatus
from chain_client.types import Address, Digest, TxHash


class AttemptKind(StrEnum):
    """What a signed transaction at a nonce of ours does."""

    CALL = "call"
    """What was asked for."""
    CANCEL = "cancel"
    """Nothing: it sends nothing to its own sender, and uses the nonce up."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed transaction at a nonce; all attempts of a row have the same nonce and gas limit.

    Args:
        tx_hash: hash of its bytes.
        raw: the signed bytes.
        kind: what it does.
        max_fee_wei: most it pays for a unit of gas; the gas price of a legacy one.
        max_priority_fee_wei: its tip for a unit of gas; the gas price of a legacy one.
        created_us: wall time of its signature.
    """

    tx_hash: TxHash
    raw: bytes
    kind: AttemptKind
    max_fee_wei: int
    max_priority_fee_wei: int
    created_us: int


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """A signed transaction as it is kept.

    Args:
        id: its row.
        sender: address of the key that signed it.
        nonce: its nonce.
        purpose: what it is for, such as ``anchor:0x…:4000``.
        raw: the signed bytes: of the attempt that the chain holds, else of the newest.
        tx_hash: their hash.
        status: what is known about it.
        block_number: the block that holds it, None if none does.
        block_hash: hash of that block.
        gas_used: gas it used there.
        failed: it was included, and reverted.
        created_us: wall time of its first signature.
        gas_limit: most gas it may use.
        max_fee_wei: of ``raw``: most it pays for a unit of gas.
        max_priority_fee_wei: of ``raw``: its tip for a unit of gas.
        signed_us: wall time of the signature of ``raw``.
        attempts: how many were signed at its nonce, the first one included.
        is_cancel: ``raw`` cancels it: it does not do what it is for.
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
    gas_limit: int
    max_fee_wei: int
    max_priority_fee_wei: int
    signed_us: int
    attempts: int
    is_cancel: bool

    def to_call(self) -> Call:
        """What ``raw`` does."""
        fields = decode_transaction(self.raw)
        return Call(fields.to, fields.data, fields.value_wei)


@dataclass(frozen=True, slots=True)
class SettledTransaction:
    """A transaction that the chain holds.

    Args:
        id: its row.
        purpose: what it is for.
        nonce: its nonce.
        status: INCLUDED, FINALIZED, REVERTED or CANCELLED.
        receipt: as the chain gave it just now.
        is_cancel: a self-transfer of ours took its nonce; what it was for did not happen.
    """

    id: int
    purpose: str
    nonce: int
    status: TransactionStatus
    receipt: Receipt
    is_cancel: bool = False
