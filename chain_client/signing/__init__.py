"""Who signs: keys by URI, and what is signed for a chain.

::

    keystore:<path>    an encrypted V3 keystore file (`chain_client.signing.keystore`)

Plugins add schemes, by the hook `signers`; this one comes by it too.
"""

from __future__ import annotations

import re
from pathlib import Path

from chain_client.errors import ConfigurationError
from chain_client.hookspecs import SignerFactory
from chain_client.plugin_host import get_plugin_host
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


_SCHEME = re.compile("[a-z][a-z0-9+.-]{0,19}(?=:)", re.IGNORECASE)


def open_signer(uri: str, *, base: Path, password: str | None = None) -> Signer:
    """The signer that a URI names. Reads nothing yet: the first use does.

    Args:
        uri: such as ``keystore:keys/log-writer.json``.
        base: folder to which a relative path belongs.
        password: the keystore's password; by default it is read from the file ``password``
            beside the keystore.

    Raises:
        ConfigurationError: the scheme is not known, or two plugins open it. The text shows no
            more than the scheme, for people paste keys where their URIs belong.
    """
    refuse_key(uri)
    plugins, scheme = get_plugin_host(), _SCHEME.match(uri)
    if scheme is None:
        raise ConfigurationError(
            "what was given is no URI of a key, for it has no scheme "
            f"({plugins.describe_known('signers')}): for a file write keystore: before its path, "
            "as keystore:/path/to/key.json"
        )
    factory: SignerFactory = plugins.factory("signers", scheme.group(), "signer")
    return factory(uri, base, password)
