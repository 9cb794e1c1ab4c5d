"""Compact JSON text of bounded nesting: the form in which events are kept, never hashed.

Text and values that nest too deep are refused before anything recurses into them. So the bound
is the same under every interpreter, and hostile bytes can't exhaust the stack, not even where
another library has raised Python's recursion limit.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from chain_client.errors import InvalidEvent

MAX_LEVELS = 64
"""Most lists and objects that may stand inside each other in a value; ``[]`` has one level."""

_SAFE_RECURSION_LIMIT = 1_000
"""Up to here the encoder of CPython 3.11, at 115 bytes a level, fits into any thread's stack.

From 3.12 on it has a bound of its own, 10,000 levels, which takes more than 2 MB.
"""
_UNSAFE_ENCODER = sys.version_info >= (3, 12)

_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode
_SCALARS = frozenset({str, int, float, bool, type(None)})
_BRACKETS = b"[]{}"
_NO_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))
_TO_SQUARE = bytes.maketrans(b"{}", b"[]")


def to_text(value: Any, max_levels: int) -> str:
    """Compact JSON text; NaN and infinities as Python's `json` writes them.

    Raises:
        InvalidEvent: it nests deeper than ``max_levels``, or in a circle.
        TypeError, ValueError: something that JSON can't hold.
    """
    try:
        if _UNSAFE_ENCODER or sys.getrecursionlimit() > _SAFE_RECURSION_LIMIT:
            _check_value(value, max_levels)
        text = _encode(value)
    except RecursionError:
        raise too_deep() from None
    if text.count("[") + text.count("{") > max_levels:
        _check_text(text.encode("utf-8", "surrogatepass"), max_levels)
    return text


def from_bytes(data: bytes, max_levels: int) -> Any:
    """The value of JSON text in UTF-8.

    Raises:
        InvalidEvent: it nests deeper than ``max_levels``, or its brackets are not in pairs.
        ValueError: no JSON text.
    """
    if data.count(b"[") + data.count(b"{") > max_levels:
        _check_text(data, max_levels)
    try:
        return json.loads(data.decode())
    except RecursionError:
        raise too_deep() from None


def as_text(value: Any) -> str:
    """It, if it is text; else TypeError."""
    if type(value) is not str:
        raise TypeError
    return value


def as_text_or_none(value: Any) -> str | None:
    """It, if it is text or None; else TypeError."""
    return None if value is None else as_text(value)


def as_number(value: Any) -> int:
    """It, if it is a whole number; else TypeError."""
    if type(value) is not int:
        raise TypeError
    return value


def as_object(value: Any) -> dict[str, Any]:
    """It, if it is a JSON object; else TypeError."""
    if type(value) is not dict:
        raise TypeError
    return value


def too_deep() -> InvalidEvent:
    """The error for what is nested too deep."""
    return InvalidEvent(
        f"expected a JSON value of at most {MAX_LEVELS} levels, "
        "got one nested deeper or in a circle"
    )


def _check_text(data: bytes, max_levels: int) -> None:
    """Refuse text that nests too deep; other damage may pass.

    A parser can't get deeper into the text than its brackets outside of strings do, with the two
    kinds taken for one. Each round removes the innermost level of those.
    """
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside_strings = b"".join(data.split(b'"')[::2])
    brackets = outside_strings.translate(_TO_SQUARE, _NO_BRACKETS)
    for _ in range(max_levels):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return
    raise InvalidEvent(
        f"expected JSON text of at most {max_levels} levels, with its brackets in pairs"
    )


def _check_value(value: Any, max_levels: int) -> None:
    """Refuse a value that nests too deep, going no deeper into it than it may nest."""
    if not isinstance(value, list | tuple | dict):
        return
    if not max_levels:
        raise too_deep()
    items = value.values() if isinstance(value, dict) else value
    if _SCALARS.issuperset(map(type, items)):
        return
    for item in items:
        if type(item) not in _SCALARS:
            _check_value(item, max_levels - 1)
