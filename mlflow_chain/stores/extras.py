"""Methods that are recorded by setting (`mlflow.record`): traces, evaluation, gateway and the like.

Their events hold the call's arguments by name. They are evidence of what was asked for; the
entities are not verified, and replay passes over them.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any

from chain_client.canonical import encode
from chain_client.errors import InvalidEvent
from chain_client.events import Json
from mlflow_chain.mapping.values import Mapped
from mlflow_chain.stores.methods import Recorded, Recovery, Table
from mlflow_chain.stores.passed import GROUPS, SEVERAL_COMMITS

LARGEST_VALUE_BYTES = 4096
"""Of a larger argument the digest and the size of its canonical form are recorded."""

WITHHELD = "withheld"
"""Stands in the place of a secret, of which nothing is recorded, no digest either."""

_SECRET = re.compile(
    r"secret|passw|token|auth|credential|api_?key|access_?key|private|encrypt|wrapped|header"
    r"|environ|connect_options|^env$|^url$",
    re.IGNORECASE,
)
_NAMES_A_SECRET = re.compile(r"_(?:ids?|names?)$", re.IGNORECASE)

_MAX_LEVELS = 32


def extra_methods(plain: type, words: frozenset[str]) -> Table:
    """The methods of a store class that are recorded because the setting holds these words."""
    table: Table = {}
    for word in words:
        for name in GROUPS.get(word, ()):
            method = getattr(plain, name, None)
            if callable(method) and not inspect.iscoroutinefunction(method):
                table[name] = _extra(word, name, _arguments(method, word))
    return table


@cache
def find_extra(type_: str) -> Recorded | None:
    """The method that records events of a type, for what is in doubt; None if there is none."""
    for word, names in GROUPS.items():
        for name in names:
            if event_type(word, name) == type_:
                return _extra(word, name, _never)
    return None


_PAST = {"get_or_create": "ensured", "upsert": "upserted", "set": "set", "log": "logged"}


def event_type(word: str, name: str) -> str:
    """``set_trace_tag`` of group ``traces`` is the type ``traces.trace_tag_set``."""
    stem = name.removeprefix("deprecated_").removesuffix("_v2")
    verb = "get_or_create" if stem.startswith("get_or_create_") else stem.partition("_")[0]
    rest = stem[len(verb) + 1 :]
    past = _PAST.get(verb) or (verb + "d" if verb.endswith("e") else verb + "ed")
    suffix = "_v2" if name.endswith("_v2") else ""
    return f"{word}.{rest}_{past}{suffix}"


def _extra(word: str, name: str, mapping: Callable[..., Mapped]) -> Recorded:
    return Recorded(
        event_type(word, name),
        mapping,
        Recovery.MARKER,
        word,
        multi_commit=name in SEVERAL_COMMITS,
        is_extra=True,
    )


def _never(*args: Any, **kwargs: Any) -> Mapped:
    raise AssertionError("a method found by its type maps no call")


def _arguments(method: Callable[..., Any], word: str) -> Callable[..., Mapped]:
    signature = inspect.signature(method)

    def mapping(*args: Any, **kwargs: Any) -> Mapped:
        given = dict(signature.bind(None, *args, **kwargs).arguments)
        given.pop(next(iter(signature.parameters)))  # self
        for name, parameter in signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                given |= given.pop(name, {})
        return word, _subject_id(given), {name: _part(name, v) for name, v in given.items()}

    return mapping


def _subject_id(given: Mapping[str, Any]) -> str:
    """The first id or name among the arguments."""
    for name, value in given.items():
        if isinstance(value, str) and (name == "name" or name.endswith(("_id", "_name"))):
            return value
    return ""


def _part(name: str, value: Any) -> Json:
    if _is_secret(name) and value is not None:
        return WITHHELD
    plain = _to_json(value, _MAX_LEVELS)
    try:
        canonical = encode(plain)
    except InvalidEvent:
        return {"unreadable": type(value).__name__}
    if len(canonical) <= LARGEST_VALUE_BYTES:
        return plain
    return {"sha256": hashlib.sha256(canonical).hexdigest(), "size": len(canonical)}


def _is_secret(name: str) -> bool:
    return bool(_SECRET.search(name)) and not _NAMES_A_SECRET.search(name)


def _to_json(value: Any, levels: int) -> Json:
    if value is None or isinstance(value, bool | int | float | str):
        # An enum whose values are text or numbers is one of them too.
        return _to_json(value.value, levels) if isinstance(value, Enum) else value
    if levels == 0:
        return {"unreadable": type(value).__name__}
    if isinstance(value, Enum):
        return _to_json(value.value, levels)
    if isinstance(value, bytes):
        return {"sha256": hashlib.sha256(value).hexdigest(), "size": len(value)}
    if isinstance(value, Mapping):
        return {
            str(key): WITHHELD if _is_secret(str(key)) and item else _to_json(item, levels - 1)
            for key, item in value.items()
        }
    if isinstance(value, set | frozenset):
        return sorted((_to_json(item, levels - 1) for item in value), key=str)
    if isinstance(value, list | tuple):
        return [_to_json(item, levels - 1) for item in value]
    return _to_json(_content(value), levels - 1)


def _content(entity: Any) -> Any:
    """What an entity of MLflow holds, as a mapping."""
    for name in ("to_dictionary", "to_dict"):
        method = getattr(entity, name, None)
        if callable(method):
            return method()
    if is_dataclass(entity):
        return {field.name: getattr(entity, field.name) for field in fields(entity)}
    if hasattr(entity, "__dict__"):
        return {name.lstrip("_"): item for name, item in vars(entity).items()}
    return {"unreadable": type(entity).__name__}
