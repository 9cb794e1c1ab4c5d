"""What a replay reads off an event: its parts, and what the store filled in. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from chain_client.events import Event
from mlflow_chain.verifying.order import UNKNOWN, Stamp
from mlflow_chain.verifying.state import State

Parts: TypeAlias = Mapping[str, Any]
"""The payload; of a partly applied event, what of it is there."""

Apply: TypeAlias = Callable[[State, Event, Stamp, Parts], None]
"""Applies one kind of event to a state."""


def texts(pairs: Any) -> dict[str, Any]:
    """Tags or params, by key; behind a cut value stands its original."""
    return {pair[0]: pair[1] for pair in pairs or ()}


def chosen(event: Event, *names: str) -> dict[str, Any]:
    """What the store filled in; unknown where nobody saw it."""
    result = event.result or {}
    return {name: result.get(name, UNKNOWN) for name in names}
