"""What a signer is."""

from __future__ import annotations

from typing import Protocol

from chain_client.types import Address


class Signer(Protocol):
    """Holds one secp256k1 key, or reaches a service that does.

    Constructors do no I/O. No method's exception text holds key material.
    """

    uri: str
    """Where the key is, such as ``keystore:keys/log-writer.json``; never the key."""

    def address(self) -> Address:
        """The key's address.

        Raises:
            ConfigurationError: the key can't be read, unlocked or used (`SignerRefused`).
            SignerUnavailable: the service that holds it does not answer.
        """

    def sign_hash(self, digest: bytes) -> tuple[int, int, int]:
        """Sign a 32-byte digest as it is.

        Returns:
            ``(y_parity, r, s)``, with s in the lower half of the order (EIP-2).

        Raises:
            InvalidInput: not 32 bytes.
            ConfigurationError: as `address`.
            SignerUnavailable: as `address`.
            SignatureRefused: what the service gave is no signature of this key over the digest.
        """
