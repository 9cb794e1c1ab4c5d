"""Where cursors are kept: with the asset (Airflow 3.3 and later), else in the log's database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from airflow_chain.triggers.aside import Aside
from airflow_chain.triggers.connecting import connect
from airflow_chain.triggers.patience import LOOK_S
from airflow_chain.triggers.telling import Cursor, Filter
from chain_client.errors import InvalidInput
from chain_client.registry.decisions import Place
from chain_client.types import to_hex

if TYPE_CHECKING:
    from airflow_chain.hooks.chain import ChainHook


class CursorStore(Protocol):
    """Keeps cursors by name."""

    async def load(self, name: str) -> Cursor | None:
        """The cursor; None if there is none.

        Raises:
            InvalidInput: what is stored there is none.
        """

    async def save(self, name: str, cursor: Cursor) -> None:
        """Keep it in place of the one before."""


def cursor_name(place: Place, wanted: Filter, watcher: Sequence[str | float | None] = ()) -> str:
    """The name under which a cursor stands: another filter, chain or contract has its own.

    Args:
        place: chain and contract.
        wanted: the filter.
        watcher: what else tells watchers apart that are kept in one store.
    """
    what = json.dumps([sorted(wanted.events), wanted.model_name, wanted.target, *watcher])
    digest = hashlib.sha256(what.encode()).hexdigest()[:16]
    return f"mlops_chain/decisions/{place.chain_id}/{to_hex(place.contract)}/{digest}"


class AssetCursors:
    """Keeps cursors in the state stores of the assets that are watched.

    Several assets of one watcher share it: their events are made in one transaction, so they share
    what was told. Each has a copy, for which of them stays is not known; the furthest counts.

    Args:
        stores: as `BaseEventTrigger.asset_state_store`.
    """

    def __init__(self, stores: Any) -> None:
        by_name = getattr(stores, "_by_name", None) or {}
        by_uri = getattr(stores, "_by_uri", None) or {}
        self._stores = [*by_name.values(), *by_uri.values()] or [stores]

    async def load(self, name: str) -> Cursor | None:
        """See `CursorStore`."""
        found = [await store.aget(name) for store in self._stores]
        cursors, damage = [], None
        for one in found:
            try:
                cursors += [] if one is None else [Cursor.from_json(one)]
            except InvalidInput as exc:
                damage = exc
        if damage is not None and not cursors:
            raise damage
        return max(cursors, key=lambda cursor: cursor.block, default=None)

    async def save(self, name: str, cursor: Cursor) -> None:
        """See `CursorStore`."""
        for store in self._stores:
            await store.aset(name, cursor.to_json())


class LogCursors:
    """Keeps cursors in the log's database.

    Args:
        conn_id: connection of the home.
        owner: name of this Airflow, as two may record into one log.
    """

    def __init__(self, conn_id: str | None, owner: str) -> None:
        self._conn_id = conn_id
        self._owner = owner
        self._aside = Aside("mlops-chain-cursor")

    async def load(self, name: str) -> Cursor | None:
        """See `CursorStore`."""
        hook = await connect(self._conn_id)
        found = await self._aside.run(partial(self._load, hook, name), LOOK_S)
        return None if found is None else Cursor.from_json(found)

    async def save(self, name: str, cursor: Cursor) -> None:
        """See `CursorStore`."""
        hook, text = await connect(self._conn_id), json.dumps(cursor.to_json())
        await self._aside.run(partial(self._save, hook, name, text), LOOK_S)

    def _load(self, hook: ChainHook, name: str) -> str | None:
        try:
            return hook.get_conn().log.cursor(self._owned(name))
        finally:
            hook.close()

    def _save(self, hook: ChainHook, name: str, text: str) -> None:
        try:
            hook.get_conn().log.put_cursor(self._owned(name), text)
        finally:
            hook.close()

    def _owned(self, name: str) -> str:
        return f"{self._owner}:{name}"
