"""Waiting until something recorded stands in the log, whoever brings it there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from chain_client.client import ChainClient
from chain_client.errors import AnotherRelay, LogUnavailable

LOOK_S = 0.2
_Found = TypeVar("_Found")


def wait_until_logged(
    client: ChainClient, look: Callable[[], _Found | None], *, timeout_s: float
) -> _Found:
    """What `look` finds in the log, once it is there.

    Guarantee: what this process recorded is brought into the log by the relay that runs, or by
    this process if none does; nothing is waited for that nobody would do. The recorder is closed,
    so that nothing of it stays behind.

    Args:
        client: of the home.
        look: looks for it in the log; None while it is not there.
        timeout_s: how long another relay is waited for.

    Raises:
        LogUnavailable: it is not there in time.
    """
    client.recorder.close()
    deadline = time.monotonic() + timeout_s
    while True:
        relay = client.relay()
        other: AnotherRelay | None = None
        try:
            relay.start()
            relay.run_round()
        except AnotherRelay as exc:
            other = exc
        finally:
            relay.close()
        found = look()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise LogUnavailable(
                f"what was recorded does not stand in the log after {timeout_s:g} s"
                + (f": {other}" if other else "")
                + ". It is kept, and the command can be given again; see `mlops-chain status`"
            )
        time.sleep(LOOK_S)
