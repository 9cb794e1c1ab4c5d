"""Who signs: keys by URI, and what is signed for a chain.

::

    keystore:<path>    an encrypted V3 keystore file (`chain_client.signing.keystore`)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chain_client.errors import ConfigurationError
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
        raise ConfigurationError(f"the signer {uri!r} names no file; expected keystore:<path>")
    return KeystoreSigner(uri, base / path, password=password)


_SCHEMES: dict[str, Callable[[str, Path, str | None], Signer]] = {"keystore": _open_keystore}


def open_signer(uri: str, *, base: Path, password: str | None = None) -> Signer:
    """The signer that a URI names. Reads nothing yet: the first use does.

    Args:
        uri: such as ``keystore:keys/log-writer.json``.
        base: folder to which a relative path belongs.
        password: the keystore's password; by default it is read from the file ``password``
            beside the keystore.

    Raises:
        ConfigurationError: the scheme is not known.
    """
    factory = _SCHEMES.get(uri.partition(":")[0]) if ":" in uri else None
    if factory is None:
        known = ", ".join(f"{name}:" for name in sorted(_SCHEMES))
        raise ConfigurationError(f"no signer is known for {uri!r}; known schemes: {known}")
    return factory(uri, base, password)
