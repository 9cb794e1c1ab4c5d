"""Payloads as they lie in a store: encrypted, under the digest of the ciphertext. Pure.

An event's seed, 16 random bytes, stays in the log's database; everything here comes from it::

    key        = HMAC-SHA-256(seed, "mlops-chain payload 1")
    nonce      = HMAC-SHA-256(key, "mlops-chain nonce 1" ‖ plain)[:12]
    data       = 0x01 ‖ nonce ‖ AES-256-GCM(key, nonce, plain, additional data = 0x01)
    digest     = SHA-256(data)

Who holds the store alone reads nothing. When the seed is destroyed, so is what every copy of the
data says: in backups, in old versions, under a retention nobody can shorten.

A key is meant for one plain text. The nonce comes from the plain text too (as in RFC 5297, 1.1),
so that a seed that is used twice by mistake, for two texts, still gives two nonces; the same text
gives the same bytes, so storing it again stores nothing twice.

AES-GCM: NIST SP 800-38D. HMAC: RFC 2104.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from chain_client.errors import InvalidInput, PayloadDamaged
from chain_client.types import Digest

OVERHEAD_BYTES = 29
"""How much longer the data is than what was encrypted: format, nonce and tag."""

SEED_BYTES = 16

_FORMAT = b"\x01"
_NONCE_BYTES = 12
_KEY_LABEL = b"mlops-chain payload 1"
_NONCE_LABEL = b"mlops-chain nonce 1"


@dataclass(frozen=True, slots=True)
class EncryptedPayload:
    """What a payload store keeps.

    Args:
        digest: SHA-256 of ``data``, under which it is stored.
        data: format, nonce, ciphertext and tag.
    """

    digest: Digest
    data: bytes = field(repr=False)


def encrypt_payload(plain: bytes, seed: bytes) -> EncryptedPayload:
    """Encrypt; the same bytes and seed always give the same result.

    Args:
        plain: an encoded event.
        seed: the event's, 16 bytes.

    Raises:
        InvalidInput: a seed of another length.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = _to_key(seed)
    nonce = _to_nonce(key, plain)
    data = _FORMAT + nonce + AESGCM(key).encrypt(nonce, plain, _FORMAT)
    return EncryptedPayload(Digest(hashlib.sha256(data).digest()), data)


def decrypt_payload(data: bytes, seed: bytes) -> bytes:
    """What `encrypt_payload` was given; not one bit else.

    Args:
        data: as it was stored.
        seed: the event's, 16 bytes.

    Raises:
        PayloadDamaged: other bytes than were stored, or another seed.
        InvalidInput: a seed of another length.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = _to_key(seed)
    if len(data) < OVERHEAD_BYTES or data[:1] != _FORMAT:
        raise PayloadDamaged("what is stored is no encrypted payload of a format known here")
    nonce = data[1 : 1 + _NONCE_BYTES]
    try:
        plain = AESGCM(key).decrypt(nonce, data[1 + _NONCE_BYTES :], _FORMAT)
    except InvalidTag as exc:
        raise PayloadDamaged(
            "what is stored can't be decrypted by the event's seed: one of the two was changed"
        ) from exc
    if not hmac.compare_digest(nonce, _to_nonce(key, plain)):
        raise PayloadDamaged("what is stored was not encrypted as payloads are")
    return plain


def _to_key(seed: bytes) -> bytes:
    if len(seed) != SEED_BYTES:
        raise InvalidInput(f"expected a seed of {SEED_BYTES} bytes")
    return hmac.digest(seed, _KEY_LABEL, "sha256")


def _to_nonce(key: bytes, plain: bytes) -> bytes:
    return hmac.digest(key, _NONCE_LABEL + plain, "sha256")[:_NONCE_BYTES]
