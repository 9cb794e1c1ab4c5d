"""Transactions of type 2 (EIP-1559), as bytes. Nothing here needs a chain or holds a key."""

from __future__ import annotations

from chain_client.signing.keccak import keccak256

TYPE = b"\x02"
FIELDS = 9
"""How many fields stand before the signature."""
ACCESS_LIST = 8
"""Which of them is the access list; ours are empty."""


def signing_hash(fields: list[object]) -> bytes:
    """What is signed: keccak-256 of type and fields (EIP-1559, EIP-2718)."""
    import rlp

    return keccak256(TYPE + rlp.encode(fields))


def encode_signed(fields: list[object], y_parity: int, r: int, s: int) -> bytes:
    """The signed transaction as it is sent."""
    import rlp

    return TYPE + bytes(rlp.encode([*fields, y_parity, r, s]))
