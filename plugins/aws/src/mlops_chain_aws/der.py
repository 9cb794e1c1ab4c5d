"""From what KMS answers to what a chain takes. Pure: nothing here asks anybody.

Nothing that comes from outside is believed: a signature counts if the address that is recovered
from it is the one that is expected.
"""

from __future__ import annotations

from chain_client.errors import SignatureRefused, SignerRefused
from chain_client.signing.eip712 import find_signer
from chain_client.signing.keccak import keccak256
from chain_client.types import Address, to_hex

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of the group of secp256k1 (SEC 2, section 2.4.1)."""


def parse_signature(der: bytes) -> tuple[int, int]:
    """The r and s of an ECDSA signature in DER (RFC 3279, section 2.2.3).

    Returns:
        both within 1 and the order less one; s as it came, high or low.

    Raises:
        SignatureRefused: other bytes than the one encoding that a pair of numbers has in DER, or
            numbers out of range.
    """
    from cryptography.hazmat.primitives.asymmetric import utils

    try:
        r, s = utils.decode_dss_signature(der)
        # The library reads nothing but DER today; this holds whatever it reads tomorrow.
        is_only_form = utils.encode_dss_signature(r, s) == der
    except ValueError:
        is_only_form = False
    if not is_only_form:
        raise SignatureRefused(
            f"the {len(der)} bytes that came as a signature are no ECDSA signature in DER"
        )
    if not (0 < r < ORDER and 0 < s < ORDER):
        raise SignatureRefused("the numbers of the signature that came are out of their range")
    return r, s


def to_chain_form(r: int, s: int, digest: bytes, address: Address) -> tuple[int, int, int]:
    """The one form of a signature that a chain takes from a key (EIP-2), with its parity.

    Args:
        r: as it came.
        s: likewise, high or low.
        digest: the 32 bytes that were to be signed.
        address: of the key.

    Returns:
        ``(y_parity, r, s)``, with s in the lower half.

    Raises:
        SignatureRefused: no signature of that key over that digest. One whose point lies beyond the
            order has no form at all (parities 2 and 3); that is one in 2^127.
    """
    s = min(s, ORDER - s)
    body = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    for y_parity in (0, 1):
        if find_signer(digest, body + bytes([27 + y_parity])) == address:
            return y_parity, r, s
    raise SignatureRefused(
        f"the signature that came is not by the key {to_hex(address)}, or not over what was to be "
        "signed; it was thrown away"
    )


def address_of(public_key: bytes) -> Address:
    """The address of a public key in DER (SubjectPublicKeyInfo, RFC 5480).

    Raises:
        SignerRefused: it is none of the curve secp256k1.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_der_public_key,
    )

    try:
        key = load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256K1):
        raise SignerRefused("the public key that came is none of the curve secp256k1")
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return Address(keccak256(point[1:])[12:])
