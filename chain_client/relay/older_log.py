"""A log that was put back from an old copy must not cost what the spool still has.

What a relay brings into the log leaves the spool. Brought into an older copy of the log, which the
chain refuses, it would be missing when the newest copy comes back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from chain_client.clock import Clock
from chain_client.errors import ChainError, LogMismatch
from chain_client.head_check import read_checked_head
from chain_client.ledger.base import Ledger
from chain_client.ledger.deployment import Deployment
from chain_client.ledger.event_log import EventLogContract
from chain_client.log import Log
from chain_client.relay.background import Background

_logger = logging.getLogger(__name__)

_AGAIN_S = 2.0


class OlderLog:
    """Compares log and chain when a tenure begins, and keeps the spool until it could.

    Guarantee: if they contradict each other when the chain answers at the beginning, nothing is
    taken from the spool; if it answers only later, nothing was removed from it until then.

    Args:
        compare: raises `LogMismatch`, or another `ChainError` if nothing can be compared now.
        raise_alarm: called with (kind, subject, detail).
        clock: time.
        in_background: whether the chain may take its time, so that no round waits for it.
    """

    def __init__(
        self,
        compare: Callable[[], object],
        raise_alarm: Callable[[str, str, str], None],
        clock: Clock,
        *,
        in_background: bool,
    ) -> None:
        self._compare = compare
        self._raise_alarm = raise_alarm
        self._clock = clock
        self._in_background = in_background
        self._background: Background[bool] = Background("mlops-chain comparing log and chain")
        self._again_at_us = 0
        self._agrees = False

    def agrees(self) -> bool:
        """Whether log and chain were seen to agree in this tenure, so that a spool may shrink."""
        return self._agrees

    def begin(self) -> None:
        """Compare now. A chain that does not answer holds nothing up.

        Raises:
            LogMismatch: they contradict each other; an alarm stands in the log.
        """
        self._background.join(0)
        self._agrees = self._compared()
        self._put_off()
        if not self._agrees:
            _logger.warning(
                "log and chain could not be compared: what is read from the spool is kept there "
                "until they were"
            )

    def look_when_due(self) -> None:
        """Compare as soon as the chain answers, if that is still to be done.

        Raises:
            LogMismatch: as `begin`.
        """
        if self._agrees:
            return
        if self._background.is_busy:
            done = self._background.take()
            if done is None:
                return
            (self._agrees,) = done
            self._put_off()
        elif self._clock.monotonic_us() >= self._again_at_us:
            if self._in_background:
                self._background.start(self._compared)
                return
            self._agrees = self._compared()
            self._put_off()
        if self._agrees:
            _logger.info("log and chain agree: what was read leaves the spool")

    def _put_off(self) -> None:
        self._again_at_us = self._clock.monotonic_us() + int(_AGAIN_S * 1e6)

    def _compared(self) -> bool:
        try:
            self._compare()
        except LogMismatch as exc:
            self._raise_alarm("head", "log", str(exc))
            raise
        except ChainError as exc:
            # What is wrong with the chain is said by the anchoring.
            _logger.debug("log and chain could not be compared: %s", exc)
            return False
        return True


def compare_with_chain(log: Log, ledger: Ledger, deployment: Deployment) -> None:
    """See that log and chain agree.

    Raises:
        LogMismatch: they contradict each other.
        ChainError: they could not be compared.
    """
    read_checked_head(log, EventLogContract(ledger, deployment.event_log), deployment.log_id)
