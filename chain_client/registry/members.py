"""Reading JSON that others wrote: each member is of a known kind, and what is wrong is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from chain_client.errors import InvalidInput
from chain_client.types import from_hex

_T = TypeVar("_T")


class Members:
    """The members of a JSON object, each of a known kind; what is wrong is named by its path."""

    def __init__(self, data: object, path: str) -> None:
        if not isinstance(data, dict):
            raise InvalidInput(f"{path}: expected an object")
        self._data = data
        self._path = path

    def text(self, name: str) -> str:
        """A string."""
        return self._get(name, lambda value: isinstance(value, str), "a text", str)

    def number(self, name: str, bits: int) -> int:
        """An int from 0, of so many bits."""
        return self._get(
            name,
            lambda value: type(value) is int and 0 <= value < 1 << bits,
            f"a whole number of at most {bits} bits",
            int,
        )

    def flag(self, name: str) -> bool:
        """True or false."""
        return self._get(name, lambda value: isinstance(value, bool), "true or false", bool)

    def bytes(self, name: str, size: int) -> bytes:
        """Bytes as hex with ``0x``."""
        text = self.text(name)
        if not text.startswith("0x") or len(text) != 2 + 2 * size:
            raise InvalidInput(f"{self._path}.{name}: expected 0x and {2 * size} hex digits")
        return from_hex(text, size=size)

    def texts(self, name: str) -> list[str]:
        """A list of strings."""
        return self._get(
            name,
            lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
            "a list of texts",
            list,
        )

    def part(self, name: str) -> Members:
        """An object within."""
        return Members(self._data.get(name), f"{self._path}.{name}")

    def raw(self, name: str) -> Any:
        """Whatever is there; None if nothing is."""
        return self._data.get(name)

    def is_null(self, name: str) -> bool:
        """Whether nothing is there."""
        return self._data.get(name) is None

    def _get(
        self, name: str, fits: Callable[[Any], bool], what: str, make: Callable[[Any], _T]
    ) -> _T:
        value = self._data.get(name)
        if not fits(value):
            raise InvalidInput(f"{self._path}.{name}: expected {what}")
        return make(value)
