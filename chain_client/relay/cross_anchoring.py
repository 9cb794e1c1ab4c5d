"""Cross-anchoring while a relay runs.

It is done in a thread of the relay's process with connections of its own, so that a second chain
that is slow, dear or gone holds up neither the first one nor any ingestion.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from chain_client.clock import Clock
from chain_client.cross.anchoring import CrossAnchored, FirstChainTrouble
from chain_client.errors import (
    AnotherRelay,
    ChainBehindLog,
    ChainError,
    LogMismatch,
    LogUnavailable,
)
from chain_client.log import Lease, Log

_logger = logging.getLogger(__name__)

ALARM = "cross_anchor"
SUBJECT = "second chain"
_RETRY_S = 10.0
_RETRY_MAX_S = 600.0
_WATCH_S = 60.0
_STOP_S = 10.0


class Anchoring(Protocol):
    """What is needed of `chain_client.cross.anchoring.CrossAnchoring`."""

    def is_settled(self) -> bool: ...
    def anchor_next(self) -> CrossAnchored | None: ...
    def last_us(self, now_us: int) -> int | None: ...


@dataclass(frozen=True, slots=True)
class CrossParts:
    """What one pass works with; it is closed when the pass is over."""

    anchoring: Anchoring
    close: Callable[[], None]


class CrossAnchorer:
    """Lets final heads be anchored on the second chain, every ``cross.every_s``.

    Guarantee: no method raises, and `turn` never waits. What fails stands as an alarm until it
    works, and is tried again; a head there that the log can't reproduce ends it, until the relay
    is started again. Trouble of the first chain raises no alarm here: it has its own.

    Args:
        open_parts: opens chains and key for one pass, in the thread that uses them.
        log: takes alarms.
        clock: time.
        every_s: seconds between two anchors.
    """

    def __init__(
        self, open_parts: Callable[[Lease], CrossParts], log: Log, clock: Clock, every_s: float
    ) -> None:
        self._open_parts = open_parts
        self._log = log
        self._clock = clock
        self._every_s = every_s
        self._next_us = 0
        self._failures = 0
        self._ended = False
        self._thread: threading.Thread | None = None

    def turn(self, lease: Lease) -> None:
        """Begin a pass if one is due; called in every round of the relay that anchors.

        Args:
            lease: the relay's; whoever holds it takes over the key.
        """
        if self._ended or self._clock.monotonic_us() < self._next_us or self.is_busy():
            return
        self._thread = threading.Thread(
            target=self._pass, args=(lease,), name="mlops-chain cross-anchor", daemon=True
        )
        self._thread.start()

    def is_busy(self, wait_s: float = 0) -> bool:
        """Whether a pass is under way, also after ``wait_s``."""
        thread = self._thread
        if thread is None:
            return False
        thread.join(wait_s)
        return thread.is_alive()

    def stop(self) -> None:
        """End after the pass that is under way; one that hangs is left behind."""
        self._ended = True
        self.is_busy(_STOP_S)

    def _pass(self, lease: Lease) -> None:
        try:
            with self._opened(lease) as anchoring:
                wait_s = self._look(anchoring)
            self._failures = 0
        except AnotherRelay as exc:
            # Of a relay that lost its lease; or it took the key from us just before it ends.
            _logger.info("not anchored on the second chain: %s", exc)
            wait_s = _RETRY_S
        except FirstChainTrouble as exc:
            wait_s = self._put_off(f"as the first chain is in trouble: {exc}")
        except LogUnavailable as exc:
            wait_s = self._put_off(str(exc))
        except LogMismatch as exc:
            # A first chain that lags or was replaced may come back; the log's past does not.
            self._ended = not isinstance(exc, ChainBehindLog)
            wait_s = self._failed(str(exc).removeprefix("head: "))
        except ChainError as exc:
            wait_s = self._failed(str(exc))
        except Exception as exc:
            # Whatever it is, the relay lives on.
            _logger.exception("no head was anchored on the second chain")
            wait_s = self._failed(f"the pass failed with {type(exc).__name__}")
        self._next_us = self._clock.monotonic_us() + round(wait_s * 1e6)

    @contextmanager
    def _opened(self, lease: Lease) -> Iterator[Anchoring]:
        parts = self._open_parts(lease)
        try:
            yield parts.anchoring
        finally:
            parts.close()

    def _look(self, anchoring: Anchoring) -> float:
        """Look once; gives the seconds until the next look."""
        is_settled = anchoring.is_settled()
        wait_s = self._left_s(anchoring)
        if wait_s <= 0:
            anchored = anchoring.anchor_next()
            if anchored is not None:
                is_settled = False
                _logger.info(
                    "anchored the head of %d entries on the second chain, block %d, %d gas",
                    anchored.size,
                    anchored.block_number,
                    anchored.gas_used,
                )
            wait_s = self._every_s
        try:
            self._log.clear_alarm(ALARM, SUBJECT)
        except LogUnavailable:
            _logger.debug("the log does not answer now")
        # A block may vanish again until it is final: then the same bytes are sent once more.
        return wait_s if is_settled else min(wait_s, _WATCH_S)

    def _left_s(self, anchoring: Anchoring) -> float:
        """Until the next anchor is due; relays that come and go keep to the pace too."""
        now_us = self._clock.time_us()
        last_us = anchoring.last_us(now_us)
        return 0.0 if last_us is None else self._every_s - (now_us - last_us) / 1e6

    def _failed(self, text: str) -> float:
        """Seconds until it is tried again, with an alarm."""
        try:
            self._log.raise_alarm(ALARM, SUBJECT, text)
        except LogUnavailable:
            _logger.debug("the log takes no alarm now")
        return self._put_off(text)

    def _put_off(self, text: str) -> float:
        """Seconds until it is tried again."""
        self._failures = min(self._failures + 1, 20)
        if self._failures == 1:
            _logger.warning("not anchored on the second chain: %s", text)
        return float(min(_RETRY_S * 2 ** (self._failures - 1), _RETRY_MAX_S))
