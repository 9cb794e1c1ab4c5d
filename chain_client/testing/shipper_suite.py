"""What every shipper must do: subclass `ShipperSuite`, and give it a ``destination`` by a fixture.

The shipments are files of any content: what is in a segment is no shipper's business.
"""

from __future__ import annotations

import os
import secrets
import signal
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from chain_client.errors import ChainError, NotInTime, ShippingUnavailable, SpoolUnavailable
from chain_client.shipping import Shipment, Shipper
from chain_client.types import SourceId


@dataclass(frozen=True, slots=True)
class DestinationUnderTest:
    """A destination that nobody else uses.

    Args:
        connect: makes a further shipper to it, which has done nothing yet.
        received: segments, by name, that a receiver is given of a source; None while it sees none.
        take: removes a source, as a receiver does that has it.
        nowhere: makes a shipper to a destination of the kind that does not answer.
        is_shared: whether what a forked process brings there is there for this one; where it is
            not, as with a stand-in in memory, a death is tried as an exception that nobody catches.
    """

    connect: Callable[[], Shipper]
    received: Callable[[SourceId], dict[str, bytes] | None]
    take: Callable[[SourceId], object]
    nowhere: Callable[[], Shipper]
    is_shared: bool = True


def make_shipment(folder: Path, *sizes: int, source_id: SourceId | None = None) -> Shipment:
    """A source with segments of these sizes, of any bytes."""
    chosen = source_id or SourceId(secrets.token_bytes(16))
    home = folder / f"{chosen.hex()}-{secrets.token_hex(4)}"
    home.mkdir()
    segments = []
    for number, size in enumerate(sizes):
        path = home / f"{number:08d}.spool"
        path.write_bytes(secrets.token_bytes(size))
        segments.append(path)
    return Shipment(chosen, tuple(segments))


def content_of(shipment: Shipment) -> dict[str, bytes]:
    """Its segments by name."""
    return {path.name: path.read_bytes() for path in shipment.segments}


def never() -> bool:
    """There is time."""
    return False


class OverAfter:
    """Time that is over at the ``count``-th question."""

    def __init__(self, count: int) -> None:
        self._left = count

    def __call__(self) -> bool:
        self._left -= 1
        return self._left < 0


