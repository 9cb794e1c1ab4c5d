"""The relay: one process a home that moves what is spooled into the log and onto the chain."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from chain_client.clock import Clock
from chain_client.errors import AnotherRelay, HomeMissing, LogUnavailable, PayloadsUnavailable
from chain_client.home import Home
from chain_client.log import Lease, Log
from chain_client.relay.anchor import Anchored
from chain_client.relay.anchoring import Anchoring
from chain_client.relay.companions import Companions
from chain_client.relay.draining import Draining, final_size
from chain_client.relay.figures import Role, Tally
from chain_client.relay.held_lease import LEASE
from chain_client.relay.intake import Intake
from chain_client.relay.log_file import keep_small
from chain_client.relay.pace import RelaySettings
from chain_client.relay.payload_watch import PayloadWatch
from chain_client.relay.round import Round
from chain_client.relay.tenure import Tenure
from chain_client.relay.watch import Watch

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
        home: whose spool is read.
        log: the log.
        intake: moves events into the log.
        tenure: takes and keeps the leases.
        anchoring: moves heads onto the chain while this relay holds that lease.
        companions: what else is done meanwhile.
        watch: looks at the log now and then.
        tally: what health and metrics tell.
        settings: pace.
        clock: time.
    """

    def __init__(
        self,
        home: Home,
        log: Log,
        intake: Intake,
        tenure: Tenure,
        anchoring: Anchoring,
        companions: Companions,
        watch: Watch,
        tally: Tally,
        settings: RelaySettings,
        clock: Clock,
    ) -> None:
        self._home = home
        self._log = log
        self._intake = intake
        self._tenure = tenure
        self._anchoring = anchoring
        self._companions = companions
        self._watch = watch
        self.tally = tally
        self._settings = settings
        self._clock = clock
        self._stop = threading.Event()
        self._own_size = 0
        self._payloads = PayloadWatch(log, clock)
        self._log_trouble: str | None = None
        self.on_anchored: Callable[[Anchored], None] | None = None
        """Told of each anchor."""

    def stop(self) -> None:
        """Ask a running relay to end after the round it is in; safe in a signal handler."""
        self._stop.set()

    @property
    def role(self) -> Role:
        """What this relay does beside reading its spool."""
        return self._tenure.role

    def start(self) -> None:
        """Take the lock and the lease of this home's spool; and that of anchoring, if it is free.

        Raises:
            AnotherRelay: a relay is active for this home; the text names it.
            HomeNotWritable: the lock can't be taken.
            LogUnavailable: the log's database does not answer.
        """
        try:
            self._tenure.begin()
            self._intake.begin()
        except BaseException:
            self.close()
            raise

    def start_when_free(self, on_look: Callable[[], None] = lambda: None) -> bool:
        """Wait until no other relay works for this home, then `start`; False if stopped before.

        Args:
            on_look: called after each look.

        Raises:
            HomeNotWritable: the lock can't be taken.
        """
        told = False
        while not self._stop.is_set():
            try:
                self._tenure.begin()
                self._intake.begin()
            except AnotherRelay as exc:
                self._tenure.end()
                if not told:
                    _logger.info("waiting: %s", exc)
                told = True
            except LogUnavailable as exc:
                self._tenure.end()
                self._note_log_trouble(exc)
            else:
                return True
            on_look()
            self._stop.wait(min(1.0, self._settings.lease_s / 3))
        return False

    def close(self) -> None:
        """Give leases and lock back."""
        self._companions.stop()
        self._anchoring.stop(_STOP_S)
        self._intake.end()
        self._tenure.end()

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
        self._companions.start()
        while not self._stop.is_set():
            if not self._home.exists():
                raise HomeMissing(f"the home {self._home.path} was removed; this relay ends")
            unread, busy = self._turn()
            self.tally.round_us = self._clock.monotonic_us()
            self._look()
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

    def _look(self) -> None:
        trouble = [self._log_trouble, self._anchoring.trouble]
        if self.role is not Role.ANCHORS:
            # It asks the chain for nothing of its own; what it would meet when it takes over.
            trouble.append(self._companions.chain_trouble)
        found = self._watch.look_when_due(self.role, tuple(text for text in trouble if text))
        if found is not None:
            self.tally.figures = found

    def _turn(self) -> tuple[bool, bool]:
        """One round; whether more can be read at once, and whether more is to be expected."""
        try:
            done, anchored = self.run_round()
            if done is None:
                return False, True
            busy = self._companions.turn(done, self._tenure.seat())
            if done.entries or anchored or done.unread or busy or done.held_back:
                return done.unread, True
            awaits = done.live_sources or done.in_doubt or done.arriving
            return False, bool(awaits or self._is_awaiting())
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
        Draining(
            self._log,
            self._tenure,
            self._ingest,
            self._intake,
            self._anchor_now,
            lambda: self._anchoring.is_turning,
            self._companions,
            self._clock,
            self._stop,
        ).run(patience_s, on_round or (lambda done: None))

    def run_round(self) -> tuple[Round | None, Anchored | None]:
        """Ingest once and, if it is time and this relay anchors, anchor once.

        What is in the log already is anchored also while its payload store is away.

        Returns:
            what was ingested (None if the log could not be written) and what was anchored.
        """
        try:
            self._tenure.keep()
            done = self._ingest()
        except PayloadsUnavailable as exc:
            self._note_log_trouble(exc)
            done = Round(held_back=True)
        except LogUnavailable as exc:
            self._note_log_trouble(exc)
            return None, None
        if self._log_trouble is not None and not done.held_back:
            self._log_trouble = None
            _logger.info("the log answers again")
        self._anchoring.note_waiting(done.oldest_us)
        lease = self._tenure.seat()
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

    def _anchor_now(self, lease: Lease, wait_s: float) -> bool:
        try:
            anchored = self._anchoring.turn_now(lease, wait_s)
        except AnotherRelay as exc:
            self._lost(exc)
            return False
        self._tell(anchored)
        return anchored is not None

    def _ingest(self) -> Round:
        done = self._payloads.run(lambda: self._intake.run_round(self._tenure.ingest_lease()))
        if done.entries:
            self._own_size = self._log.size()
            self.tally.sequenced += done.entries
            _logger.debug("%d entries sequenced", done.entries)
        return done

    def _lost(self, exc: AnotherRelay) -> None:
        """A lease that anchoring needs was taken over: the one of all relays, or the key's."""
        self._anchoring.forget()
        if self._tenure.is_still_seated():
            _logger.warning("%s; it is taken again", exc)

    def _tell(self, anchored: Anchored | None) -> None:
        if anchored is not None and self.on_anchored is not None:
            self.on_anchored(anchored)

    def _note_log_trouble(self, exc: LogUnavailable) -> None:
        if self._log_trouble is None:
            _logger.warning("the log does not answer now: %s", exc)
        self._log_trouble = str(exc)

    def _is_awaiting(self) -> bool:
        """Whether something is not final that this relay must see to, or take over."""
        match self.role:
            case Role.ANCHORS:
                return self._log.size() > final_size(self._log)
            case Role.STANDS_BY:
                return self._own_size > final_size(self._log)
            case _:
                return False
