"""A payload store that is away: the relay takes nothing more from the spool until it is back."""

from __future__ import annotations

import socket
from collections.abc import Callable

from chain_client.clock import Clock
from chain_client.errors import PayloadsUnavailable
from chain_client.log import Log
from chain_client.relay.round import Round

ALARM = "payload_store"
_PAUSE_FIRST_US = 500_000
_PAUSE_LAST_US = 15_000_000


class PayloadWatch:
    """Rounds of ingestion, and the alarm ``payload_store`` of this machine.

    While the store is away it is asked now and then whether it is there, and the spool is not read:
    what could not be put would be read and sealed for nothing, again and again.

    Args:
        log: the log.
        clock: tells when the store is asked again.
    """

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._subject = socket.gethostname()
        self._trouble: str | None = None
        self._pause_us = _PAUSE_FIRST_US
        self._ask_at_us = 0
        self._stands: bool | None = None

    def run(self, work: Callable[[], Round]) -> Round:
        """Take a round, unless the store is known to be away.

        Raises:
            PayloadsUnavailable: it is; the text says why.
            LogUnavailable: the log's database does not answer.
        """
        if self._trouble is not None and self._clock.monotonic_us() < self._ask_at_us:
            raise PayloadsUnavailable(self._trouble)
        try:
            if self._is_raised() and self._log.payloads.place is not None:
                self._log.payloads.check()
            done = work()
        except PayloadsUnavailable as exc:
            self._note(str(exc))
            raise
        if self._is_raised():
            self._log.clear_alarm(ALARM, self._subject)
            self._stands = False
        self._trouble, self._pause_us = None, _PAUSE_FIRST_US
        return done

    def _note(self, text: str) -> None:
        self._trouble = text
        self._ask_at_us = self._clock.monotonic_us() + self._pause_us
        self._pause_us = min(2 * self._pause_us, _PAUSE_LAST_US)
        if not self._is_raised():
            self._log.raise_alarm(ALARM, self._subject, text)
            self._stands = True

    def _is_raised(self) -> bool:
        """Whether the alarm stands, also when an earlier process raised it."""
        if self._stands is None:
            own = (ALARM, self._subject)
            self._stands = any((a.kind, a.subject) == own for a in self._log.alarms())
        return self._stands
