"""Waiting until something recorded stands in the log, whoever brings it there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from chain_client.client import ChainClient
from chain_client.errors import AnotherRelay, LogUnavailable

LOOK_S = 0.2
_Found = TypeVar("_Found")


def bring_in(client: ChainClient) -> AnotherRelay | None:
    """Bring what this process recorded into the log, if no relay runs.

    The recorder is closed, so that nothing of it stays behind.

    Returns:
        what is known of the relay that runs, and does it soon; None if none does.
    """
    client.recorder.close()
    relay = client.relay()
    try:
        relay.start()
        relay.run_round()
    except AnotherRelay as exc:
        return exc
    finally:
        relay.close()
    return None


def wait_until_logged(
    client: ChainClient, look: Callable[[], _Found | None], *, timeout_s: float
) -> _Found:
    """What `look` finds in the log, once it is there.

    Guarantee: what this process recorded is brought into the log by the relay that runs, or by
    this process if none does; nothing is waited for that nobody would do.

    Args:
        client: of the home.
        look: looks for it in the log; None while it is not there.
        timeout_s: how long another relay is waited for.

    Raises:
        LogUnavailable: it is not there in time.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        other = bring_in(client)
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
