"""The alarm of an observer that can't be told."""

from __future__ import annotations

from collections.abc import Mapping

from chain_client.clock import Clock
from chain_client.log import Log
from chain_client.observing import ObserverFigures

ALARM = "observer"
_PATIENCE_US = 60_000_000


class ObserverTrouble:
    """Raises the alarm when an observer is in trouble for a minute, and clears it afterwards.

    Args:
        log: takes alarms.
        clock: time.
    """

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._since_us: dict[str, int] = {}
        self._standing: set[str] = set()

    def begin(self, figures: Mapping[str, ObserverFigures]) -> None:
        """See what stands from before; what concerns no observer any more is over.

        Raises:
            LogUnavailable: the log does not answer.
        """
        self._standing = {alarm.subject for alarm in self._log.alarms() if alarm.kind == ALARM}
        for name in sorted(self._standing - set(figures)):
            self._log.clear_alarm(ALARM, name)
            self._standing.discard(name)

    def look(self, figures: Mapping[str, ObserverFigures]) -> None:
        """Raise or clear what has changed.

        Raises:
            LogUnavailable: the log does not answer.
        """
        now_us = self._clock.monotonic_us()
        for name, one in figures.items():
            if one.trouble is None:
                self._since_us.pop(name, None)
                # One that was told nothing yet may be in trouble still.
                if name in self._standing and one.told:
                    self._log.clear_alarm(ALARM, name)
                    self._standing.discard(name)
                continue
            since_us = self._since_us.setdefault(name, now_us)
            if name not in self._standing and now_us - since_us >= _PATIENCE_US:
                missed = one.failed + one.skipped
                lost = f"; {missed} notices did not reach it" if missed else ""
                self._log.raise_alarm(ALARM, name, f"{one.trouble}{lost}")
                self._standing.add(name)
