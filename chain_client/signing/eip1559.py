"""EIP-1559 transactions, signed by anything that signs a digest.

Nothing here needs a chain or holds a key, so a key may live in another service.
"""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.errors import InvalidInput
from chain_client.signing.base import Signer
from chain_client.signing.keccak import keccak256
from chain_client.types import Address, TxHash

_TYPE = b"\x02"


@dataclass(frozen=True, slots=True)
class TransactionFields:
    """What a transaction says, before it is signed.

    Args:
        chain_id: the only chain that accepts it.
        nonce: number of earlier transactions of the sender.
        max_fee_wei: most it pays for a unit of gas, tip included.
        max_priority_fee_wei: tip for a unit of gas.
        gas_limit: most gas it may use.
        to: the contract, or None to deploy ``data`` as init code.
        data: ABI-encoded call data, or init code.
        value_wei: wei sent along.
    """

    chain_id: int
    nonce: int
    max_fee_wei: int
    max_priority_fee_wei: int
    gas_limit: int
    to: Address | None
    data: bytes
    value_wei: int = 0

    def __post_init__(self) -> None:
        if self.to is not None and len(self.to) != 20:
            raise InvalidInput(f"an address has 20 bytes, got {len(self.to)}")
        if self.max_priority_fee_wei > self.max_fee_wei:
            raise InvalidInput("the priority fee can't be higher than the whole fee")

    def signing_hash(self) -> bytes:
        """What is signed: keccak-256 of type and fields (EIP-1559, EIP-2718)."""
        import rlp

        return keccak256(_TYPE + rlp.encode(self._rlp_fields()))

    def encode_signed(self, y_parity: int, r: int, s: int) -> bytes:
        """The signed transaction as it is sent."""
        import rlp

        return _TYPE + bytes(rlp.encode([*self._rlp_fields(), y_parity, r, s]))

    def _rlp_fields(self) -> list[object]:
        no_access_list: list[object] = []
        return [
            self.chain_id,
            self.nonce,
            self.max_priority_fee_wei,
            self.max_fee_wei,
            self.gas_limit,
            self.to or b"",
            self.value_wei,
            self.data,
            no_access_list,
        ]


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """The bytes to send, and the hash by which the chain will know them."""

    raw: bytes
    tx_hash: TxHash


def sign_transaction(signer: Signer, fields: TransactionFields) -> SignedTransaction:
    """Sign a transaction. The same key and fields give the same bytes with a keystore signer.

    Raises:
        ConfigurationError: the key can't be read or unlocked.
    """
    raw = fields.encode_signed(*signer.sign_hash(fields.signing_hash()))
    return SignedTransaction(raw, TxHash(keccak256(raw)))
