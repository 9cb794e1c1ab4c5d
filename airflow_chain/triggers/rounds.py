"""One loop that looks at a registry for everybody in a triggerer who wants to be told."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_chain.triggers.aside import Aside
from airflow_chain.triggers.connecting import connect
from airflow_chain.triggers.patience import LOOK_S, Outage, Patience
from chain_client.errors import ChainError

if TYPE_CHECKING:
    from airflow_chain.hooks.chain import ChainHook
    from chain_client.registry.decision_watch import DecisionWatch
    from chain_client.registry.decisions import Look

_logger = logging.getLogger(__name__)

_RECONNECT = 5
"""After so many looks in vain the connection is read anew."""


@dataclass(eq=False, slots=True)
class Round:
    """One look, as it is handed to all.

    Args:
        look: what was seen.
        confirm: called once Airflow has everything that was told of it.
    """

    look: Look
    confirm: list[Callable[[], Awaitable[None]]] = field(default_factory=list)


class Rounds:
    """Looks again and again, and never ends.

    A chain that does not answer is waited for; nothing that is missed meanwhile is lost, for each
    look shows everything.

    Args:
        conn_id: connection.
        poll_interval: seconds between two looks.
    """

    def __init__(self, conn_id: str | None, poll_interval: float) -> None:
        self._conn_id = conn_id
        self._patience = Patience(poll_interval)
        self._outage = Outage(_logger, "look at what was decided")
        self._aside = Aside("mlops-chain-decisions")
        self._hook: ChainHook | None = None
        self._watch: DecisionWatch | None = None
        self._watched: ChainHook | None = None
        self._failures = 0

    async def run(self) -> AsyncIterator[Round]:
        """The rounds; one after each look, also where nothing is new."""
        while True:
            try:
                if self._hook is None:
                    self._hook = await connect(self._conn_id)
                found = await self._aside.run(partial(self._look, self._hook), LOOK_S)
            except Exception as exc:
                # A trigger that ends is begun anew at once: waiting is kinder to everybody. Of a
                # foreign error only the class is told: its text may hold the URL of an endpoint.
                told = exc if isinstance(exc, ChainError) else type(exc).__name__
                self._outage.began(told)
                self._failed()
            else:
                self._patience.answered()
                self._outage.ended()
                yield Round(found)
            await self._patience.pause()

    def close(self) -> None:
        """Release the connection, once a look that still goes on has ended."""
        hook, self._hook = self._hook, None
        if hook is not None:
            self._aside.finish(hook.close)

    def _failed(self) -> None:
        self._patience.failed()
        # A look that still goes on has the connection.
        self._failures += self._aside.is_free
        if self._failures >= _RECONNECT:
            self._failures = 0
            self.close()  # what the connection says may have changed

    def _look(self, hook: ChainHook) -> Look:
        if self._watch is None or self._watched is not hook:
            self._watch, self._watched = hook.get_conn().watch_decisions(), hook
        return self._watch.look()


async def confirm(batch: Sequence[Any]) -> None:
    """Tell everybody that Airflow has what they told of these rounds.

    Args:
        batch: of items as Airflow's shared streams give them (`AdvanceItem`).
    """
    for item in batch:
        # Of who failed nobody knows whether it was stored: they begin anew, and tell it again.
        if item.outcome.failed == 0:
            for call in item.broker_payload.confirm:
                await call()
