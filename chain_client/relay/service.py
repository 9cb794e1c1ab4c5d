"""The relay: one process a home that moves what is spooled into the log and onto the chain."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable

from chain_client.clock import Clock
from chain_client.errors import (
    AnotherRelay,
    HomeMissing,
    LogUnavailable,
    NotInTime,
    Unavailable,
)
from chain_client.home import Home
from chain_client.log import EntryStatus, Lease, Log
from chain_client.relay.anchor import Anchored
from chain_client.relay.anchoring import Anchoring
from chain_client.relay.cross_anchoring import CrossAnchorer
from chain_client.relay.held_lease import INGEST, LEASE, HeldLease, RelayName
from chain_client.relay.ingest import Ingester, Round
from chain_client.relay.lock import RelayLock
from chain_client.relay.log_file import keep_small
from chain_client.relay.pace import RelaySettings
from chain_client.relay.read_back import ReadBack
from chain_client.relay.registry_sync import RegistrySync
from chain_client.relay.standing_by import StandingBy
from chain_client.spool import remove_taken, remove_unborn

__all__ = ["LEASE", "Relay"]

_logger = logging.getLogger(__name__)

_POLL_S = 0.2
"""Pause between rounds. Each round that finds something costs some fsyncs, which the training
beside it would feel: so it gathers for a while, unless more is waiting than it could read."""
_STOP_S = 5.0
"""How long the end waits for a look at the chain that is under way."""


class Relay:
    """Ingests its home's spool under one lease, and anchors for all of the log under another.

    Guarantee: one relay at a time reads a home's spool, and one of all relays of a log anchors; a
    relay that lost a lease (stopped for longer than it holds) has its next write under it refused.
    It then ends, if it was its spool's, or stands by, if it was the anchoring's.

    Args:
        home: whose spool is read; its relay lock shows recorders that a relay runs.
        log: the log.
        ingester: moves events into the log.
        standing_by: holds the lease of the anchoring, or waits for it.
        anchoring: moves heads onto the chain while this relay holds that lease.
        settings: pace.
        clock: time.
        read_back: lets files be read that passed none of the recorders.
        registry_sync: keeps hosts equal to the registry; None if that is off.
        cross: anchors heads on a second chain too; None if there is none.
    """

    def __init__(
        self,
        home: Home,
        log: Log,
        ingester: Ingester,
        standing_by: StandingBy,
        anchoring: Anchoring,
        settings: RelaySettings,
        clock: Clock,
        *,
        read_back: ReadBack | None = None,
        registry_sync: RegistrySync | None = None,
        cross: CrossAnchorer | None = None,
    ) -> None:
        self._home = home
        self._log = log
        self._ingester = ingester
        self._standing_by = standing_by
        self._anchoring = anchoring
        self._settings = settings
        self._clock = clock
        self._read_back = read_back
        self._registry_sync = registry_sync
        self._cross = cross
        self._stop = threading.Event()
        self._lock = RelayLock(home.relay_lock)
        self._locked = False
        self._name: RelayName | None = None
        self._ingest_lease: HeldLease | None = None
        self._own_size = 0
        self._log_trouble = False
        self.on_anchored: Callable[[Anchored], None] | None = None
        """Told of each anchor."""

    def stop(self) -> None:
        """Ask a running relay to end after the round it is in; safe in a signal handler."""
        self._stop.set()

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def start(self) -> None:
        """Take the lock and the lease of this home's spool; and that of anchoring, if it is free.

        Raises:
            AnotherRelay: a relay is active for this home; the text names it.
            HomeNotWritable: the lock can't be taken.
            LogUnavailable: the log's database does not answer.
        """
        # Held by a relay that works, or by one that was stopped: the lease tells.
        self._locked = self._lock.take()
        try:
            ingester_id = self._home.ingester_id()
            self._name = RelayName(
                socket.gethostname(),
                ingester_id,
                os.getpid(),
                ingests_only=not self._standing_by.may_anchor(),
            )
            lease = HeldLease(self._log, INGEST + ingester_id, self._settings.lease_s, self._clock)
            lease.take(self._name.to_holder(), self._is_dead)
            self._ingest_lease = lease
            self._seat()
            remove_unborn(self._home.spool)
            remove_taken(self._home.spool)
        except BaseException:
            self.close()
            raise

    def start_when_free(self) -> bool:
        """Wait until no other relay works for this home, then `start`; False if stopped before.

        Raises:
            HomeNotWritable: the lock can't be taken.
        """
        told = False
        while not self._stop.is_set():
            try:
                self.start()
            except AnotherRelay as exc:
                if not told:
                    _logger.info("waiting: %s", exc)
                told = True
            except LogUnavailable as exc:
                self._note_log_trouble(exc)
            else:
                return True
            self._stop.wait(min(1.0, self._settings.lease_s / 3))
        return False

    def close(self) -> None:
        """Give leases and lock back."""
        if self._registry_sync is not None:
            self._registry_sync.stop()
        if self._cross is not None:
            self._cross.stop()
        if self._read_back is not None:
            self._read_back.stop()
        self._anchoring.stop(_STOP_S)
        self._standing_by.give_back()
        lease, self._ingest_lease = self._ingest_lease, None
        if lease is not None:
            lease.give_back()
        self._lock.release()
        self._locked = False

    def run(self, *, until_idle: bool, on_round: Callable[[], None] = lambda: None) -> None:
        """Work until stopped, or until there was nothing to do for ``relay.idle_s``.

        Args:
            until_idle: end when there is nothing to do.
            on_round: called after each round.

        Raises:
            AnotherRelay: the lease of the spool was taken over.
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
            on_round()
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
            goes_on = self._registry_sync is not None and self._registry_sync.is_busy()
            if self._cross is not None:
                lease = self._seat()
                if lease is not None:
                    self._cross.turn(lease)
                goes_on = goes_on or self._cross.is_busy()
            if done.entries or anchored or done.unread or reads or goes_on:
                return done.unread, True
            return False, bool(done.live_sources or done.in_doubt or self._is_awaiting())
        except LogUnavailable as exc:
            self._note_log_trouble(exc)
            return False, True

    def drain(self, *, patience_s: float, on_round: Callable[[Round], None] | None = None) -> None:
        """Work until everything that was spooled when this began is anchored and final.

        Files that were to be read back then are read, and what the registry decided is set in the
        hosts. Calls that are still running in a live process are not waited for. If another relay
        anchors, it is waited for.

        Args:
            patience_s: how long an unreachable chain or database, and finality, are waited for.
            on_round: told of each round.

        Raises:
            LedgerUnavailable: the chain did not answer in that time.
            LogUnavailable: likewise the log's database.
            NotInTime: not everything is final in that time; the text says what is missing.
            AnotherRelay: as `run`.
            LogMismatch: as `run`.
        """
        self._take_all(on_round)
        if self._read_back is not None and self._read_back.start_if_wanted(first_only=True):
            while self._read_back.is_busy(_POLL_S):
                self._keep()
            self._take_all(on_round)
        if self._registry_sync is not None:
            self._registry_sync.run_once()
            while self._registry_sync.is_busy(_POLL_S):
                self._keep()
            self._take_all(on_round)
        deadline_us = self._clock.monotonic_us() + int(patience_s * 1e6)
        self._anchor_all(deadline_us)
        lease = self._seat()
        if self._cross is not None and lease is not None:
            self._cross.turn(lease)
            while self._cross.is_busy(_POLL_S) and self._clock.monotonic_us() < deadline_us:
                self._keep()

    def _take_all(self, on_round: Callable[[Round], None] | None) -> None:
        # A round reads to the end of each source as it then is, and the next one settles what
        # the dead have left. To wait for silence would never end beside a busy recorder.
        whole_rounds = 0
        while whole_rounds < 2:
            self._keep()
            done = self._ingest()
            if on_round is not None:
                on_round(done)
            whole_rounds = 0 if done.unread else whole_rounds + 1

    def _anchor_all(self, deadline_us: int) -> None:
        target = self._log.size()
        while True:
            trouble: Unavailable | None = None
            try:
                self._keep()
                lease = self._seat()
                if lease is not None and self._anchor_now(lease):
                    continue
                if self._final_size() >= target:
                    return
            except Unavailable as exc:
                trouble = exc
            if self._clock.monotonic_us() >= deadline_us:
                raise trouble or NotInTime(self._what_is_missing(target))
            self._stop.wait(_POLL_S)

    def _anchor_now(self, lease: Lease) -> bool:
        try:
            anchored = self._anchoring.turn_now(lease, _POLL_S)
        except AnotherRelay as exc:
            self._lost(exc)
            return False
        self._tell(anchored)
        return anchored is not None

    def _what_is_missing(self, target: int) -> str:
        final, holder = self._final_size(), self._log.holder(LEASE)
        said = f"everything is in the log, but only {final} of {target} entries are final by now"
        if holder is None:
            return (
                f"{said}: no relay anchors. This home has not the log writer's key, or "
                "relay.anchor is never; start a relay on a machine that has the key"
            )
        return (
            f"{said}. {holder.holder} anchors them; wait longer (--patience), or see there: "
            "mlops-chain status"
        )

    def run_round(self) -> tuple[Round | None, Anchored | None]:
        """Ingest once and, if it is time and this relay anchors, anchor once.

        Returns:
            what was ingested (None if the log could not be written) and what was anchored.
        """
        try:
            self._keep()
            done = self._ingest()
        except LogUnavailable as exc:
            self._note_log_trouble(exc)
            return None, None
        if self._log_trouble:
            self._log_trouble = False
            _logger.info("the log answers again")
        self._anchoring.note_waiting(done.oldest_us)
        lease = self._seat()
        if lease is None:
            self._anchoring.pause()
            return done, None
        try:
            anchored = self._anchoring.turn_when_due(lease)
        except AnotherRelay as exc:
            self._lost(exc)
            return done, None
        self._tell(anchored)
        return done, anchored

    def _ingest(self) -> Round:
        if self._ingest_lease is None:
            raise AnotherRelay("this relay holds no lease; start it first")
        done = self._ingester.run_round(self._ingest_lease.get())
        if done.entries:
            self._own_size = self._log.size()
            _logger.debug("%d entries sequenced", done.entries)
        return done

    def _keep(self) -> None:
        """Renew what is held, when it is time."""
        if self._ingest_lease is None:
            raise AnotherRelay("this relay holds no lease; start it first")
        if self._ingest_lease.renew_when_due():
            # The stopped relay from which this one took over may have let go meanwhile.
            self._locked = self._lock.take()
        self._seat()

    def _seat(self) -> Lease | None:
        assert self._name is not None
        return self._standing_by.seat(self._name, self._is_dead)

    def _is_dead(self, holder: str) -> bool:
        """With the lock in hand, whoever held a lease for this home on this machine is gone."""
        return self._locked and self._name is not None and self._name.is_same_home(holder)

    def _lost(self, exc: AnotherRelay) -> None:
        """A lease that anchoring needs was taken over: the one of all relays, or the key's."""
        self._anchoring.forget()
        if self._standing_by.check():
            _logger.warning("%s; it is taken again", exc)

    def _tell(self, anchored: Anchored | None) -> None:
        if anchored is not None and self.on_anchored is not None:
            self.on_anchored(anchored)

    def _note_log_trouble(self, exc: LogUnavailable) -> None:
        if not self._log_trouble:
            self._log_trouble = True
            _logger.warning("the log does not answer now: %s", exc)

    def _is_awaiting(self) -> bool:
        """Whether something is not final that this relay must see to, or take over."""
        if self._standing_by.is_seated:
            return self._log.size() > self._final_size()
        return self._standing_by.may_anchor() and self._own_size > self._final_size()

    def _final_size(self) -> int:
        head = self._log.latest_head(EntryStatus.FINALIZED)
        return head.size if head else 0
