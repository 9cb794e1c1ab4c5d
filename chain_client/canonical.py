"""Canonical bytes of JSON values: RFC 8785 with our number rules.

The rules add to RFC 8785 what JSON numbers can't say, as typed strings:

- NaN and the infinities are written ``"number:NaN"``, ``"number:Infinity"``,
  ``"number:-Infinity"``; an int of 2**53 or more in magnitude ``"number:<decimal>"``.
- A string value that starts with ``number:`` or ``string:`` is written with ``string:`` before
  it, so that no string looks like a number. Keys are never changed.

So different values never share bytes. Equal values do (``1`` and ``1.0``, ``0`` and ``-0.0``),
but for an int of 2**53 or more, which differs from the float of its size.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from json.encoder import encode_basestring
from typing import Any

from chain_client.errors import InvalidEvent
from chain_client.events import Json

MAX_INT = 2**53 - 1
"""Greatest int that is written as a number (RFC 8785, section 3.2.2.3; RFC 7493)."""

_TYPED = ("number:", "string:")
_REPR = re.compile(r"(-?)(\d)(?:\.(\d+))?e([+-]\d+)")


def encode(value: Json) -> bytes:
    """Canonical bytes of a value; different values never share bytes.

    Tuples are written as lists.

    Args:
        value: None, bool, int, float, str, list, tuple or dict with str keys, nested.

    Raises:
        InvalidEvent: any other type, a lone surrogate, an int of thousands of digits, or nesting
            that is circular or too deep.

    >>> encode({"b": 1.0, "a": float("nan")})
    b'{"a":"number:NaN","b":1}'
    """
    try:
        return to_text(value).encode()
    except (UnicodeEncodeError, RecursionError) as exc:
        raise _invalid(exc) from None


def encode_each(values: Sequence[Json]) -> list[bytes]:
    """The same as ``[encode(value) for value in values]``, faster where values look alike.

    Lists of one length are encoded column by column.

    Raises:
        InvalidEvent: as `encode`, for any of the values.
    """
    if len(values) < 4:
        return [encode(value) for value in values]
    try:
        # Canonical text has no raw line feed in it: RFC 8785 escapes control characters.
        return "\n".join(_texts(values)).encode().split(b"\n")
    except (UnicodeEncodeError, RecursionError) as exc:
        raise _invalid(exc) from None


def to_text(value: Json) -> str:
    """Canonical text, still unchecked: lone surrogates show when it is encoded."""
    encoder = _ENCODERS.get(type(value))
    if encoder is not None:
        return encoder(value)
    for kind, encoder in _ENCODERS.items():
        if isinstance(value, kind):
            return encoder(value)
    raise InvalidEvent(f"expected a JSON value, got one of type {type(value).__name__}")


def sort_keys(keys: Iterable[str]) -> list[str]:
    """Keys in the order of their UTF-16 code units (RFC 8785, section 3.2.3)."""
    keys = list(keys)
    if "".join(keys).isascii():
        return sorted(keys)
    return sorted(keys, key=_utf16)


def key_text(key: str) -> str:
    """A key of an object, quoted."""
    return encode_basestring(key)


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be")


def _from_str(value: str) -> str:
    if value.startswith(_TYPED):
        return '"string:' + encode_basestring(value)[1:]
    return encode_basestring(value)


def _from_int(value: int) -> str:
    if -MAX_INT <= value <= MAX_INT:
        return int.__repr__(value)
    try:
        return f'"number:{int.__repr__(value)}"'
    except ValueError:
        raise InvalidEvent("expected a number that can be written, got too many digits") from None


def _from_float(value: float) -> str:
    return _from_repr(float.__repr__(value))


def _from_repr(text: str) -> str:
    """ECMAScript's text of a float from Python's; both have the shortest digits that round-trip."""
    if "e" in text:
        return _from_exponent(text)
    if text[-2:] == ".0":
        return text[:-2] if text != "-0.0" else "0"
    if "n" in text:
        return _SPECIAL[text]
    return text


_SPECIAL = {"nan": '"number:NaN"', "inf": '"number:Infinity"', "-inf": '"number:-Infinity"'}


def _from_exponent(text: str) -> str:
    """ECMA-262, Number::toString, for Python's ``d.ddde±xx``."""
    match = _REPR.fullmatch(text)
    assert match is not None
    sign, first, rest, exponent = match.groups(default="")
    digits = first + rest
    point = int(exponent) + 1
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{first}{'.' if rest else ''}{rest}e{point - 1:+d}"


def _from_list(value: Iterable[Json]) -> str:
    return f"[{','.join(map(to_text, value))}]"


def _from_dict(value: dict[str, Json]) -> str:
    for key in value:
        if not isinstance(key, str):
            raise InvalidEvent(f"expected str keys, got one of type {type(key).__name__}")
    members = [f"{encode_basestring(key)}:{to_text(value[key])}" for key in sort_keys(value)]
    return f"{{{','.join(members)}}}"


_ENCODERS: dict[type, Callable[[Any], str]] = {
    str: _from_str,
    float: _from_float,
    bool: {True: "true", False: "false"}.__getitem__,
    int: _from_int,
    list: _from_list,
    tuple: _from_list,
    dict: _from_dict,
    type(None): lambda _: "null",
}
"""By type; for subclasses the first that fits, so bool stands before int."""


def _texts(values: Sequence[Json]) -> list[str]:
    """Texts of many values; those of one type are made by one call for each step."""
    kinds = set(map(type, values))
    if kinds == {float}:
        texts = list(map(repr, values))
        joined = ",".join(texts) + ","
        if ".0," in joined or "e" in joined or "n" in joined:
            return list(map(_from_repr, texts))
        return texts
    if kinds == {str}:
        # Names repeat within a batch.
        table = {value: _from_str(value) for value in set(values)}  # type: ignore[arg-type]
        return list(map(table.__getitem__, values))
    if kinds == {int}:
        if min(values) >= -MAX_INT and max(values) <= MAX_INT:  # type: ignore[type-var,operator]
            return list(map(repr, values))
    elif kinds <= {list, tuple}:
        widths = set(map(len, values))  # type: ignore[arg-type]
        if len(widths) == 1 and widths != {0}:
            columns = [_texts(column) for column in zip(*values)]
            return [f"[{text}]" for text in map(",".join, zip(*columns))]
    return list(map(to_text, values))


def _invalid(exc: UnicodeEncodeError | RecursionError) -> InvalidEvent:
    if isinstance(exc, RecursionError):
        return InvalidEvent("expected a JSON value, got one nested too deep or in a circle")
    return InvalidEvent("expected text that UTF-8 can hold, got a lone surrogate")
