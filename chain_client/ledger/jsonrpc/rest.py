"""How long an endpoint is left alone after a failure. Pure."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

MAX_REST_S = 300.0
"""However long an endpoint asks for, it is asked again after that."""
_FIRST_S = 1.0
_LAST_S = 30.0
_DATE_CHARS = 100


def requested_rest_s(retry_after: str | None, data: object, now_s: float) -> float | None:
    """What an endpoint asked for, from 0 to `MAX_REST_S`; None if it asked for nothing.

    Args:
        retry_after: the header (RFC 9110, section 10.2.3): seconds, or a date.
        data: of the JSON-RPC error; Infura puts ``{"rate": {"backoff_seconds": 30}}`` there.
        now_s: seconds since the epoch.
    """
    seconds = _from_header(retry_after, now_s)
    if seconds is None:
        seconds = _from_data(data)
    return None if seconds is None else min(max(seconds, 0.0), MAX_REST_S)


def backoff_s(failures: int) -> float:
    """After so many failures in a row, if it asked for nothing: 1 s, 2 s, 4 s … 30 s."""
    return min(_FIRST_S * 2.0 ** min(max(failures - 1, 0), 10), _LAST_S)


def _from_header(text: str | None, now_s: float) -> float | None:
    if text is None:
        return None
    try:
        seconds = float(text)
        return seconds if seconds == seconds else None
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(text[:_DATE_CHARS])
        # A date without a zone is GMT: HTTP knows no other.
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now_s
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _from_data(data: Any) -> float | None:
    rate = data.get("rate") if isinstance(data, dict) else None
    seconds = rate.get("backoff_seconds") if isinstance(rate, dict) else None
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds != seconds:
        return None
    return float(min(seconds, MAX_REST_S))  # a whole number may be too great for a float
