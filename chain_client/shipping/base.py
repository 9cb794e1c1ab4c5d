"""What a shipper is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from chain_client.types import SourceId

IsOver = Callable[[], bool]
"""Whether the time for shipping is over; cheap, to be asked between two pieces of work."""


@dataclass(frozen=True, slots=True)
class Shipment:
    """A source to be handed over. Its owner is gone, so not a byte of it changes any more.

    Args:
        source_id: the source.
        segments: its files, the oldest first.
    """

    source_id: SourceId
    segments: tuple[Path, ...]


class Shipper(Protocol):
    """Hands sources over to where a relay takes them in.

    Constructors do no I/O. No method's exception text holds a password, a token or a payload.
    """

    uri: str
    """Where it ships to, as it may be shown: without anything secret."""

    def ship(self, shipment: Shipment, is_over: IsOver) -> None:
        """Bring every segment, byte for byte, to the destination.

        Guarantee: when it returns, the whole source is there durably, under its own id. Until
        then nobody who looks there sees any of it, however this process or the machine dies.
        What is there already is not brought again, so the same source may be shipped any number
        of times, by any process, before or after a receiver took it: the destination ends with
        one copy, or, if it was taken meanwhile, gets it once more.

        It ends soon after ``is_over`` says so; a later call goes on with what was left.

        Args:
            shipment: what to bring. It is only read.
            is_over: asked between pieces of work that take no longer than a second.

        Raises:
            ShippingUnavailable: the destination does not take it now (full, away, read-only, or
                holding other bytes under this id).
            NotInTime: the time was over before everything was there.
            SpoolUnavailable: the source can't be read.
        """
