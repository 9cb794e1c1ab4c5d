"""Anchoring turns: when one is due, how one is taken, and what is made of its trouble."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from chain_client.clock import Clock
from chain_client.errors import (
    AnotherRelay,
    ChainError,
    ConfigurationError,
    HistoryMissing,
    LedgerUnavailable,
    LogMismatch,
    LogUnavailable,
    SignatureRefused,
    SignerRefused,
    SignerUnavailable,
    TransactionFailed,
    Unavailable,
)
from chain_client.log import EntryStatus, Lease, Log
from chain_client.relay.anchor import Anchored, Anchorer
from chain_client.relay.background import Background
from chain_client.relay.day_book import DayBook
from chain_client.relay.figures import Tally
from chain_client.relay.pace import RelaySettings
from chain_client.relay.purse import Purse

_logger = logging.getLogger(__name__)

_FIRST_RETRY_S = 0.1


@dataclass(frozen=True, slots=True)
class Turned:
    """What a turn did, and found.

    Args:
        anchored: what has come on chain.
        sent_size: entries under the greatest head that is on chain or on its way.
        is_on_its_way: a head was sent and is not on chain.
    """

    anchored: Anchored | None
    sent_size: int
    is_on_its_way: bool


def is_turn_due(
    waiting: int,
    waited_s: float,
    unsettled: bool,
    on_its_way: bool,
    since_look_s: float,
    settings: RelaySettings,
) -> bool:
    """Whether the chain should be asked, or sent something, now.

    Args:
        waiting: entries that no head on chain, or on its way, covers.
        waited_s: how long the oldest of them has waited.
        unsettled: something that was sent is not final.
        on_its_way: a head was sent and is not on chain, so nothing can be sent now.
        since_look_s: since the turn before.
        settings: pace.
    """
    if unsettled and since_look_s >= settings.look_s:
        return True
    if not waiting or on_its_way:
        return False
    return waiting >= settings.max_batch or waited_s >= settings.max_wait_s


class Anchoring:
    """The anchoring of the relay that holds the lease ``relay``.

    Guarantee: turns of one relay never overlap, also when they are taken in the background; what
    fails stands as an alarm until it works, and is tried again after a pause that grows; so does
    what nobody expected, such as a fault in a library. Only what the errors below name ends it.

    Args:
        log: the log.
        make_anchorer: makes what sends; called again after each change of the lease.
        settings: pace.
        clock: time.
        day_book: tells the operator.
        tally: counts.
        purse: tells when the key runs out of coin; None on a chain where that can't happen.
    """

    def __init__(
        self,
        log: Log,
        make_anchorer: Callable[[Lease], Anchorer],
        settings: RelaySettings,
        clock: Clock,
        day_book: DayBook,
        tally: Tally,
        purse: Purse | None = None,
    ) -> None:
        self._log = log
        self._make_anchorer = make_anchorer
        self._settings = settings
        self._clock = clock
        self._day_book = day_book
        self._tally = tally
        self._purse = purse
        self._background: Background[Turned] = Background("mlops-chain anchoring")
        self._anchorer: tuple[int, Anchorer] | None = None
        self._last: Turned | None = None
        self._looked_us = 0
        self._waiting_since_us: int | None = None
        self._retry_s = 0.0
        self._retry_at_us = 0
        self._may_stand = True
        self.trouble: str | None = None
        """Why the last turn failed; None if it did not."""

    def note_waiting(self, oldest_us: int | None) -> None:
        """Tell of entries that were just added; the time in the spool counts too.

        Args:
            oldest_us: claimed time of the oldest, as far as the recorder's clock can be believed.
        """
        if self._waiting_since_us is None and oldest_us is not None:
            waited_us = self._clock.time_us() - oldest_us
            most_us = int(self._settings.max_wait_s * 1e6)
            now_us = self._clock.monotonic_us()
            self._waiting_since_us = now_us - min(max(waited_us, 0), most_us)

    def turn_when_due(self, lease: Lease) -> Anchored | None:
        """Take a turn if it is time; in the background if the chain may take its time.

        Returns:
            what has come on chain since.

        Raises:
            LogMismatch: log and chain contradict each other; an alarm stands in the log.
            ConfigurationError: the chain or its contract is another; likewise.
            AnotherRelay: the lease, or the key's, was taken over; see `forget`.
            LogUnavailable: the log's database does not answer.
        """
        try:
            return self._raised(lambda: self._step(lease))
        except LogUnavailable:
            raise
        except (Unavailable, TransactionFailed):
            return None

    def turn_now(self, lease: Lease, wait_s: float) -> Anchored | None:
        """Begin a turn, and wait for its end, at most so long.

        Returns:
            what has come on chain; None if nothing has, or it goes on.

        Raises:
            LedgerUnavailable: the chain does not answer.
            TransactionFailed: it refused what was sent.
            LogMismatch: or another, as `turn_when_due`.
        """
        return self._raised(lambda: self._step(lease, wait_s))

    @property
    def is_turning(self) -> bool:
        """Whether a turn goes on, or has ended and nobody has seen how."""
        return self._background.is_busy

    def forget(self) -> None:
        """Begin anew with the next turn: the lease or the key's was lost."""
        self._anchorer = None
        self._last = None
        self._waiting_since_us = None
        self.trouble = None

    def pause(self) -> None:
        """Another relay anchors: what a turn under way gives is of no use. Never raises."""
        with contextlib.suppress(Exception):
            self._background.take()
        self.forget()

    def stop(self, wait_s: float) -> None:
        """Wait for a turn that is under way, at most so long, and let the key go."""
        self._background.join(wait_s)
        if self._anchorer is not None:
            self._anchorer[1].close()
            self._anchorer = None

    def _is_due(self) -> bool:
        now_us = self._clock.monotonic_us()
        if now_us < self._retry_at_us:
            return False
        size = self._log.size()
        last = self._last
        waiting = size - (last.sent_size if last is not None else 0)
        if self._purse is not None and self._purse.is_due:
            return True
        if last is None:
            # What an earlier relay left is looked at even if nothing new comes.
            waiting = max(waiting, 1)
        if not waiting:
            self._waiting_since_us = None
        elif self._waiting_since_us is None:
            self._waiting_since_us = now_us
        since_us = now_us if self._waiting_since_us is None else self._waiting_since_us
        return is_turn_due(
            waiting,
            (now_us - since_us) / 1e6,
            last is not None and last.sent_size > self._final_size(),
            last is not None and last.is_on_its_way,
            (now_us - self._looked_us) / 1e6,
            self._settings,
        )

    def _final_size(self) -> int:
        head = self._log.latest_head(EntryStatus.FINALIZED)
        return head.size if head else 0

    def _taken(self, wait_s: float) -> Turned | None:
        done = self._background.take(wait_s)
        return None if done is None else done[0]

    def _step(self, lease: Lease, wait_s: float | None = None) -> Turned | None:
        """Begin a turn, if one is due or ``wait_s`` is given; what has been done since."""
        if self._anchorer is not None:
            self._anchorer[1].keep()
        if not self._background.is_busy:
            if wait_s is None and not self._is_due():
                return None
            if not self._settings.in_background:
                return self._turn(lease)
            self._background.start(lambda: self._turn(lease))
            if wait_s is None:
                return None
        return self._taken(wait_s or 0)

    def _raised(self, work: Callable[[], Turned | None]) -> Anchored | None:
        """What was anchored; trouble with the chain is noted, to be tried again later."""
        try:
            turned = work()
        except LogUnavailable:
            raise
        except (Unavailable, TransactionFailed) as exc:
            self._put_off(exc)
            raise
        except HistoryMissing as exc:  # of one node, or for a while
            missing = LedgerUnavailable(str(exc))
            self._put_off(missing)
            raise missing from exc
        except (SignerRefused, SignatureRefused) as exc:  # mended where the key is
            if self._anchorer is not None:
                self._anchorer[1].close()  # the next turn opens the key anew
                self._anchorer = None
            refused = SignerUnavailable(str(exc))
            self._put_off(refused)
            raise refused from exc
        except ChainError:
            raise
        except Exception as exc:
            unexpected = LedgerUnavailable(
                f"a turn failed with {type(exc).__name__}: this program did not expect what "
                "happened; it is tried again, and the relay's log says where it was"
            )
            if self.trouble != str(unexpected):
                _logger.exception("a turn of the anchoring failed")
            self._put_off(unexpected)
            raise unexpected from exc
        if turned is None:
            return None
        self._looked_us = self._clock.monotonic_us()
        self._retry_s = 0.0
        before, self._last = self._last, turned
        if before is None or turned.sent_size > before.sent_size:
            self._waiting_since_us = None
        if self.trouble is not None:
            self.trouble = None
            self._day_book.trouble_ended()
        if turned.anchored is not None:
            self._tally.anchors += 1
            self._tally.anchored += turned.anchored.entries
            self._tally.gas_used += turned.anchored.gas_used
            self._day_book.anchored(turned.anchored)
        return turned.anchored

    def _put_off(self, exc: ChainError) -> None:
        now_us = self._clock.monotonic_us()
        longest_s = self._settings.retry_max_s
        self._retry_s = min(max(self._retry_s * 2, _FIRST_RETRY_S), longest_s)
        self._retry_at_us = now_us + int(self._retry_s * 1e6)
        self.trouble = str(exc)
        self._may_stand = True
        if isinstance(exc, LedgerUnavailable | SignerUnavailable | TransactionFailed):
            self._log.raise_alarm("chain", "anchor", str(exc))
        self._day_book.trouble(str(exc), self._log.size() - self._final_size())

    def _turn(self, lease: Lease) -> Turned:
        """One turn; in the background it is the only thing that uses chain and key."""
        try:
            if self._anchorer is None or self._anchorer[0] != lease.token:
                self._anchorer = lease.token, self._make_anchorer(lease)
            anchorer = self._anchorer[1]
            anchored = anchorer.anchor_next(lease)
        except LogMismatch as exc:
            self._log.raise_alarm("head", "log", str(exc))
            raise
        except AnotherRelay:
            raise
        except ConfigurationError as exc:
            self._may_stand = True
            self._log.raise_alarm("chain", "anchor", str(exc))
            raise
        if self._may_stand:
            # Whichever relay raised them: chain and log agree again.
            self._log.clear_alarm("chain", "anchor")
            self._log.clear_alarm("head", "log")
            self._may_stand = False
        if self._purse is not None:
            self._purse.look_when_due(anchorer.writer)
            self._tally.balance_wei = self._purse.balance_wei
        return Turned(anchored, anchorer.sent_size, anchorer.is_on_its_way)
