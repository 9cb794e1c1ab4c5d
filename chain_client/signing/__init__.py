"""Who signs: keys by URI, and what is signed for a chain.

::

    keystore:<path>    an encrypted V3 keystore file (`chain_client.signing.keystore`)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from chain_client.errors import ConfigurationError
from chain_client.shown_uri import refuse_key
from chain_client.signing.base import Signer
from chain_client.signing.keystore import KeystoreSigner, create_keystore
from chain_client.signing.transaction import (
    SignedTransaction,
    TransactionFields,
    decode_transaction,
    sign_transaction,
)

__all__ = [
    "KeystoreSigner",
    "SignedTransaction",
    "Signer",
    "TransactionFields",
    "create_keystore",
    "decode_transaction",
    "open_signer",
    "sign_transaction",
]


def _open_keystore(uri: str, base: Path, password: str | None) -> Signer:
    path = uri.partition(":")[2]
    if not path:
        raise ConfigurationError("keystore: names no file; expected keystore:<path>")
    return KeystoreSigner(uri, base / path, password=password)


_SCHEME = re.compile("[a-z][a-z0-9+.-]{0,19}(?=:)", re.IGNORECASE)

_SCHEMES: dict[str, Callable[[str, Path, str | None], Signer]] = {"keystore": _open_keystore}


def open_signer(uri: str, *, base: Path, password: str | None = None) -> Signer:
    """The signer that a URI names. Reads nothing yet: the first use does.

    Args:
        uri: such as ``keystore:keys/log-writer.json``.
        base: folder to which a relative path belongs.
        password: the keystore's password; by default it is read from the file ``password``
            beside the keystore.

    Raises:
        ConfigurationError: the scheme is not known. The text shows no more than the scheme, for
            people paste keys where their URIs belong.
    """
    refuse_key(uri)
    scheme = _SCHEME.match(uri)
    factory = _SCHEMES.get(scheme.group()) if scheme else None
    if factory is None:
        known = ", ".join(f"{name}:" for name in sorted(_SCHEMES))
        if scheme is None:
            raise ConfigurationError(
                f"what was given is no URI of a key, for it has no scheme (known schemes: {known})"
                ": for a file write keystore: before its path, as keystore:/path/to/key.json"
            )
        raise ConfigurationError(
            f"no signer is known for '{scheme.group()}:'; known schemes: {known}"
        )
    return factory(uri, base, password)
