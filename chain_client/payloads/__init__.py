"""Where payloads lie that are not kept in the log's own database: which store, by URI.

::

    file:<folder>    files, one a payload (`chain_client.payloads.files`)

Plugins add schemes, by the hook `payload_stores`; this one comes by it too. What goes there is
encrypted first (`chain_client.payloads.encryption`); what the log keeps of it: `chain_client.log`.
"""

from __future__ import annotations

from pathlib import Path

from chain_client.hookspecs import PayloadStoreFactory
from chain_client.payloads.base import MAX_PAYLOAD_BYTES, PayloadStore, check_payload
from chain_client.payloads.encryption import EncryptedPayload, decrypt_payload, encrypt_payload
from chain_client.plugin_host import get_plugin_host

__all__ = [
    "MAX_PAYLOAD_BYTES",
    "EncryptedPayload",
    "PayloadStore",
    "check_payload",
    "decrypt_payload",
    "encrypt_payload",
    "open_payload_store",
]


def open_payload_store(uri: str, *, base: Path) -> PayloadStore:
    """The store that a URI names. Nothing is read or written yet.

    Args:
        uri: such as ``file:payloads``.
        base: folder to which a relative path belongs.

    Raises:
        ConfigurationError: the scheme is not known, two plugins open it, or the rest says nothing.
            Only the scheme is named: behind it there may be a password.
    """
    factory: PayloadStoreFactory = get_plugin_host().factory_of(
        uri, "payload_stores", "payload store"
    )
    return factory(uri, base)
