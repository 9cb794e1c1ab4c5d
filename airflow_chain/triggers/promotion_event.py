"""`PromotionEventTrigger`: what was decided about models, as events of an asset."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Hashable, Sequence
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_chain import config
from airflow_chain.triggers.cursor_stores import (
    AssetCursors,
    CursorStore,
    LogCursors,
    cursor_name,
)
from airflow_chain.triggers.rounds import Round, Rounds, confirm
from airflow_chain.triggers.telling import Cursor, Filter, Payload, advance, begin, resume
from chain_client.errors import ChainError, InvalidInput

EVENTS = ("approved", "rejected", "promoted", "revoked")
SETTLED_S = 60.0
"""Before Airflow 3.3 nobody says when an event is stored; a triggerer that lives does it within two
seconds, and after this long it counts as stored."""

AHEAD_S = 600
"""How long a chain may be behind a stored cursor: a node that is asked now may lag."""


class PromotionEventTrigger(BaseEventTrigger):
    """Makes an asset event of each approval, rejection, promotion and revocation, when it is final.

    Guarantee: nothing that is decided while a watcher exists is lost, whatever is restarted when.
    Each event has an ``event_id`` of its own and is told once. Where a triggerer ends within the
    second or two in which it has told an event and does not know yet whether Airflow stored it,
    the event is told after the restart, under the same id and with ``again`` true: if Airflow had
    stored it, there are two of it (`airflow_chain.promotion_events` drops the second).

    ``approved`` comes when a final block shows that quorum and delay are reached: time alone may
    be what was missing, so there is no transaction for it. It comes once for each proposal, and
    before its ``promoted``. A proposal whose approval was complete only while no triggerer ran,
    and which expired unpromoted meanwhile, is not told.

    All triggers of a triggerer with the same connection and interval share one loop, which looks
    at the chain; from Airflow 3.3 on their cursors stand in the assets' state stores, before that
    in the log's database, and each has a loop of its own.

    The payload: ``event_id``, ``event``, ``cause`` (``quorum``; ``rejected``, ``withdrawn``;
    ``promoted``, ``rolled_back``, ``broke_glass``; ``revoked``), ``model_name`` and ``target``
    (None where the log does not tell them), ``model_id``, ``target_id``, ``version``,
    ``proposal_id``, ``block``, ``at``, ``transaction``, ``chain_id``, ``contract``, ``again``.

    Args:
        mlops_chain_conn_id: connection; default: ``[mlops_chain] default_conn_id``.
        events: which of ``approved``, ``rejected``, ``promoted``, ``revoked``.
        model_name: ``fraud`` or ``workspace/fraud``; None: every model.
        target: such as ``@champion``; None: every target.
        poll_interval: seconds between two looks.
        from_block: tell what was decided from this block on, too; None: from now on.

    Example:
        >>> trigger = PromotionEventTrigger(events=["approved"], model_name="fraud")
        >>> Asset("fraud-approved", watchers=[AssetWatcher(name="fraud", trigger=trigger)])
    """

    def __init__(
        self,
        *,
        mlops_chain_conn_id: str | None = None,
        events: Sequence[str] = EVENTS,
        model_name: str | None = None,
        target: str | None = None,
        poll_interval: float = 10.0,
        from_block: int | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        unknown = [event for event in events if event not in EVENTS]
        if unknown or not events:
            raise ValueError(f"events: expected some of {', '.join(EVENTS)}, got {events!r}")
        self.mlops_chain_conn_id = mlops_chain_conn_id
        self.events = list(events)
        self.model_name = model_name
        self.target = _canonical(target)
        self.poll_interval = poll_interval
        self.from_block = from_block
        self._teller: _Teller | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What another triggerer makes the same of; nothing secret."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "mlops_chain_conn_id": self.mlops_chain_conn_id,
                "events": self.events,
                "model_name": self.model_name,
                "target": self.target,
                "poll_interval": self.poll_interval,
                "from_block": self.from_block,
            },
        )

    # --- Airflow 3.3 and later: one loop for all, and word of what is stored

    def shared_stream_key(self) -> Hashable | None:
        """Who has the same shares one loop."""
        return ("mlops_chain", self.mlops_chain_conn_id or "", str(self.poll_interval))

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> Any:
        """The loop that all of them share."""
        from airflow.triggers.shared_stream import SharedStreamProducer

        rounds = Rounds(kwargs["mlops_chain_conn_id"], kwargs["poll_interval"])

        class Producer(SharedStreamProducer):
            """Hands each round to everybody, and has them told when Airflow has theirs."""

            async def open_stream(self) -> AsyncIterator[tuple[Round, Round]]:
                async for found in rounds.run():
                    yield found, found

            async def advance(self, batch: Sequence[Any]) -> None:
                await confirm(batch)

            async def aclose(self) -> None:
                rounds.close()

        return Producer()

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Round]
    ) -> AsyncIterator[TriggerEvent]:
        """Tell what is new in each round."""
        teller = self._get_teller()
        async for found in shared_stream:
            payloads = await teller.take(found)
            if payloads:
                found.confirm.append(teller.confirmer(payloads))
            for payload in payloads:
                yield TriggerEvent(payload)

    # --- before Airflow 3.3: a loop for each

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look and tell, alone."""
        teller = self._get_teller()
        rounds = Rounds(self.mlops_chain_conn_id, self.poll_interval)
        unsettled: deque[tuple[float, tuple[Payload, ...]]] = deque()
        try:
            async for found in rounds.run():
                while unsettled and unsettled[0][0] <= time.monotonic():
                    await teller.confirmer(unsettled.popleft()[1])()
                payloads = await teller.take(found)
                for payload in payloads:
                    yield TriggerEvent(payload)
                if payloads:
                    unsettled.append((time.monotonic() + SETTLED_S, payloads))
        finally:
            rounds.close()

    def _get_teller(self) -> _Teller:
        if self._teller is None:
            wanted = Filter(frozenset(self.events), self.model_name, self.target)
            # Airflow before 3.3 has no such attribute.
            stores = getattr(self, "asset_state_store", None)
            store: CursorStore
            watcher: tuple[str | float | None, ...] = (self.mlops_chain_conn_id, self.from_block)
            if stores is None:
                store = LogCursors(self.mlops_chain_conn_id, config.name())
                watcher += (self.poll_interval,)  # for other assets are watched there, too
            else:
                store = AssetCursors(stores)
            self._teller = _Teller(store, wanted, self.from_block, self.log, watcher)
        return self._teller


