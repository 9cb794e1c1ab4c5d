"""Standing by: many relays of one log may anchor, and one does."""

from __future__ import annotations

import logging
from collections.abc import Callable

from chain_client.clock import Clock
from chain_client.errors import AnotherRelay
from chain_client.log import Lease, Log
from chain_client.relay.held_lease import LEASE, HeldLease, RelayName

_logger = logging.getLogger(__name__)

_LOOK_S = 1.0
"""Between two looks whether the lease is free; less if the lease itself is short."""


class StandingBy:
    """The lease ``relay``: taken as soon as it is free, and lost without ending the relay.

    Guarantee: `seat` gives the lease only while no other relay has been seen to hold it; what is
    written with a lease that was lost meanwhile is refused by its token.

    Args:
        log: keeps the lease.
        ttl_s: how long it holds without being renewed.
        clock: time.
        may_anchor: whether this relay may take it at all, such as whether it has the key.
    """

    def __init__(
        self, log: Log, ttl_s: float, clock: Clock, may_anchor: Callable[[], bool]
    ) -> None:
        self._log = log
        self._clock = clock
        self.may_anchor = may_anchor
        self._held = HeldLease(log, LEASE, ttl_s, clock)
        self._look_us = round(min(_LOOK_S, ttl_s / 3) * 1e6)
        self._look_at_us = 0
        self._told: str | None = None

    @property
    def is_seated(self) -> bool:
        """Whether this relay anchors, as far as it knows."""
        return self._held.is_held

    def seat(self, name: RelayName, is_dead: Callable[[str], bool]) -> Lease | None:
        """The lease, renewed or just taken; None while another has it, or we may not.

        Args:
            name: who takes it.
            is_dead: whether a holder is known to be gone, so that its end need not be awaited.

        Raises:
            LogUnavailable: the log's database does not answer.
        """
        if self._held.is_held:
            try:
                self._held.renew_when_due()
            except AnotherRelay:
                _logger.warning("another relay took over the anchoring; this one stands by")
                self._told = None
                return None
            return self._held.get()
        now_us = self._clock.monotonic_us()
        if now_us < self._look_at_us or not self.may_anchor():
            return None
        self._look_at_us = now_us + self._look_us
        return self._take(name, is_dead)

    def check(self) -> bool:
        """Whether the lease is still ours, asked of the log now.

        Raises:
            LogUnavailable: the log's database does not answer.
        """
        if not self._held.is_held:
            return False
        try:
            self._held.renew_when_due(now=True)
        except AnotherRelay:
            _logger.warning("another relay took over the anchoring; this one stands by")
            self._told = None
            return False
        return True

    def give_back(self) -> None:
        """Let another relay anchor. Never raises."""
        self._held.give_back()
        self._look_at_us = 0

    def _take(self, name: RelayName, is_dead: Callable[[str], bool]) -> Lease | None:
        # Looked at first: to try to take it would lock the log for a moment, each time.
        holder = self._log.holder(LEASE)
        if holder is not None and not is_dead(holder.holder):
            self._tell(f"{holder.holder} anchors; this relay stands by")
            return None
        try:
            self._held.take(name.to_holder(), is_dead)
        except AnotherRelay:
            return None
        self._tell("this relay anchors")
        return self._held.get()

    def _tell(self, text: str) -> None:
        if text != self._told:
            _logger.info("%s", text)
            self._told = text
