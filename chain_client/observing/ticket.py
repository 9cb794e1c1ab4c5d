"""What became of a notice for an observer, and of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from chain_client.events import Json


class Outcome(StrEnum):
    """What became of one notice for one observer."""

    TOLD = "told"
    FAILED = "failed"
    """The observer was called and raised."""
    SKIPPED = "skipped"
    """It was not called, or did not come back in time."""


@dataclass(slots=True)
class Ticket:
    """One notice for one observer.

    Args:
        observer: its name.
        hook: which is called.
        values: arguments by name; the observer is given copies.
        outcome: None until it is settled.
    """

    observer: str
    hook: str
    values: Mapping[str, Any]
    outcome: Outcome | None = None
    first_us: int | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ObserverFigures:
    """What became of all notices for one observer since this process began.

    Args:
        name: of the observer.
        told: calls that went well.
        failed: calls that raised.
        skipped: notices that it was not told, or not in time.
        waiting: notices in its queue.
        hanging: calls that it was not waited for, and that have not come back.
        trouble: why it is not told now, in words; None if all is well.
    """

    name: str
    told: int = 0
    failed: int = 0
    skipped: int = 0
    waiting: int = 0
    hanging: int = 0
    trouble: str | None = None

    def to_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {name: getattr(self, name) for name in self.__slots__}
