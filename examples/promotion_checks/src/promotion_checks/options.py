"""What stands in the policy file beside `plugin` and `kind`; what is not known is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NUMBER, TEXT, FLAG, TEXTS, PATTERNS = "a number", "a text", "true or false", "a list", "a table"
_TYPES: Mapping[str, tuple[type, ...]] = {
    NUMBER: (int, float),
    TEXT: (str,),
    FLAG: (bool,),
    TEXTS: (tuple,),
    PATTERNS: (Mapping,),
}


class WrongOptions(Exception):
    """The policy file says what no check can be made of; the text says what was expected."""


def read_options(
    configuration: Mapping[str, Any], known: Mapping[str, str], needed: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The options by name, each of its type; a misspelt one must not pass for one left out."""
    for name, value in configuration.items():
        if name == "kind":
            continue
        if name not in known:
            raise WrongOptions(f"{name}: expected one of {', '.join(known)}")
        is_flag = isinstance(value, bool)
        if not isinstance(value, _TYPES[known[name]]) or is_flag is not (known[name] == FLAG):
            raise WrongOptions(f"{name}: expected {known[name]}")
    for name in needed:
        if name not in configuration:
            raise WrongOptions(f"{name}: it is missing")
    return {name: value for name, value in configuration.items() if name != "kind"}
