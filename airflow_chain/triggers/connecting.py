"""From a trigger to its connection, which Airflow gives only by way of the event loop."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from airflow_chain.triggers.patience import LOOK_S
from chain_client.errors import ChainError, ConfigurationError, NotInTime, Unavailable

if TYPE_CHECKING:
    from airflow_chain.hooks.chain import ChainHook


FRESH_S = 600.0
"""How long a connection is used before it is asked for again, where nothing fails."""


class Connecting:
    """A trigger's connection, which is not asked for at every look: secrets backends count.

    Args:
        conn_id: the connection; None: the default one.
    """

    def __init__(self, conn_id: str | None) -> None:
        self._conn_id = conn_id
        self._hook: ChainHook | None = None
        self._stale_at = 0.0

    async def hook(self) -> ChainHook:
        """A hook, as `connect` gives it."""
        now = time.monotonic()
        if self._hook is None or now >= self._stale_at:
            self._hook = await connect(self._conn_id)
            self._stale_at = now + FRESH_S
        return self._hook

    def failed(self) -> None:
        """Ask for it anew at the next look: it may say something else by then."""
        self._hook = None


async def connect(conn_id: str | None) -> ChainHook:
    """A hook that has its connection, so that it can be used in any thread; not yet opened.

    Args:
        conn_id: the connection; None: the default one.

    Raises:
        ConfigurationError: there is no such connection, or it is wrong.
        Unavailable: Airflow, or its secrets backend, does not give it now.
    """
    # Of a plain thread Airflow 3.1 does not find its way to its event loop.
    from asgiref.sync import sync_to_async

    from airflow_chain.hooks.chain import ChainHook

    hook = ChainHook(conn_id)
    read = sync_to_async(lambda: hook.connection, thread_sensitive=False)
    try:
        await asyncio.wait_for(read(), LOOK_S)
    except ChainError:
        raise
    except TimeoutError:
        raise NotInTime(f"Airflow did not give the connection within {LOOK_S:g} s") from None
    except Exception as exc:
        # By its class alone: what a secrets backend says may show what it keeps.
        name = type(exc).__name__
        if "NotFound" in name:
            raise ConfigurationError(f"there is no connection {conn_id or '(default)'!r}") from None
        raise Unavailable(f"Airflow does not give the connection now ({name})") from None
    return hook
