"""When an observer that keeps failing is left alone, and when it is tried again. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_FAILURES = 5
_OPEN_US = 60_000_000
_OPEN_MAX_US = 3_600_000_000


@dataclass(slots=True)
class Breaker:
    """Opens after five failures in a row, or at once for a call that took too long.

    While it is open nothing is called; after a minute one call is, and decides: success closes it,
    failure opens it for another minute. The more calls hang the longer it is open, for an hour at
    most.
    """

    _failures: int = 0
    _open_until_us: int = 0

    def is_open(self, now_us: int) -> bool:
        """Whether nothing may be called now."""
        return now_us < self._open_until_us

    @property
    def is_closed(self) -> bool:
        """Whether all is well: neither open nor about to be tried again."""
        return self._failures < _FAILURES

    def succeeded(self) -> None:
        """A call went well."""
        self._failures = 0
        self._open_until_us = 0

    def failed(self, now_us: int) -> bool:
        """A call failed; whether the breaker opened."""
        self._failures += 1
        if self._failures < _FAILURES:
            return False
        self._open_until_us = now_us + _OPEN_US
        return True

    def took_too_long(self, now_us: int, hanging: int) -> None:
        """A call is over its time, one of so many that hang."""
        self._failures = _FAILURES
        self._open_until_us = now_us + min(_OPEN_US << min(hanging - 1, 16), _OPEN_MAX_US)
