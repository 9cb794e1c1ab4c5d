"""Transactions, signed by anything that signs a digest, and read back.

Nothing here needs a chain or holds a key, so a key may live in another service.
"""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.errors import InvalidInput
from chain_client.signing import eip1559, legacy
from chain_client.signing.base import Signer
from chain_client.signing.keccak import keccak256
from chain_client.types import Address, TxHash

_FIRST_OF_A_LIST = 0xC0


@dataclass(frozen=True, slots=True)
class TransactionFields:
    """What a transaction says, before it is signed.

    Args:
        chain_id: the only chain that accepts it.
        nonce: number of earlier transactions of the sender.
        max_fee_wei: most it pays for a unit of gas, tip included; the gas price if
            ``is_legacy``.
        max_priority_fee_wei: tip for a unit of gas; a legacy transaction has no field for it.
        gas_limit: most gas it may use.
        to: the contract, or None to deploy ``data`` as init code.
        data: ABI-encoded call data, or init code.
        value_wei: wei sent along.
        is_legacy: type 0 (EIP-155), for chains without EIP-1559; else type 2.
    """

    chain_id: int
    nonce: int
    max_fee_wei: int
    max_priority_fee_wei: int
    gas_limit: int
    to: Address | None
    data: bytes
    value_wei: int = 0
    is_legacy: bool = False

    def __post_init__(self) -> None:
        if self.to is not None and len(self.to) != 20:
            raise InvalidInput(f"an address has 20 bytes, got {len(self.to)}")
        if self.max_priority_fee_wei > self.max_fee_wei:
            raise InvalidInput("the priority fee can't be higher than the whole fee")
        if self.is_legacy and self.chain_id < 1:
            raise InvalidInput("a legacy transaction needs the id of its chain (EIP-155)")

    def signing_hash(self) -> bytes:
        """The 32 bytes that are signed."""
        if self.is_legacy:
            return legacy.signing_hash(self._legacy_fields(), self.chain_id)
        return eip1559.signing_hash(self._eip1559_fields())

    def encode_signed(self, y_parity: int, r: int, s: int) -> bytes:
        """The signed transaction as it is sent."""
        if self.is_legacy:
            return legacy.encode_signed(self._legacy_fields(), self.chain_id, y_parity, r, s)
        return eip1559.encode_signed(self._eip1559_fields(), y_parity, r, s)

    def _legacy_fields(self) -> list[object]:
        return [
            self.nonce,
            self.max_fee_wei,
            self.gas_limit,
            self.to or b"",
            self.value_wei,
            self.data,
        ]

    def _eip1559_fields(self) -> list[object]:
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


def decode_transaction(raw: bytes) -> TransactionFields:
    """What a signed transaction says; its signature is not checked.

    Args:
        raw: of type 0 with EIP-155, or of type 2 without an access list, as `sign_transaction`
            makes them. A legacy one's priority fee is its gas price.

    Raises:
        InvalidInput: something else.
    """
    import rlp

    is_legacy = bool(raw) and raw[0] >= _FIRST_OF_A_LIST
    if not is_legacy and raw[:1] != eip1559.TYPE:
        raise InvalidInput("these bytes are no transaction of type 0 or 2")
    try:
        items = rlp.decode(raw if is_legacy else raw[1:])
    except (rlp.exceptions.RLPException, TypeError) as exc:
        raise InvalidInput("these bytes are no signed transaction") from exc
    count = (legacy.FIELDS if is_legacy else eip1559.FIELDS) + 3
    if not isinstance(items, list) or len(items) != count:
        raise InvalidInput(f"a signed transaction of this type has {count} fields")
    if not is_legacy and items.pop(eip1559.ACCESS_LIST) != []:
        raise InvalidInput("a transaction with an access list is none of ours")
    if not all(isinstance(item, bytes) for item in items):
        raise InvalidInput("a signed transaction holds no lists within")
    return _from_legacy(items) if is_legacy else _from_eip1559(items)


def _from_legacy(items: list[bytes]) -> TransactionFields:
    nonce, price, gas, to, value, data, v, _, _ = items
    return TransactionFields(
        chain_id=legacy.chain_id_of(int.from_bytes(v, "big")),
        nonce=int.from_bytes(nonce, "big"),
        max_fee_wei=int.from_bytes(price, "big"),
        max_priority_fee_wei=int.from_bytes(price, "big"),
        gas_limit=int.from_bytes(gas, "big"),
        to=Address(to) if to else None,
        data=data,
        value_wei=int.from_bytes(value, "big"),
        is_legacy=True,
    )


def _from_eip1559(items: list[bytes]) -> TransactionFields:
    chain_id, nonce, tip, fee, gas, to, value, data, _, _, _ = items
    return TransactionFields(
        chain_id=int.from_bytes(chain_id, "big"),
        nonce=int.from_bytes(nonce, "big"),
        max_fee_wei=int.from_bytes(fee, "big"),
        max_priority_fee_wei=int.from_bytes(tip, "big"),
        gas_limit=int.from_bytes(gas, "big"),
        to=Address(to) if to else None,
        data=data,
        value_wei=int.from_bytes(value, "big"),
    )
