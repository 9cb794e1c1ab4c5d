"""What a server's API makes of values: empty texts and zero times are nothing there. Pure.

MLflow's entities travel as protobuf, which does not tell a field that is empty from one that is
not set. So what was recorded is compared in the form in which the API can show it.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from typing import Any

from chain_client.events import Event, Json

_TEXTS = frozenset({"tags", "params"})
"""Payload parts that hold ``[key, value, …]``; in a baseline, ``{key: value}``."""

_ZERO_IS_NOTHING = frozenset({"end_time", "creation_time", "last_update_time"})


def to_shown(event: Event) -> Event:
    """An event as the API can show what it says."""
    return replace(
        event,
        payload=_shown_parts(event.payload),
        result=None if event.result is None else _shown_parts(event.result),
        detail=None if event.detail is None else _shown_parts(event.detail),
    )


def _shown_parts(parts: Mapping[str, Json]) -> dict[str, Json]:
    shown = dict(parts)
    blank_fields(shown, but=("user_id",))
    for name, value in shown.items():
        if name in _TEXTS and isinstance(value, Mapping):
            shown[name] = {key: blank(text) for key, text in value.items()}
        elif name in _TEXTS and isinstance(value, list | tuple):
            shown[name] = [blank_pair(pair, first=1) for pair in value]
        elif name == "datasets" and isinstance(value, list | tuple):
            shown[name] = [blank_pair(row) for row in value]
        elif name in ("fields", "undetermined") and isinstance(value, Mapping):
            shown[name] = _shown_parts(value)
    return shown


def blank(value: Any) -> Any:
    """A text as it is, an empty one as nothing."""
    return None if value == "" else value


def blank_fields(fields: MutableMapping[str, Json], but: tuple[str, ...] = ()) -> None:
    """Fields likewise, in place, and times that are zero too; not those named in ``but``."""
    for name, value in fields.items():
        if name not in but and (value == "" or (value == 0 and name in _ZERO_IS_NOTHING)):
            fields[name] = None


def blank_texts(texts: MutableMapping[str, str | None]) -> None:
    """Tags or params likewise, in place."""
    for key, value in texts.items():
        texts[key] = blank(value)


def blank_pair(row: Any, first: int = 2) -> Any:
    """``[key, value, …]``, or the row of a dataset with its name and digest, likewise."""
    if not isinstance(row, list | tuple):
        return row
    return [
        value
        if place < first
        else [blank_pair(item, first=1) for item in value]
        if isinstance(value, list | tuple)
        else blank(value)
        for place, value in enumerate(row)
    ]
