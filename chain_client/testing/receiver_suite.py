"""What every shipper must do from which a relay receives: subclass `ReceiverSuite`.

Its fixture ``store`` gives a `StoreUnderTest`. That it ships as well is `ShipperSuite`'s affair.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from chain_client.errors import DamagedParcel, NotInTime, ShippingUnavailable, SpoolUnavailable
from chain_client.shipping import Parcel, Receiver, Shipment
from chain_client.testing.shipper_suite import (
    DestinationUnderTest,
    OverAfter,
    content_of,
    die_at,
    make_shipment,
    never,
)
from chain_client.types import SourceId


@dataclass(frozen=True, slots=True)
class StoreUnderTest:
    """A destination that nobody else uses, and what must be done to it by other ways.

    Args:
        destination: of the same store.
        spoil: changes a byte of a segment of a parcel that lies there.
        begin: begins to bring a shipment, and stops for good.
    """

    destination: DestinationUnderTest
    spoil: Callable[[Parcel], object]
    begin: Callable[[Shipment], object]

    def connect(self) -> Receiver:
        """A further receiver from it, which has done nothing yet."""
        found = self.destination.connect()
        assert isinstance(found, Receiver)
        return found

    def ship(self, shipment: Shipment) -> Parcel:
        """Bring a shipment there, as the one parcel of its source."""
        self.destination.connect().ship(shipment, never)
        (parcel,) = [p for p in self.connect().arrived() if p.source_id == shipment.source_id]
        return parcel


def fetched(folder: Path, source_id: SourceId) -> dict[str, bytes] | None:
    """Segments, by name, that a folder holds of a source; None if it shows none of it."""
    place = folder / source_id.hex()
    if not place.exists():
        return None
    return {path.name: path.read_bytes() for path in place.glob("*.spool")}


class ReceiverSuite:
    """The tests."""

    @pytest.fixture
    def here(self, tmp_path: Path) -> Path:
        """A folder into which parcels are fetched."""
        folder = tmp_path / "fetched-into"
        folder.mkdir()
        return folder

    @pytest.mark.parametrize("sizes", [(44,), (1000, 1, 0, 77), (700_000, 300_000)])
    def test_what_arrived_is_fetched_byte_for_byte_and_stays(
        self, store: StoreUnderTest, tmp_path: Path, here: Path, sizes: tuple[int, ...]
    ) -> None:
        assert list(store.connect().arrived()) == []
        shipment = make_shipment(tmp_path, *sizes)
        parcel = store.ship(shipment)
        store.connect().fetch(parcel, here, never)
        assert fetched(here, shipment.source_id) == content_of(shipment)
        listed = json.loads((here / shipment.source_id.hex() / "parcel.json").read_bytes())
        assert set(listed["segments"]) == set(content_of(shipment))
        assert list(store.connect().arrived()) == [parcel]
        assert store.destination.received(shipment.source_id) == content_of(shipment)

    def test_what_is_removed_is_gone_and_others_stay(
        self, store: StoreUnderTest, tmp_path: Path
    ) -> None:
        parcels = [store.ship(make_shipment(tmp_path, 100, 20)) for _ in range(3)]
        receiver = store.connect()
        receiver.remove(parcels[1])
        receiver.remove(parcels[1])
        assert set(receiver.arrived()) == {parcels[0], parcels[2]}

    def test_other_bytes_under_the_same_id_are_not_removed_in_their_place(
        self, store: StoreUnderTest, tmp_path: Path
    ) -> None:
        """As by a relay that slept, while another took the first and a worker brought the other."""
        shipment = make_shipment(tmp_path, 500)
        first = store.ship(shipment)
        store.connect().remove(first)
        other = make_shipment(tmp_path, 500, source_id=shipment.source_id)
        second = store.ship(other)
        assert second != first
        store.connect().remove(first)
        assert store.destination.received(shipment.source_id) == content_of(other)

    def test_what_was_changed_there_is_not_fetched_and_leaves_nothing(
        self, store: StoreUnderTest, tmp_path: Path, here: Path
    ) -> None:
        parcel = store.ship(make_shipment(tmp_path, 300_000, 10))
        store.spoil(parcel)
        with pytest.raises(DamagedParcel):
            store.connect().fetch(parcel, here, never)
        assert list(here.iterdir()) == []

    def test_what_is_gone_raises_one_kind_of_error(
        self, store: StoreUnderTest, tmp_path: Path, here: Path
    ) -> None:
        parcel = store.ship(make_shipment(tmp_path, 10))
        store.connect().remove(parcel)
        with pytest.raises(ShippingUnavailable):
            store.connect().fetch(parcel, here, never)
        assert fetched(here, parcel.source_id) is None

    def test_a_folder_that_takes_nothing_raises_another(
        self, store: StoreUnderTest, tmp_path: Path
    ) -> None:
        parcel = store.ship(make_shipment(tmp_path, 10))
        with pytest.raises(SpoolUnavailable):
            store.connect().fetch(parcel, tmp_path / "missing", never)

    def test_fetching_ends_when_the_time_is_over_and_a_later_call_goes_on(
        self, store: StoreUnderTest, tmp_path: Path, here: Path
    ) -> None:
        shipment = make_shipment(tmp_path, 300_000, 400_000)
        parcel = store.ship(shipment)
        for count in range(3):
            with pytest.raises(NotInTime):
                store.connect().fetch(parcel, here, OverAfter(count))
            assert fetched(here, shipment.source_id) is None
        store.connect().fetch(parcel, here, never)
        assert fetched(here, shipment.source_id) == content_of(shipment)

    def test_killed_at_any_moment_it_shows_all_or_nothing(
        self, store: StoreUnderTest, tmp_path: Path, here: Path
    ) -> None:
        shipment = make_shipment(tmp_path, 300_000, 1000)
        parcel = store.ship(shipment)
        count, ended = 0, False
        while not ended:
            ended = die_at(
                lambda over: store.connect().fetch(parcel, here, over),
                count,
                in_fork=store.destination.is_shared,
            )
            found = fetched(here, shipment.source_id)
            assert found in (None, content_of(shipment)), f"torn after a death at question {count}"
            count += 1
        assert fetched(here, shipment.source_id) == content_of(shipment)

    def test_what_was_begun_is_shown_until_it_is_whole(
        self, store: StoreUnderTest, tmp_path: Path
    ) -> None:
        shipment = make_shipment(tmp_path, 9 << 20, 1000)
        store.begin(shipment)
        (found,) = store.connect().unfinished()
        assert found.source_id == shipment.source_id
        assert list(store.connect().arrived()) == []
        assert [item.stand for item in store.connect().unfinished()] == [found.stand]
        store.ship(shipment)
        assert list(store.connect().unfinished()) == []

    def test_a_store_that_is_away_raises_one_kind_of_error(self, store: StoreUnderTest) -> None:
        receiver = store.destination.nowhere()
        assert isinstance(receiver, Receiver)
        parcel = Parcel(SourceId(bytes(16)), "0" * 64)
        with pytest.raises(ShippingUnavailable):
            list(receiver.arrived())
        with pytest.raises(ShippingUnavailable):
            list(receiver.unfinished())
        with pytest.raises(ShippingUnavailable):
            receiver.remove(parcel)
