"""Time as an argument: what decides by time takes a `Clock`, so that tests can turn it."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall and monotonic time."""

    def time_us(self) -> int:
        """Microseconds since the epoch, as the machine claims it."""

    def monotonic_us(self) -> int:
        """Microseconds since boot; comparable between processes of one boot."""


class SystemClock:
    """The machine's own clock."""

    __slots__ = ()

    def time_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_us(self) -> int:
        return time.monotonic_ns() // 1000
