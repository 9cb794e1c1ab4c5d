"""Keys in AWS KMS."""

from __future__ import annotations

from chain_client.errors import ConfigurationError
from chain_client.signing import Signer


def open_kms_signer(uri: str) -> Signer:
    """The signer that an ``awskms:`` URI names."""
    raise ConfigurationError("keys in KMS are not there yet")