class _Teller:
    """Keeps one cursor, in memory and stored, in step."""

    def __init__(
        self,
        store: CursorStore,
        wanted: Filter,
        from_block: int | None,
        log: Any,
        watcher: tuple[str | float | None, ...] = (),
    ) -> None:
        self._store = store
        self._wanted = wanted
        self._from_block = from_block
        self._log = log
        self._watcher = watcher
        self._name = ""
        self._cursor: Cursor | None = None
        self._is_stored = True
        self._ahead_since: float | None = None
        self._turn = asyncio.Lock()

    async def take(self, found: Round) -> tuple[Payload, ...]:
        """What is to be told of a round; stored as pending. Nothing, if it can't be stored now."""
        async with self._turn:
            try:
                return await self._take(found)
            except ChainError as exc:
                self._log.warning("mlops-chain: the cursor can't be kept now: %s", exc)
            except Exception as exc:
                self._log.warning("mlops-chain: the cursor can't be kept: %s", type(exc).__name__)
            return ()

    async def _take(self, found: Round) -> tuple[Payload, ...]:
        repeated: tuple[Payload, ...] = ()
        cursor = self._cursor
        if cursor is None:
            self._name = cursor_name(found.look.place, self._wanted, self._watcher)
            cursor = await self._load()
            if cursor is not None and cursor.block > found.look.block_number:
                if not self._is_ahead_for_good(cursor.block, found.look.block_number):
                    return ()
                cursor = None
            if cursor is None:
                cursor = begin(found.look, self._from_block)
                self._is_stored = False
            cursor, repeated = resume(cursor, found.look, self._wanted)
        after, payloads = advance(cursor, found.look, self._wanted)
        if payloads or not self._is_stored:
            await self._store.save(self._name, after)
            self._is_stored = True
        self._cursor = after
        return (*repeated, *payloads)

    async def _load(self) -> Cursor | None:
        try:
            return await self._store.load(self._name)
        except InvalidInput:
            self._log.error(
                "mlops-chain: what is stored under %s is no cursor; told is what is decided from "
                "now on, and what was decided meanwhile may be missing",
                self._name,
            )
            return None

    def _is_ahead_for_good(self, block: int, newest: int) -> bool:
        """Whether a cursor is of no use: the chain has not come to its block in time.

        A node may be behind the one that was asked before; or somebody wrote the cursor.
        """
        now = time.monotonic()
        if self._ahead_since is None:
            self._ahead_since = now
            self._log.warning(
                "mlops-chain: the cursor under %s is at block %d, and the chain at %d only: "
                "waiting for it up to %d s",
                self._name,
                block,
                newest,
                AHEAD_S,
            )
        if now - self._ahead_since < AHEAD_S:
            return False
        self._ahead_since = None
        self._log.error(
            "mlops-chain: the cursor under %s is at block %d, to which the chain does not come "
            "(%d): told is what is decided from now on, and what was decided meanwhile may be "
            "missing; find out who wrote it",
            self._name,
            block,
            newest,
        )
        return True

    def confirmer(self, payloads: Sequence[Payload]) -> Any:
        """To be called once Airflow has these."""

        async def settle() -> None:
            async with self._turn:
                if self._cursor is None:
                    return
                self._cursor = self._cursor.confirmed(one["event_id"] for one in payloads)
                self._is_stored = False
                try:
                    await self._store.save(self._name, self._cursor)
                    self._is_stored = True
                except Exception as exc:
                    # The next round stores it.
                    told = type(exc).__name__
                    self._log.warning("mlops-chain: the cursor can't be kept now (%s)", told)

        return settle


def _canonical(target: str | None) -> str | None:
    if target is None:
        return None
    from chain_client.registry.targets import Target

    return str(Target.parse(target))
