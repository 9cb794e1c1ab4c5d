"""Signatures over typed data (EIP-712), so that a wallet shows what it signs.

Only what our own messages need: one struct of ``string``, ``bytes32``, ``address`` and unsigned
numbers, bound to a chain and a contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chain_client.errors import InvalidInput
from chain_client.signing.base import Signer
from chain_client.signing.keccak import keccak256
from chain_client.types import Address

DOMAIN_NAME = "mlops-chain"
DOMAIN_VERSION = "1"
_DOMAIN = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"

SIGNATURE_BYTES = 65


@dataclass(frozen=True, slots=True)
class Domain:
    """Where a signature counts: one contract on one chain."""

    chain_id: int
    contract: Address

    def separator(self) -> bytes:
        """EIP-712's domain separator."""
        return keccak256(
            keccak256(_DOMAIN.encode())
            + keccak256(DOMAIN_NAME.encode())
            + keccak256(DOMAIN_VERSION.encode())
            + self.chain_id.to_bytes(32, "big")
            + self.contract.rjust(32, b"\0")
        )


@dataclass(frozen=True, slots=True)
class StructType:
    """A struct: its name, and (name, type) of each member in order.

    Types: ``string``, ``bytes32``, ``address`` and ``uint8`` to ``uint256``.
    """

    name: str
    members: tuple[tuple[str, str], ...]

    def to_text(self) -> str:
        """EIP-712's ``encodeType``, such as ``Withdrawal(bytes32 proposal,string summary)``."""
        return f"{self.name}({','.join(f'{kind} {name}' for name, kind in self.members)})"

    def hash(self, values: Mapping[str, str | int | bytes]) -> bytes:
        """EIP-712's ``hashStruct`` of the members' values.

        Raises:
            InvalidInput: a value does not fit its type.
        """
        words = [_word(name, kind, values[name]) for name, kind in self.members]
        return keccak256(keccak256(self.to_text().encode()) + b"".join(words))


def sign_hash_of(domain: Domain, struct_hash: bytes) -> bytes:
    """The 32 bytes that are signed for a struct, by its hash (EIP-712, section Definition)."""
    return keccak256(b"\x19\x01" + domain.separator() + struct_hash)


def typed_digest(domain: Domain, name: str, values: Mapping[str, str | int | bytes]) -> bytes:
    """The 32 bytes that are signed for a struct.

    Args:
        domain: where it counts.
        name: of the struct.
        values: its members in order: text is a ``string``, a number a ``uint256``, 32 bytes a
            ``bytes32``.

    Raises:
        InvalidInput: bytes of another length, a number out of range, or text that UTF-8 can't hold.
    """
    kinds = {str: "string", int: "uint256", bytes: "bytes32"}
    members = tuple((member, kinds[type(value)]) for member, value in values.items())
    return sign_hash_of(domain, StructType(name, members).hash(values))


def _word(member: str, kind: str, value: str | int | bytes) -> bytes:
    """EIP-712's ``encodeData`` of one member: 32 bytes."""
    if kind == "string" and isinstance(value, str):
        try:
            return keccak256(value.encode())
        except UnicodeEncodeError:
            raise InvalidInput(f"{member} holds half a surrogate pair") from None
    if kind.startswith("uint") and isinstance(value, int):
        if not 0 <= value < 1 << int(kind.removeprefix("uint")):
            raise InvalidInput(f"{member} is no {kind}")
        return value.to_bytes(32, "big")
    size = {"bytes32": 32, "address": 20}.get(kind)
    if size is None or not isinstance(value, bytes):
        raise InvalidInput(f"expected {member} as {kind}")
    if len(value) != size:
        raise InvalidInput(f"expected {size} bytes of {member}, got {len(value)}")
    return value.rjust(32, b"\0")


def sign_digest(signer: Signer, digest: bytes) -> bytes:
    """Signature of 65 bytes: r, s, and 27 or 28.

    Raises:
        ConfigurationError: the key can't be read or unlocked.
    """
    y_parity, r, s = signer.sign_hash(digest)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([27 + y_parity])


def find_signer(digest: bytes, signature: bytes) -> Address | None:
    """Whose key made a signature; None if it is none, or one with a high s (EIP-2)."""
    import coincurve

    half_order = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
    if len(signature) != SIGNATURE_BYTES or signature[64] not in (27, 28):
        return None
    if int.from_bytes(signature[32:64], "big") > half_order:
        return None
    recoverable = signature[:64] + bytes([signature[64] - 27])
    try:
        key = coincurve.PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
    except Exception:
        return None  # coincurve raises a bare Exception where nothing can be recovered
    return Address(keccak256(key.format(compressed=False)[1:])[12:])
