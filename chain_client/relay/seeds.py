"""Seeds of events on their way into the log."""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable

from chain_client.log import NewEntry
from chain_client.log.payload_place import PayloadPlace
from chain_client.types import SourceId

_BYTES = 16


class Seeds:
    """Gives each event its seed: 128 bits that nobody else can know.

    Where a payload store keeps events, an event whose rows could not be committed gets the same
    seed again, as long as this process lives: what the store holds of it then is what it will be
    asked to hold. With another seed each try would leave objects there that nobody can read.

    Args:
        place: where payloads go.
    """

    def __init__(self, place: PayloadPlace | None) -> None:
        self._are_lasting = place is not None
        self._secrets: dict[SourceId, bytes] = {}

    def of(self, source_id: SourceId, event: bytes) -> bytes:
        """The seed of an encoded event."""
        if not self._are_lasting:
            return os.urandom(_BYTES)
        secret = self._secrets.get(source_id)
        if secret is None:
            secret = self._secrets[source_id] = os.urandom(32)
        return hmac.digest(secret, event, "sha256")[:_BYTES]

    def forget(self, committed: Iterable[NewEntry]) -> None:
        """These entries are committed: no seed of their sources can be asked for again."""
        if self._are_lasting:
            for entry in committed:
                self._secrets.pop(entry.source_id, None)
