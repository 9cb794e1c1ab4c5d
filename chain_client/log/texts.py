"""Texts of a host, as every database takes them."""

from __future__ import annotations


def to_storable(text: str) -> str:
    """Text that every database takes: a host's ids may hold NUL or half a surrogate pair."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
