"""The leases of relays, and one lease as its holder keeps it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from chain_client.clock import Clock
from chain_client.errors import AnotherRelay, LogUnavailable
from chain_client.log import Lease, Log, holders

_logger = logging.getLogger(__name__)

LEASE = "relay"
"""Held by the one relay of a log that chooses heads and anchors them."""
INGEST = holders.INGEST
"""Before an ingester's id: held by the one relay that reads that home's spool."""
_ONLY = "/ingests-only"


@dataclass(frozen=True, slots=True)
class RelayName:
    """Who holds a relay's leases, as people can find it: ``host/ingester:process``.

    Args:
        host: name of the machine.
        ingester_id: of the home.
        process: its id there.
        ingests_only: it never anchors.
    """

    host: str
    ingester_id: str
    process: int
    ingests_only: bool = False

    def to_holder(self) -> str:
        """The holder's text in a lease."""
        only = _ONLY if self.ingests_only else ""
        return f"{self.host}/{self.ingester_id}{only}:{self.process}"

    def is_same_home(self, holder: str) -> bool:
        """Whether that holder was a relay of the same home on the same machine."""
        place = holder.rpartition(":")[0].removesuffix(_ONLY)
        return place == f"{self.host}/{self.ingester_id}"


def ingests_only(holder: str) -> bool:
    """Whether the holder of an ``ingest:`` lease never anchors."""
    return holder.rpartition(":")[0].endswith(_ONLY)


class HeldLease:
    """A lease that is taken, renewed in time and given back.

    Args:
        log: keeps it.
        name: of the lease.
        ttl_s: how long it holds without being renewed.
        clock: tells when that is due.
    """

    def __init__(self, log: Log, name: str, ttl_s: float, clock: Clock) -> None:
        self._log = log
        self._name = name
        self._ttl_s = ttl_s
        self._clock = clock
        self._lease: Lease | None = None
        self._renewed_us = 0

    @property
    def is_held(self) -> bool:
        """Whether it was taken, and not lost as far as this process knows."""
        return self._lease is not None

    def get(self) -> Lease:
        """The lease.

        Raises:
            AnotherRelay: it is not held.
        """
        if self._lease is None:
            raise AnotherRelay(f"this relay does not hold the lease {self._name!r}")
        return self._lease

    def take(self, holder: str, is_dead: Callable[[str], bool]) -> None:
        """Take it.

        Raises:
            AnotherRelay: somebody alive holds it; the text names who.
            LogUnavailable: the log's database does not answer.
        """
        self._lease = self._log.acquire_lease(self._name, holder, self._ttl_s, replace_dead=is_dead)
        self._renewed_us = self._clock.monotonic_us()

    def renew_when_due(self, *, now: bool = False) -> bool:
        """Renew it when a third of its time has passed, or now; whether that was done.

        Raises:
            AnotherRelay: somebody took it over; it is no longer held.
            LogUnavailable: the log's database does not answer; it is still held.
        """
        now_us = self._clock.monotonic_us()
        if not now and now_us - self._renewed_us <= self._ttl_s * 1e6 / 3:
            return False
        try:
            self._lease = self._log.renew(self.get(), self._ttl_s)
        except AnotherRelay:
            self._lease = None
            raise
        self._renewed_us = now_us
        return True

    def drop(self) -> None:
        """Count it as lost: a write under it was refused."""
        self._lease = None

    def give_back(self) -> None:
        """End it; nothing happens if it is not held. Never raises."""
        lease, self._lease = self._lease, None
        if lease is None:
            return
        try:
            self._log.release(lease)
        except (AnotherRelay, LogUnavailable) as exc:
            _logger.info("the lease %s was not given back: %s", self._name, exc)