class ShipperSuite:
    """The tests."""

    @pytest.mark.parametrize(
        "sizes", [(44,), (1000, 1, 0, 77), (700_000, 300_000)], ids=["small", "several", "large"]
    )
    def test_what_is_shipped_arrives_byte_for_byte(
        self, destination: DestinationUnderTest, tmp_path: Path, sizes: tuple[int, ...]
    ) -> None:
        shipment = make_shipment(tmp_path, *sizes)
        assert destination.received(shipment.source_id) is None
        destination.connect().ship(shipment, never)
        assert destination.received(shipment.source_id) == content_of(shipment)
        assert all(path.exists() for path in shipment.segments), "the source itself is left alone"

    def test_a_source_that_is_shipped_twice_is_there_once(
        self, destination: DestinationUnderTest, tmp_path: Path
    ) -> None:
        shipment = make_shipment(tmp_path, 500, 600)
        shipper = destination.connect()
        shipper.ship(shipment, never)
        shipper.ship(shipment, never)
        destination.connect().ship(shipment, never)
        assert destination.received(shipment.source_id) == content_of(shipment)
        destination.take(shipment.source_id)
        assert destination.received(shipment.source_id) is None

    def test_two_that_ship_the_same_at_once_bring_one(
        self, destination: DestinationUnderTest, tmp_path: Path
    ) -> None:
        shipment = make_shipment(tmp_path, *[200_000] * 4)
        failed: list[BaseException] = []

        def ship() -> None:
            try:
                destination.connect().ship(shipment, never)
            except ShippingUnavailable as exc:
                failed.append(exc)

        threads = [threading.Thread(target=ship) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(failed) < len(threads), failed
        assert destination.received(shipment.source_id) == content_of(shipment)

    def test_a_source_that_was_taken_meanwhile_can_be_shipped_again(
        self, destination: DestinationUnderTest, tmp_path: Path
    ) -> None:
        shipment = make_shipment(tmp_path, 500)
        destination.connect().ship(shipment, never)
        destination.take(shipment.source_id)
        destination.connect().ship(shipment, never)
        assert destination.received(shipment.source_id) == content_of(shipment)

    def test_nothing_is_seen_of_what_was_broken_off_and_a_later_call_goes_on(
        self, destination: DestinationUnderTest, tmp_path: Path
    ) -> None:
        shipment = make_shipment(tmp_path, 300_000, 400_000)
        for count in range(4):
            with pytest.raises(NotInTime):
                destination.connect().ship(shipment, OverAfter(count))
            assert destination.received(shipment.source_id) is None
        destination.connect().ship(shipment, never)
        assert destination.received(shipment.source_id) == content_of(shipment)

    def test_killed_at_any_moment_it_shows_all_or_nothing(
        self, destination: DestinationUnderTest, tmp_path: Path
    ) -> None:
        shipment = make_shipment(tmp_path, 300_000, 1000)
        count, ended = 0, False
        while not ended:
            ended = die_at(
                lambda over: destination.connect().ship(shipment, over),
                count,
                in_fork=destination.is_shared,
            )
            found = destination.received(shipment.source_id)
            assert found in (None, content_of(shipment)), f"torn after a death at question {count}"
            count += 1
        assert destination.received(shipment.source_id) == content_of(shipment)

    def test_other_bytes_under_the_same_id_are_refused_and_change_nothing(
        self, destination: DestinationUnderTest, tmp_path: Path
    ) -> None:
        first = make_shipment(tmp_path, 500)
        other = make_shipment(tmp_path, 500, source_id=first.source_id)
        destination.connect().ship(first, never)
        with pytest.raises(ShippingUnavailable):
            destination.connect().ship(other, never)
        assert destination.received(first.source_id) == content_of(first)
        destination.take(first.source_id)
        destination.connect().ship(other, never)
        assert destination.received(first.source_id) == content_of(other)

    def test_sources_do_not_disturb_each_other(
        self, destination: DestinationUnderTest, tmp_path: Path
    ) -> None:
        shipments = [make_shipment(tmp_path, 100, 200) for _ in range(5)]
        shipper = destination.connect()
        for shipment in shipments:
            shipper.ship(shipment, never)
        destination.take(shipments[2].source_id)
        for number, shipment in enumerate(shipments):
            expected = None if number == 2 else content_of(shipment)
            assert destination.received(shipment.source_id) == expected

    def test_a_destination_that_is_away_raises_one_kind_of_error(
        self, destination: DestinationUnderTest, tmp_path: Path
    ) -> None:
        shipper = destination.nowhere()  # making it reaches for nothing
        with pytest.raises(ShippingUnavailable):
            shipper.ship(make_shipment(tmp_path, 10), never)

    def test_a_source_that_is_gone_raises_another(
        self, destination: DestinationUnderTest, tmp_path: Path
    ) -> None:
        shipment = make_shipment(tmp_path, 10, 20)
        shipment.segments[1].unlink()
        with pytest.raises(SpoolUnavailable):
            destination.connect().ship(shipment, never)
        assert destination.received(shipment.source_id) is None

    def test_it_says_where_it_ships_to(self, destination: DestinationUnderTest) -> None:
        assert ":" in destination.connect().uri


class _Death(BaseException):
    """Of this process, as far as it can be tried within it."""


def die_at(work: Callable[[Callable[[], bool]], None], count: int, *, in_fork: bool) -> bool:
    """Work in a child that is killed when it asks for the ``count``-th time; whether it ended."""
    if not in_fork:
        return _break_off_at(work, count)
    with warnings.catch_warnings():
        # Python 3.12 warns of threads: those of the test's own process take no part in it
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        left = count

        def die() -> bool:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return False

        try:
            work(die)
            code = 0
        except ChainError:
            code = 2
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), f"it ended with code {code}"
    return code == 0


def _break_off_at(work: Callable[[Callable[[], bool]], None], count: int) -> bool:
    left = count

    def die() -> bool:
        nonlocal left
        if left == 0:
            raise _Death
        left -= 1
        return False

    try:
        work(die)
    except _Death:
        return False
    return True
