"""What a shipper is, and what one is that a relay can receive from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

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


@dataclass(frozen=True, slots=True)
class Parcel:
    """A source as it lies whole at a destination. Two parcels that are equal hold the same bytes.

    Args:
        source_id: the source.
        digest: of its `chain_client.shipping.manifest.Manifest`: 64 hexadecimal digits, which so
            name every byte of it.
    """

    source_id: SourceId
    digest: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A source that somebody began to bring to a destination, and that is not there whole.

    Args:
        source_id: the source.
        stand: how far it has come; another text as soon as more of it is there.
        files: how many pieces of it are there.
    """

    source_id: SourceId
    stand: str
    files: int


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


@runtime_checkable
class Receiver(Protocol):
    """A shipper from whose destination a relay can fetch, as `relay.inbox` may name one by URI.

    What lies there is not believed: whoever may write there may have written anything. Methods are
    called in one thread at a time, and may take long.
    """

    uri: str
    """As `Shipper.uri`, and the same text for whoever receives from the same place: one relay of
    a log at a time does."""

    def arrived(self) -> Iterator[Parcel]:
        """What is there whole, in any order, read as it is asked for; other things are passed over.

        Raises:
            ShippingUnavailable: the destination does not answer now.
        """

    def unfinished(self) -> Iterator[Unfinished]:
        """What was begun and is not whole; a shipment that goes on is among it.

        Raises:
            ShippingUnavailable: the destination does not answer now.
        """

    def fetch(self, parcel: Parcel, folder: Path, is_over: IsOver) -> None:
        """Copy a parcel into a folder, by `chain_client.shipping.arriving.take_in`.

        Guarantee: the folder holds the source whole, under its id and durably, when this returns,
        and shows nothing of it otherwise. The destination is as it was.

        Args:
            parcel: one that `arrived`.
            folder: of this machine; it is there.
            is_over: asked between pieces of work that take no longer than a second.

        Raises:
            DamagedParcel: what is there is not what the parcel's digest says, or larger than any
                source is.
            NotInTime: the time was over before.
            ShippingUnavailable: the destination does not answer now, or it is there no more.
            SpoolUnavailable: the folder can't be written.
        """

    def remove(self, parcel: Parcel) -> None:
        """Remove this very parcel; one of other bytes under the same id stays. Gone is success.

        Guarantee: however this process dies, all of it is there, or none.

        Raises:
            ShippingUnavailable: the destination does not answer now; it may be there still.
        """
