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
from typing import Any, TypeAlias

from chain_client.compact_json import MAX_LEVELS, too_deep
from chain_client.errors import InvalidEvent
from chain_client.events import Json

MAX_INT = 2**53 - 1
"""Greatest int that is written as a number (RFC 8785, section 3.2.2.3; RFC 7493)."""

_TYPED = ("number:", "string:")
_REPR = re.compile(r"(-?)(\d)(?:\.(\d+))?e([+-]\d+)")


_Encoder: TypeAlias = Callable[[Any], str]


def encode(value: Json, max_levels: int = MAX_LEVELS) -> bytes:
    """Canonical bytes of a value; different values never share bytes.

    Tuples are written as lists.

    Args:
        value: None, bool, int, float, str, list, tuple or dict with str keys, nested.
        max_levels: up to `MAX_LEVELS`; how many lists and objects may stand inside each other.

    Raises:
        InvalidEvent: any other type, a lone surrogate, an int of thousands of digits, or nesting
            that is circular or too deep.

    >>> encode({"b": 1.0, "a": float("nan")})
    b'{"a":"number:NaN","b":1}'
    """
    try:
        return _BY_LEVELS[max_levels](value).encode()
    except (UnicodeEncodeError, RecursionError) as exc:
        raise _invalid(exc) from None


def encode_each(values: Sequence[Json], max_levels: int = MAX_LEVELS) -> list[bytes]:
    """The same as ``[encode(value) for value in values]``, faster where values look alike.

    Lists of one length are encoded column by column.

    Raises:
        InvalidEvent: as `encode`, for any of the values.
    """
    if len(values) < 4:
        return [encode(value, max_levels) for value in values]
    try:
        # Canonical text has no raw line feed in it: RFC 8785 escapes control characters.
        return "\n".join(_texts(values, max_levels)).encode().split(b"\n")
    except (UnicodeEncodeError, RecursionError) as exc:
        raise _invalid(exc) from None


def to_text(value: Json) -> str:
    """Canonical text, still unchecked: lone surrogates show when it is encoded."""
    return _BY_LEVELS[MAX_LEVELS](value)


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


_SCALARS: dict[type, _Encoder] = {
    str: _from_str,
    float: _from_float,
    bool: {True: "true", False: "false"}.__getitem__,
    int: _from_int,
    type(None): lambda _: "null",
}
"""By type; for subclasses the first that fits, so bool stands before int."""


def _refuse(_: Any) -> str:
    raise too_deep()


def _choose(from_list: _Encoder, from_dict: _Encoder) -> _Encoder:
    """An encoder of any value."""
    encoders = {**_SCALARS, list: from_list, tuple: from_list, dict: from_dict}
    find = encoders.get

    def from_any(value: Json) -> str:
        encoder = find(type(value))
        if encoder is not None:
            return encoder(value)
        for kind, encoder in encoders.items():
            if isinstance(value, kind):
                return encoder(value)
        raise InvalidEvent(f"expected a JSON value, got one of type {type(value).__name__}")

    return from_any


def _around(inner: _Encoder) -> _Encoder:
    """An encoder of any value that leaves what lists and objects hold to ``inner``."""

    def from_list(value: Iterable[Json]) -> str:
        return f"[{','.join(map(inner, value))}]"

    def from_dict(value: dict[str, Json]) -> str:
        for key in value:
            if not isinstance(key, str):
                raise InvalidEvent(f"expected str keys, got one of type {type(key).__name__}")
        members = [f"{encode_basestring(key)}:{inner(value[key])}" for key in sort_keys(value)]
        return f"{{{','.join(members)}}}"

    return _choose(from_list, from_dict)


_BY_LEVELS = [_choose(_refuse, _refuse)]
"""Encoders by how deep a value may nest: a bound that costs nothing while encoding."""
for _ in range(MAX_LEVELS):
    _BY_LEVELS.append(_around(_BY_LEVELS[-1]))


def _texts(values: Sequence[Json], max_levels: int) -> list[str]:
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
    elif kinds <= {list, tuple} and max_levels:
        widths = set(map(len, values))  # type: ignore[arg-type]
        if len(widths) == 1 and widths != {0}:
            columns = [_texts(column, max_levels - 1) for column in zip(*values)]
            return [f"[{text}]" for text in map(",".join, zip(*columns))]
    return list(map(_BY_LEVELS[max_levels], values))


def _invalid(exc: UnicodeEncodeError | RecursionError) -> InvalidEvent:
    if isinstance(exc, RecursionError):
        return too_deep()
    return InvalidEvent("expected text that UTF-8 can hold, got a lone surrogate")
