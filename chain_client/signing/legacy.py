"""Transactions of type 0 with the chain's id in the signature (EIP-155).

For chains without EIP-1559's fees. Nothing here needs a chain or holds a key. Signatures of
before EIP-155, which any chain would accept, are neither made nor read.
"""

from __future__ import annotations

from chain_client.errors import InvalidInput
from chain_client.signing.keccak import keccak256

_V_OF_CHAIN = 35
FIELDS = 6
"""How many fields stand before the signature: nonce, gas price, gas limit, to, value, data."""


def signing_hash(fields: list[object], chain_id: int) -> bytes:
    """What is signed: keccak-256 of the six fields, the chain's id, 0 and 0 (EIP-155)."""
    import rlp

    return keccak256(rlp.encode([*fields, chain_id, 0, 0]))


def encode_signed(fields: list[object], chain_id: int, y_parity: int, r: int, s: int) -> bytes:
    """The signed transaction as it is sent."""
    import rlp

    return bytes(rlp.encode([*fields, 2 * chain_id + _V_OF_CHAIN + y_parity, r, s]))


def chain_id_of(v: int) -> int:
    """The chain that a signature's ``v`` names.

    Raises:
        InvalidInput: it names none.
    """
    if v < _V_OF_CHAIN + 2:
        raise InvalidInput("the transaction's signature names no chain (EIP-155)")
    return (v - _V_OF_CHAIN) // 2
