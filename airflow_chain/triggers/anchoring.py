"""Waits until what was recorded is anchored, for `AnchorOperator`: the wait and its trigger."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_chain.triggers.aside import Aside
from airflow_chain.triggers.connecting import Connecting
from airflow_chain.triggers.patience import LOOK_S, Outage, Patience, bounded
from chain_client.errors import ChainError, Unavailable

if TYPE_CHECKING:
    from airflow_chain.hooks.chain import ChainHook
    from chain_client.anchored import Anchored, Mark

RELAY_PATIENCE_S = 60.0
"""How long no relay may be seen, for one that is started anew comes back."""


@dataclass(slots=True)
class AnchorWait:
    """Decides what a look means. Pure.

    Args:
        ends_at: seconds since the epoch, when time is up.
        relay_patience_s: how long no relay may be seen.
        alone_since: when none was seen first; None while one is there.
    """

    ends_at: float
    relay_patience_s: float = RELAY_PATIENCE_S
    alone_since: float | None = None

    def judge(self, found: Anchored, now: float) -> tuple[str, str]:
        """``anchored``, ``waiting``, ``alone`` or ``timeout``, and how it stands in words."""
        if found.is_anchored:
            return "anchored", found.text
        if found.has_relay:
            self.alone_since = None
        elif self.alone_since is None:
            self.alone_since = now
        if self.alone_since is not None and now - self.alone_since >= self.relay_patience_s:
            return "alone", found.text
        return ("timeout" if now >= self.ends_at else "waiting"), found.text


def make_mark(hook: ChainHook) -> Mark:
    """The mark of what was recorded so far, through a hook, which is closed again; blocks."""
    from chain_client.anchored import mark

    try:
        return mark(hook.get_conn())
    finally:
        hook.close()


def look_once(hook: ChainHook, marked: Mark, until: str) -> Anchored:
    """How far it has come, likewise."""
    from chain_client.anchored import Until, look

    try:
        return look(hook.get_conn(), marked, Until.parse(until))
    finally:
        hook.close()


def to_result(found: Anchored, until: str) -> dict[str, Any]:
    """What stands in XCom."""
    return {
        "verdict": "anchored",
        "until": until,
        "size": found.size,
        "anchored_size": found.anchored_size,
        "block": found.block_number,
        "in_flight": found.mark.in_flight,
    }


class AnchorTrigger(BaseTrigger):
    """Fires once: when what a mark covers is anchored, or when it will not be in time.

    Args:
        mlops_chain_conn_id: connection; what is secret stays there.
        mark: as `Mark.to_json` gave it.
        until: ``included`` or ``finalized``.
        poll_interval: seconds between two looks.
        ends_at: seconds since the epoch, when time is up.
        relay_patience_s: how long no relay may be seen.
    """

    def __init__(
        self,
        *,
        mlops_chain_conn_id: str | None,
        mark: dict[str, Any],
        until: str,
        poll_interval: float,
        ends_at: float,
        relay_patience_s: float = RELAY_PATIENCE_S,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.mlops_chain_conn_id = mlops_chain_conn_id
        self.mark = mark
        self.until = until
        self.poll_interval = poll_interval
        self.ends_at = ends_at
        self.relay_patience_s = relay_patience_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What another triggerer makes the same of."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "mlops_chain_conn_id": self.mlops_chain_conn_id,
                "mark": self.mark,
                "until": self.until,
                "poll_interval": self.poll_interval,
                "ends_at": self.ends_at,
                "relay_patience_s": self.relay_patience_s,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is something to say."""
        from chain_client.anchored import Mark

        aside, patience = Aside("mlops-chain-anchor"), Patience(self.poll_interval)
        connecting = Connecting(self.mlops_chain_conn_id)
        outage = Outage(self.log, "look at the anchor")
        wait, told = AnchorWait(self.ends_at, self.relay_patience_s), ""
        marked = Mark.from_json(self.mark)
        while True:
            try:
                hook = await connecting.hook()
                found = await aside.run(partial(look_once, hook, marked, self.until), LOOK_S)
            except Unavailable as exc:
                outage.began(exc)
                patience.failed()
                connecting.failed()
                told = told or patience.told
                verdict = "timeout" if time.time() >= self.ends_at else "waiting"
            except ChainError as exc:
                yield TriggerEvent({"verdict": "error", "text": bounded(str(exc))})
                return
            else:
                patience.answered()
                outage.ended()
                marked = found.mark
                verdict, told = wait.judge(found, time.time())
                if verdict == "anchored":
                    yield TriggerEvent(to_result(found, self.until))
                    return
            if verdict != "waiting":
                yield TriggerEvent({"verdict": verdict, "text": bounded(told)})
                return
            await patience.pause()
