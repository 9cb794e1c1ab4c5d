"""How much of a value is recorded: nothing, its hash, or itself; bounded in size and time. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from airflow_chain.rules import Extent
from chain_client.events import Json

MOST_BYTES = 64 * 1024
"""A value that is greater as JSON is neither recorded nor hashed."""

_MOST_ITEMS = 2000
_DEEPEST = 20

Mask = Callable[[Any, str], Any]
"""Called with a value in JSON form and its field's name: masks what Airflow knows as secret."""


class _TooGreatError(Exception):
    """The value is beyond what a hook has time for."""


def disclose(value: Any, extent: Extent, name: str, mask: Mask) -> dict[str, Json] | None:
    """What is recorded of a value.

    Args:
        value: any object; of what has no form in JSON, the name of its class stands for it, and
            nothing of it is called.
        extent: how much.
        name: of its field; Airflow masks values of fields with telling names.
        mask: applied before anything else is done with it, also before it is hashed: whoever
            guesses a short secret could else confirm it.

    Returns:
        ``{"value": …}``, or ``{"sha256": …}`` of its JSON (sorted keys, no spaces, UTF-8), or
        ``{"omitted": "too large"}``; None if nothing is to be recorded.
    """
    if extent is Extent.NONE:
        return None
    try:
        plain = mask(_Plain().of(value), name)
        data = _to_bytes(plain)
    except (_TooGreatError, RecursionError):
        return {"omitted": "too large"}
    if len(data) > MOST_BYTES:
        return {"omitted": "too large"}
    if extent is Extent.VALUES:
        return {"value": plain}
    return {"sha256": hashlib.sha256(data).hexdigest()}


def digest_disclosed(told: Mapping[str, Json]) -> str | None:
    """SHA-256 of what `disclose` told, in either extent; None if it told neither."""
    if "value" in told:
        return hashlib.sha256(_to_bytes(told["value"])).hexdigest()
    digest = told.get("sha256")
    return digest if isinstance(digest, str) else None


def _to_bytes(plain: Json) -> bytes:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


class _Plain:
    """Copies a value into JSON's forms, as long as it stays small."""

    def __init__(self) -> None:
        self._items = _MOST_ITEMS
        self._characters = MOST_BYTES

    def of(self, value: Any, depth: int = 0) -> Json:
        self._items -= 1
        if self._items < 0 or depth > _DEEPEST:
            raise _TooGreatError
        kind = type(value)
        if value is None or kind is bool:
            return bool(value) if kind is bool else None
        if kind is int or kind is float:
            return self._number(value)
        if isinstance(value, str):
            return self._text(value)
        if kind is dict:
            return {self._key(k): self.of(v, depth + 1) for k, v in value.items()}
        if kind is list or kind is tuple:
            return [self.of(item, depth + 1) for item in value]
        return {"class": f"{kind.__module__}.{kind.__qualname__}"}

    def _key(self, key: Any) -> str:
        return self._text(key) if isinstance(key, str) else self._text(str(self.of(key)))

    def _text(self, text: str) -> str:
        self._characters -= len(text)
        if self._characters < 0:
            raise _TooGreatError
        return str(text).encode("utf-8", "replace").decode()

    def _number(self, number: float) -> Json:
        # What JSON has no form for stands as its text.
        if isinstance(number, float) and (number != number or number in (_INFINITE, -_INFINITE)):
            return str(number)
        if isinstance(number, int) and abs(number) >= 2**53:
            if number.bit_length() > 8 * MOST_BYTES:
                raise _TooGreatError
            return self._text(hex(number))
        return number


_INFINITE = float("inf")
