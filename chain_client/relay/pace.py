"""How a relay paces itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """The settings ``relay.*`` as they apply to one chain.

    Args:
        lease_s: how long a lease holds without being renewed.
        max_batch: most entries one anchor adds to the head.
        max_wait_s: how long an entry waits for others.
        idle_s: silence after which a started relay ends.
        look_s: between two looks at an anchor that is on its way, or not final yet.
        retry_max_s: longest pause before a chain in trouble is tried again.
        in_background: anchors in a thread, so that ingesting never waits for the chain or the key.
    """

    lease_s: float
    max_batch: int
    max_wait_s: float
    idle_s: float
    look_s: float = 0.2
    retry_max_s: float = 5.0
    in_background: bool = False


def choose_size(anchored: int, size: int, max_batch: int, catch_up: int) -> int:
    """Size of the next head.

    Args:
        anchored: entries that are on chain.
        size: entries of the log.
        max_batch: most entries one anchor adds as long as they suffice for all that waits.
        catch_up: most entries one anchor adds when more waits. With a ``max_batch`` of 1 each
            event has its own transaction, whatever waits.
    """
    waiting = size - anchored
    if waiting <= max_batch or max_batch == 1:
        return anchored + min(waiting, max_batch)
    return anchored + min(waiting, max(catch_up, max_batch))
