"""Adopting a server whose database nobody here can reach: the home alone knows it."""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from chain_client.errors import HomeNotWritable
from chain_client.hosts import StoreBinding
from mlflow_chain.adopting.once import ADAPTER, alone, record_baseline, was_recorded

if TYPE_CHECKING:
    from chain_client.client import ChainClient


class ServerAdoption:
    """Makes a home know a server, once.

    Guarantee: when `ensure` returns, a whole baseline of the server is recorded and the home
    knows how to reach it, without any credentials; of several processes that come at once, one
    records the baseline and the others wait. A baseline that was interrupted is recorded again
    under the same id.

    Args:
        server_uri: as `mlflow_chain.reading.server_uri` spells it.
        client: the home.
    """

    def __init__(self, server_uri: str, client: ChainClient) -> None:
        self._uri = server_uri
        self._client = client

    def ensure(self) -> str:
        """Adopt the server if this home has not; gives the store's id.

        A server that is known is not asked, so that recording goes on while it rests.

        Raises:
            HomeNotWritable: the baseline, or the home's note of it, can't be written.
            HostUnavailable: the server does not answer, or does not let us read.
        """
        known = self._find()
        if known is not None:
            return known
        with alone(self._client.home):
            known = self._find()
            if known is not None:
                return known
            note = self._note()
            store_id = self._noted_id(note)
            if not was_recorded(self._client, store_id):
                record_baseline(self._client, self._uri, store_id)
            self._client.bind_store(StoreBinding(store_id, ADAPTER, self._uri))
            note.unlink(missing_ok=True)
        return store_id

    def _find(self) -> str | None:
        for binding in self._client.folder.bindings():
            if binding.adapter == ADAPTER and binding.uri == self._uri:
                return binding.store_id
        return None

    def _note(self) -> Path:
        place = hashlib.sha256(self._uri.encode()).hexdigest()[:32]
        return self._client.folder.stores / f"{place}.adopting"

    def _noted_id(self, note: Path) -> str:
        """The id under which the server is adopted; it outlives whoever minted it."""
        try:
            if note.exists():
                found = note.read_text(encoding="ascii").strip()
                if len(found) == 32:
                    return found
            store_id = uuid.uuid4().hex
            temporary = note.with_suffix(f".tmp{os.getpid()}")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(store_id)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(note)
        except OSError as exc:
            raise HomeNotWritable(f"{note} can't be written ({exc.strerror or exc})") from exc
        return store_id
