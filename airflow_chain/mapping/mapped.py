"""What a mapping gives to be noted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chain_client.events import Json


@dataclass(frozen=True, slots=True)
class Mapped:
    """An event that may be noted.

    Args:
        type: one of `keys`.
        kind: of its subject.
        id: of its subject.
        payload: its parts; the observer is added when it is noted.
    """

    type: str
    kind: str
    id: str
    payload: Mapping[str, Json]
