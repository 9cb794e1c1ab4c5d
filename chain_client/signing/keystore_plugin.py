"""The built-in plugin ``keystore``: keys in encrypted V3 keystore files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chain_client.errors import ConfigurationError
from chain_client.hookspecs import SignerFactory, hookimpl
from chain_client.signing.base import Signer
from chain_client.signing.keystore import KeystoreSigner


@hookimpl
def signers() -> Mapping[str, SignerFactory]:
    """``keystore:<path>``."""
    return {"keystore": _open_keystore}


def _open_keystore(uri: str, base: Path, password: str | None) -> Signer:
    path = uri.partition(":")[2]
    if not path:
        raise ConfigurationError("keystore: names no file; expected keystore:<path>")
    return KeystoreSigner(uri, base / path, password=password)
