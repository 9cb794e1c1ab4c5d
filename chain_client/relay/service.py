"""The relay: one process a home that moves what is spooled into the log and onto the chain."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

from chain_client.clock import Clock
from chain_client.errors import (
    AnotherRelay,
    ChainError,
    ConfigurationError,
    HomeMissing,
    LedgerUnavailable,
    LogMismatch,
    LogUnavailable,
    TransactionFailed,
)
from chain_client.home import Home
from chain_client.log import EntryStatus, Lease, Log
from chain_client.relay.anchor import Anchored, Anchorer
from chain_client.relay.cross_anchoring import CrossAnchorer
from chain_client.relay.ingest import Ingester, Round
from chain_client.relay.lock import RelayLock
from chain_client.relay.log_file import keep_small
from chain_client.relay.read_back import ReadBack
from chain_client.relay.registry_sync import RegistrySync
from chain_client.spool import remove_taken, remove_unborn

_logger = logging.getLogger(__name__)

LEASE = "relay"
_POLL_S = 0.2
"""Pause between rounds. Each round that finds something costs some fsyncs, which the training
beside it would feel: so it gathers for a while, unless more is waiting than it could read."""
_RETRY_MAX_S = 5.0


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """How a relay paces itself; see the settings ``relay.*``."""

    lease_s: float
    max_batch: int
    max_wait_s: float
    idle_s: float


class Relay:
    """Ingests, sequences and anchors under one lease.

    Guarantee: while one relay holds the lease no other writes to the log; a relay that lost
    it (stopped for longer than the lease) has its next write refused and ends.

    Args:
        home: whose spool is read; its relay lock shows recorders that a relay runs.
        log: the log.
        ingester: moves events into the log.
        anchorer: moves heads onto the chain.
        settings: pace.
        clock: time.
        on_anchored: told of each anchor.
        read_back: lets files be read that passed none of the recorders.
        registry_sync: keeps hosts equal to the registry; None if that is off.
        cross: anchors heads on a second chain too; None if there is none.
    """

    def __init__(
        self,
        home: Home,
        log: Log,
        ingester: Ingester,
        anchorer: Callable[[Lease], Anchorer],
        settings: RelaySettings,
        clock: Clock,
        on_anchored: Callable[[Anchored], None] | None = None,
        read_back: ReadBack | None = None,
        registry_sync: RegistrySync | None = None,
        cross: CrossAnchorer | None = None,
    ) -> None:
        self._home = home
        self._log = log
        self._ingester = ingester
        self._make_anchorer = anchorer
        self._settings = settings
        self._clock = clock
        self.on_anchored = on_anchored
        self._read_back = read_back
        self._registry_sync = registry_sync
        self._cross = cross
        self._stop = threading.Event()
        self._lock = RelayLock(home.relay_lock)
        self._lease: Lease | None = None
        self._anchorer: Anchorer | None = None
        self._renewed_us = 0
        self._waiting_since_us: int | None = None
        self._retry_s = 0.0
        self._retry_at_us = 0
        self._may_stand = True
        self._log_trouble = False

    def stop(self) -> None:
        """Ask a running relay to end after the round it is in; safe in a signal handler."""
        self._stop.set()

    def start(self) -> None:
        """Take the lock and the lease.

        Raises:
            AnotherRelay: a relay is active for this home; the text names it.
            HomeNotWritable: the lock can't be taken.
            LogUnavailable: the log's database does not answer.
        """
        # Held by a relay that works, or by one that was stopped: the lease tells.
        locked = self._lock.take()
        here = socket.gethostname()
        try:
            # With the lock in hand, whoever held the lease on this machine is gone.
            self._lease = self._log.acquire_lease(
                LEASE,
                f"{here}:{os.getpid()}",
                self._settings.lease_s,
                replace_dead=lambda holder: locked and holder.rpartition(":")[0] == here,
            )
            remove_unborn(self._home.spool)
            remove_taken(self._home.spool)
        except BaseException:
            self.close()
            raise
        self._renewed_us = self._clock.monotonic_us()

    def close(self) -> None:
        """Give lease and lock back."""
        if self._registry_sync is not None:
            self._registry_sync.stop()
        if self._cross is not None:
            self._cross.stop()
        if self._read_back is not None:
            self._read_back.stop()
        lease, self._lease = self._lease, None
        if lease is not None:
            try:
                self._log.release(lease)
            except (AnotherRelay, LogUnavailable) as exc:
                _logger.info("the lease was not given back: %s", exc)
        self._lock.release()

    def run(self, *, until_idle: bool) -> None:
        """Work until stopped, or until there was nothing to do for ``relay.idle_s``.

        Raises:
            AnotherRelay: the lease was taken over.
            HomeMissing: the home was removed.
            LogMismatch: log and chain contradict each other; an alarm stands in the log.
            ConfigurationError: the chain or its contract is another; likewise.
        """
        idle_since_us: int | None = None
        if self._registry_sync is not None:
            self._registry_sync.start()
        while not self._stop.is_set():
            if not self._home.exists():
                raise HomeMissing(f"the home {self._home.path} was removed; this relay ends")
            unread, busy = self._turn()
            keep_small(self._home.relay_log)
            now_us = self._clock.monotonic_us()
            if busy:
                idle_since_us = None
            elif idle_since_us is None:
                idle_since_us = now_us
            elif until_idle and now_us - idle_since_us >= self._settings.idle_s * 1e6:
                _logger.info("nothing to do for %.0f s: ending", self._settings.idle_s)
                return
            if not unread:
                self._stop.wait(_POLL_S)

    def _turn(self) -> tuple[bool, bool]:
        """One round; whether more can be read at once, and whether more is to be expected."""
        try:
            done, anchored = self.run_round()
            if done is None:
                return False, True
            reads = (
                self._read_back is not None
                and not done.unread
                and self._read_back.start_if_wanted()
            )
            syncs = self._registry_sync is not None and self._registry_sync.is_busy()
            if self._cross is not None:
                self._cross.turn(self._held())
                syncs = syncs or self._cross.is_busy()
            if done.entries or anchored or done.unread or reads or syncs:
                return done.unread, True
            return False, bool(done.live_sources or done.in_doubt or self._pending())
        except LogUnavailable as exc:
            self._note_log_trouble(exc)
            return False, True

    def drain(self, *, patience_s: float, on_round: Callable[[Round], None] | None = None) -> None:
        """Work until everything that was spooled when this began is anchored and final.

        Files that were to be read back then are read, and what the registry decided is set in the
        hosts. Calls that are still running in a live
        process are not waited for.

        Args:
            patience_s: how long an unreachable chain or database is waited for.
            on_round: told of each round.

        Raises:
            LedgerUnavailable: the chain did not answer in that time.
            LogUnavailable: likewise the log's database.
            AnotherRelay: as `run`.
            LogMismatch: as `run`.
        """
        lease = self._held()
        self._take_all(on_round)
        if self._read_back is not None and self._read_back.start_if_wanted(first_only=True):
            while self._read_back.is_busy(_POLL_S):
                self._renew()
            self._take_all(on_round)
        if self._registry_sync is not None:
            self._registry_sync.run_once()
            while self._registry_sync.is_busy(_POLL_S):
                self._renew()
            self._take_all(on_round)
        deadline_us = self._clock.monotonic_us() + int(patience_s * 1e6)
        self._anchor_all(lease, deadline_us)
        if self._cross is not None:
            self._cross.turn(lease)
            while self._cross.is_busy(_POLL_S) and self._clock.monotonic_us() < deadline_us:
                self._renew()

    def _take_all(self, on_round: Callable[[Round], None] | None) -> None:
        # A round reads to the end of each source as it then is, and the next one settles what
        # the dead have left. To wait for silence would never end beside a busy recorder.
        whole_rounds = 0
        while whole_rounds < 2:
            self._renew()
            done = self._ingest(self._held())
            if on_round is not None:
                on_round(done)
            whole_rounds = 0 if done.unread else whole_rounds + 1

    def _anchor_all(self, lease: Lease, deadline_us: int) -> None:
        target = self._log.size()
        while True:
            try:
                self._renew()
                if self._anchor_once(lease) is not None:
                    continue
                self._anchorer_of(lease).finalise(lease)
                if self._final_size() >= target:
                    return
            except (LedgerUnavailable, LogUnavailable) as exc:
                if isinstance(exc, LedgerUnavailable):
                    self._chain_trouble(exc)
                if self._clock.monotonic_us() >= deadline_us:
                    raise
            self._stop.wait(_POLL_S)

    def run_round(self) -> tuple[Round | None, Anchored | None]:
        """Ingest once and, if it is time, anchor once.

        Returns:
            what was ingested (None if the log could not be written) and what was anchored.
        """
        lease = self._held()
        try:
            self._renew()
            done = self._ingest(lease)
        except LogUnavailable as exc:
            self._note_log_trouble(exc)
            return None, None
        self._log_trouble = False
        if self._waiting_since_us is None and done.oldest_us is not None:
            # The time in the spool counts too, as far as the recorder's clock can be believed.
            waited_us = self._clock.time_us() - done.oldest_us
            most_us = int(self._settings.max_wait_s * 1e6)
            self._waiting_since_us = self._clock.monotonic_us() - min(max(waited_us, 0), most_us)
        return done, self._anchor_when_due(lease)

    def _ingest(self, lease: Lease) -> Round:
        done = self._ingester.run_round(lease)
        if done.entries:
            _logger.debug("%d entries sequenced", done.entries)
        return done

    def _anchor_when_due(self, lease: Lease) -> Anchored | None:
        now_us = self._clock.monotonic_us()
        if now_us < self._retry_at_us:
            return None
        pending = self._pending()
        if not pending and self._anchorer is not None:
            self._waiting_since_us = None
            return None
        if self._waiting_since_us is None:
            self._waiting_since_us = now_us
        waited_s = (now_us - self._waiting_since_us) / 1e6
        if pending < self._settings.max_batch and waited_s < self._settings.max_wait_s:
            return None
        try:
            anchored = self._anchor_once(lease)
        except (LedgerUnavailable, TransactionFailed) as exc:
            self._retry_s = min(max(self._retry_s * 2, 0.1), _RETRY_MAX_S)
            self._retry_at_us = now_us + int(self._retry_s * 1e6)
            self._chain_trouble(exc)
            _logger.warning("not anchored, %d entries wait: %s", pending, exc)
            return None
        self._retry_s = 0.0
        self._waiting_since_us = None
        return anchored

    def _anchor_once(self, lease: Lease) -> Anchored | None:
        try:
            anchored = self._anchorer_of(lease).anchor_next(lease)
        except LogMismatch as exc:
            self._log.raise_alarm("head", "log", str(exc))
            raise
        except AnotherRelay:
            raise
        except ConfigurationError as exc:
            self._chain_trouble(exc)
            raise
        if self._may_stand:
            # Whichever relay raised them: chain and log agree again.
            self._log.clear_alarm("chain", "anchor")
            self._log.clear_alarm("head", "log")
            self._may_stand = False
        if anchored is not None:
            _logger.info(
                "anchored %d entries (size %d) in block %d, %d gas",
                anchored.entries,
                anchored.size,
                anchored.block_number,
                anchored.gas_used,
            )
            if self.on_anchored is not None:
                self.on_anchored(anchored)
        return anchored

    def _anchorer_of(self, lease: Lease) -> Anchorer:
        if self._anchorer is None:
            anchorer = self._make_anchorer(lease)
            anchorer.resume(lease)
            self._anchorer = anchorer
        return self._anchorer

    def _chain_trouble(self, exc: ChainError) -> None:
        self._may_stand = True
        self._log.raise_alarm("chain", "anchor", str(exc))

    def _note_log_trouble(self, exc: LogUnavailable) -> None:
        if not self._log_trouble:
            self._log_trouble = True
            _logger.warning("the log does not answer now: %s", exc)

    def _pending(self) -> int:
        return self._log.size() - self._final_size()

    def _final_size(self) -> int:
        head = self._log.latest_head(EntryStatus.FINALIZED)
        return head.size if head else 0

    def _held(self) -> Lease:
        if self._lease is None:
            raise AnotherRelay("this relay holds no lease; start it first")
        return self._lease

    def _renew(self) -> None:
        now_us = self._clock.monotonic_us()
        if now_us - self._renewed_us > self._settings.lease_s * 1e6 / 3:
            self._lease = self._log.renew(self._held(), self._settings.lease_s)
            self._renewed_us = now_us
            # The stopped relay from which this one took over may have let go meanwhile.
            self._lock.take()
