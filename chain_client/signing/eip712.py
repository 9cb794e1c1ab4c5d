"""Signatures over typed data (EIP-712), so that a wallet shows what it signs.

Only what our own messages need: one struct of ``string``, ``uint256`` and ``bytes32``, bound to a
chain and a contract.
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
    types, encoded = [], []
    for member, value in values.items():
        if isinstance(value, str):
            types.append(f"string {member}")
            try:
                encoded.append(keccak256(value.encode()))
            except UnicodeEncodeError:
                raise InvalidInput(f"{member} holds half a surrogate pair") from None
        elif isinstance(value, int):
            if not 0 <= value < 1 << 256:
                raise InvalidInput(f"{member} is no uint256")
            types.append(f"uint256 {member}")
            encoded.append(value.to_bytes(32, "big"))
        else:
            if len(value) != 32:
                raise InvalidInput(f"expected 32 bytes of {member}, got {len(value)}")
            types.append(f"bytes32 {member}")
            encoded.append(value)
    type_hash = keccak256(f"{name}({','.join(types)})".encode())
    struct_hash = keccak256(type_hash + b"".join(encoded))
    return keccak256(b"\x19\x01" + domain.separator() + struct_hash)


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
