"""Under which names a database may find an alias that is given under one.

In the usual collations of some databases ``CHAMPION``, ``châmpion`` and often ``champiøn`` are
``champion``. On chain they are targets of their own, so each that may be meant is asked for.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def fold(alias: str) -> str:
    """The same for all spellings that differ by case, accents and width."""
    plain = unicodedata.normalize("NFKD", alias)
    return "".join(char for char in plain if not unicodedata.combining(char)).casefold()


def spellings(alias: str, known: Iterable[str]) -> list[str]:
    """The aliases that a database which is blind to case may take for the given one.

    Args:
        alias: comes first, and its plain spelling after it.
        known: aliases that are stored, and those that anybody may have gated.
    """
    plain = fold(alias)
    return list(dict.fromkeys((alias, plain, *(name for name in known if fold(name) == plain))))


def is_ambiguous(alias: str) -> bool:
    """Whether a collation may take it for an alias in ASCII that nobody can tell from it here.

    Collations differ in what they do with letters such as ``ø``, foreign digits and marks. A
    letter of another script is none of ASCII's in any of them.
    """
    plain = fold(alias)
    return not plain.isascii() and not any(
        unicodedata.category(char).startswith("L") and "LATIN" not in unicodedata.name(char, "")
        for char in plain
        if not char.isascii()
    )
