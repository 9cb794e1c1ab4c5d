"""What a working relay holds: its home's lock, its spool's lease, perhaps the anchoring's."""

from __future__ import annotations

import os
import socket

from chain_client.clock import Clock
from chain_client.errors import AnotherRelay
from chain_client.home import Home
from chain_client.log import Lease, Log
from chain_client.relay.figures import Role
from chain_client.relay.held_lease import INGEST, HeldLease, RelayName
from chain_client.relay.lock import RelayLock
from chain_client.relay.older_log import OlderLog
from chain_client.relay.standing_by import StandingBy


class Tenure:
    """Takes, renews and gives back what a relay needs to write.

    Args:
        home: whose relay it is; its lock shows recorders that a relay runs.
        log: keeps the leases.
        standing_by: holds the lease of the anchoring, or waits for it.
        ttl_s: how long the lease of the spool holds without being renewed.
        clock: time.
        older_log: compares log and chain before anything leaves the spool.
    """

    def __init__(
        self,
        home: Home,
        log: Log,
        standing_by: StandingBy,
        ttl_s: float,
        clock: Clock,
        older_log: OlderLog,
    ) -> None:
        self._home = home
        self._log = log
        self._standing_by = standing_by
        self._ttl_s = ttl_s
        self._clock = clock
        self._older_log = older_log
        self._lock = RelayLock(home.relay_lock)
        self._locked = False
        self._name: RelayName | None = None
        self._ingest: HeldLease | None = None

    def begin(self) -> None:
        """Take the lock and the lease of this home's spool; and that of anchoring, if it is free.

        Raises:
            AnotherRelay: a relay is active for this home; the text names it.
            HomeNotWritable: the lock can't be taken.
            LogMismatch: log and chain contradict each other.
            LogUnavailable: the log's database does not answer.
        """
        # Held by a relay that works, or by one that was stopped: the lease tells.
        self._locked = self._lock.take()
        ingester_id = self._home.ingester_id()
        self._name = RelayName(
            socket.gethostname(),
            ingester_id,
            os.getpid(),
            ingests_only=not self._standing_by.may_anchor(),
        )
        lease = HeldLease(self._log, INGEST + ingester_id, self._ttl_s, self._clock)
        lease.take(self._name.to_holder(), self._is_dead)
        self._ingest = lease
        self._older_log.begin()
        self.seat()

    def keep(self) -> None:
        """Renew what is held, when it is time.

        Raises:
            AnotherRelay: the lease of the spool was taken over, or never taken.
            LogMismatch: log and chain, which could not be compared before, contradict each other.
            LogUnavailable: the log's database does not answer.
        """
        if self._ingest is None:
            raise AnotherRelay("this relay holds no lease; start it first")
        if self._ingest.renew_when_due():
            # The stopped relay from which this one took over may have let go meanwhile.
            self._locked = self._lock.take()
        self._older_log.look_when_due()
        self.seat()

    def ingest_lease(self) -> Lease:
        """The lease of the spool.

        Raises:
            AnotherRelay: it is not held.
        """
        if self._ingest is None:
            raise AnotherRelay("this relay holds no lease; start it first")
        return self._ingest.get()

    def seat(self) -> Lease | None:
        """The lease of the anchoring; None while another relay has it, or this one may not.

        Raises:
            LogUnavailable: the log's database does not answer.
        """
        assert self._name is not None
        return self._standing_by.seat(self._name, self._is_dead)

    def is_still_seated(self) -> bool:
        """Whether the lease of the anchoring is still ours, asked of the log now.

        Raises:
            LogUnavailable: the log's database does not answer.
        """
        return self._standing_by.check()

    @property
    def role(self) -> Role:
        """What this relay does beside reading its spool."""
        if self._ingest is None:
            return Role.WAITS
        if self._standing_by.is_seated:
            return Role.ANCHORS
        return Role.STANDS_BY if self._standing_by.may_anchor() else Role.INGESTS_ONLY

    def end(self) -> None:
        """Give everything back. Never raises."""
        self._standing_by.give_back()
        lease, self._ingest = self._ingest, None
        if lease is not None:
            lease.give_back()
        self._lock.release()
        self._locked = False

    def _is_dead(self, holder: str) -> bool:
        """With the lock in hand, whoever held a lease for this home on this machine is gone."""
        return self._locked and self._name is not None and self._name.is_same_home(holder)
