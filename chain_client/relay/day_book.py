"""What a relay tells its operator: a day fits on a page, whatever happens in it."""

from __future__ import annotations

import logging

from chain_client.clock import Clock
from chain_client.relay.anchor import Anchored

_logger = logging.getLogger(__name__)

_EVERY_US = 3_600_000_000


class DayBook:
    """One line for the first anchor, then one an hour; one when trouble begins, one when it ends.

    Each single anchor is a line at level DEBUG.

    Args:
        clock: time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told_us: int | None = None
        self._entries = self._anchors = self._gas_used = 0
        self._trouble_us: int | None = None
        self._trouble_told_us = 0

    def anchored(self, anchored: Anchored) -> None:
        """A head has come on chain."""
        _logger.debug(
            "anchored %d entries (size %d) in block %d, %d gas",
            anchored.entries,
            anchored.size,
            anchored.block_number,
            anchored.gas_used,
        )
        self._entries += anchored.entries
        self._anchors += 1
        self._gas_used += anchored.gas_used
        now_us = self._clock.monotonic_us()
        if self._told_us is not None and now_us - self._told_us < _EVERY_US:
            return
        _logger.info(
            "anchored %s in %s, %d gas; size %d in block %d",
            _counted(self._entries, "entry", "entries"),
            _counted(self._anchors, "transaction", "transactions"),
            self._gas_used,
            anchored.size,
            anchored.block_number,
        )
        self._told_us = now_us
        self._entries = self._anchors = self._gas_used = 0

    def trouble(self, text: str, waiting: int) -> None:
        """Nothing can be anchored now."""
        waits = f", {_counted(waiting, 'entry waits', 'entries wait')}" if waiting else ""
        now_us = self._clock.monotonic_us()
        if self._trouble_us is None:
            self._trouble_us = now_us
        elif now_us - self._trouble_told_us < _EVERY_US:
            _logger.debug("not anchored%s: %s", waits, text)
            return
        self._trouble_told_us = now_us
        _logger.warning("not anchored%s: %s", waits, text)

    def trouble_ended(self) -> None:
        """The chain takes anchors again."""
        if self._trouble_us is None:
            return
        lasted_s = (self._clock.monotonic_us() - self._trouble_us) / 1e6
        self._trouble_us = None
        _logger.info("the chain takes anchors again, after %.0f s", lasted_s)


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
