"""Times in words: durations of policy files, deadlines in UTC, and "in 3 h" for people."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from chain_client.errors import InvalidInput

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_SHOWN = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_DURATION = re.compile(r"[0-9]+ ?(?:min|[smhdw])(?: ?[0-9]+ ?(?:min|[smhdw]))*")
_PART = re.compile(r"([0-9]+) ?(min|[smhdw])")


def parse_duration(value: str | int) -> int:
    """Seconds of ``90s``, ``5m``, ``1h``, ``1h 30min``, ``7d``, ``2w``, or of a number of them.

    Raises:
        InvalidInput: it says none.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if not isinstance(value, str) or len(value) > 40 or not _DURATION.fullmatch(value):
        raise InvalidInput("expected a duration such as 90s, 5m, 1h, 1h 30min, 7d or 2w")
    return sum(int(count) * _UNITS[unit] for count, unit in _PART.findall(value))


def show_duration(seconds: int) -> str:
    """The duration, exactly.

    >>> show_duration(5400)
    '1 h 30 min'
    """
    parts = []
    for unit, size in _SHOWN:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or "0 s"


def show_roughly(seconds: int) -> str:
    """The duration in its greatest unit, rounded down, such as ``3 h``."""
    for unit, size in _SHOWN:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return "0 s"


def show_time(time_s: int) -> str:
    """The time in UTC, such as ``2026-11-20 16:00:00 UTC``.

    Raises:
        InvalidInput: a time that no calendar has.
    """
    try:
        return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        raise InvalidInput(f"{time_s} s since 1970 is no time of this calendar") from None
