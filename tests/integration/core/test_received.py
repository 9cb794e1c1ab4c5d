"""A relay that fetches from a store: what holds it up, what does not, and what is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from chain_client.errors import ConfigurationError, ShippingUnavailable
from chain_client.relay import inbox as inbox_module
from chain_client.relay import inbox_assembly, receiving
from chain_client.relay import unfinished as unfinished_module
from chain_client.relay.service import Relay
from chain_client.shipping import FolderShipper, IsOver, Parcel
from chain_client.shipping.manifest import STAGED_PREFIX
from chain_client.spool import list_sources
from chain_client.testing.shipper_suite import make_shipment, never
from chain_client.types import SourceId
from chain_client.verify import Verdict
from tests.forked import in_fork
from tests.integration.core.conftest import Site
from tests.workers import note, ship, worker

EVENTS = 8


class Store(FolderShipper):
    """A store in a folder, in which things go wrong."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"store:{path.name}", path)
        self.away: BaseException | None = None
        self.unreadable: set[bytes] = set()
        self.hangs: threading.Event | None = None
        self.hung = threading.Event()
        self.fetches: list[Parcel] = []

    def arrived(self) -> Iterator[Parcel]:
        if self.away is not None:
            raise self.away
        return super().arrived()

    def fetch(self, parcel: Parcel, folder: Path, is_over: IsOver) -> None:
        self.fetches.append(parcel)
        if self.hangs is not None:
            self.hung.set()
            self.hangs.wait(120)
        if parcel.source_id in self.unreadable:
            raise ShippingUnavailable("the key of this one is away")
        super().fetch(parcel, folder, is_over)


class Receiving:
    """A home whose inbox is a store, and workers."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site, self.spool = site, folder / "worker"
        self.folder = folder / "store"
        self.folder.mkdir()
        self.store = Store(self.folder)
        self.recorded = 0

    def hand_over(self, count: int = 1) -> None:
        """So many tasks that record, and hand over what they recorded."""
        for _ in range(count):
            first, self.recorded = self.recorded, self.recorded + EVENTS

            def task(first: int = first) -> str:
                client = worker(self.site.home, self.spool)
                note(client, EVENTS, first=first)
                client.recorder.close()
                return "recorded"

            assert in_fork(task) == "recorded"
        sent = ship(self.spool, self.folder)
        assert not sent.left, sent.left

    def seen(self) -> list[object]:
        return [e.payload["number"] for e in self.site.events() if e.type == "task.seen"]

    def alarms(self) -> list[tuple[str, str]]:
        return sorted((alarm.kind, alarm.subject) for alarm in self.site.client.log.alarms())

    @contextmanager
    def relay(self) -> Iterator[Relay]:
        relay = self.site.relay()
        relay.start()
        try:
            yield relay
        finally:
            relay.close()

    def assert_all(self) -> None:
        assert sorted(self.seen(), key=str) == sorted(range(self.recorded), key=str)
        assert list_sources(self.folder) == list_sources(self.site.home / "inbox") == []
        assert self.alarms() == []
        assert self.site.verify().verdict is Verdict.HOLDS


def _run_until(relay: Relay, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        relay.run_round()


@pytest.fixture
def received(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiving]:
    site = Site(home, RELAY_INBOX=f"folder:{tmp_path}/store")
    made = Receiving(site, tmp_path)
    monkeypatch.setattr(inbox_assembly, "open_shipper", lambda *_, **__: made.store)
    monkeypatch.setattr(inbox_module, "_LOOK_S", 0.0)
    monkeypatch.setattr(receiving, "_LOOK_S", 0.0)
    yield made
    site.close()


def test_what_arrives_comes_into_the_log_and_leaves_the_store_while_the_relay_runs(
    received: Receiving,
) -> None:
    with received.relay() as relay:
        received.hand_over(3)
        _run_until(relay, lambda: not list_sources(received.folder))
        received.hand_over(1)
        _run_until(relay, lambda: not list_sources(received.folder))
    received.site.drain()
    received.assert_all()
    assert len(received.store.fetches) == 4


def test_a_store_that_is_away_is_told_of_after_a_while_and_nothing_is_lost(
    received: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "_RETRY_MAX_S", 0.0)
    for away in (ShippingUnavailable("away"), ConfigurationError("no bucket"), SystemExit(3)):
        received.store.away = away
        monkeypatch.setattr(receiving, "_PATIENCE_S", 3600.0)
        with received.relay() as relay:
            received.hand_over()
            _run_until(relay, partial(_has_trouble, relay))
            assert received.alarms() == []
            monkeypatch.setattr(receiving, "_PATIENCE_S", 0.0)
            _run_until(relay, lambda: bool(received.alarms()))
            assert received.alarms() == [("inbox_away", received.store.uri)]
            assert list_sources(received.folder)
            received.store.away = None
            _run_until(relay, lambda: not received.alarms())
    received.site.drain()
    received.assert_all()


def _has_trouble(relay: Relay) -> bool:
    done, _ = relay.run_round()
    return done is not None and bool(done.problems)


def test_relay_once_says_that_a_store_is_away_and_ends(received: Receiving) -> None:
    received.hand_over()
    received.store.away = ShippingUnavailable("nobody answers")
    said: list[str] = []
    with received.relay() as relay:
        relay.drain(patience_s=20, on_round=lambda done: said.extend(done.problems))
    assert "nobody answers" in said
    received.store.away = None
    received.site.drain()
    received.assert_all()


def test_a_store_that_hangs_holds_up_neither_rounds_nor_the_end(received: Receiving) -> None:
    received.hand_over()
    received.store.hangs = threading.Event()
    began = time.monotonic()
    with received.relay() as relay:
        _run_until(relay, received.store.hung.is_set)
        received.site.note(5)
        received.site.end_source()
        _run_until(relay, lambda: len(received.site.numbers()) == 5)
    assert time.monotonic() - began < 60, "it hangs for twice as long"
    received.store.hangs.set()
    received.store.hangs = None
    received.site.drain()
    received.assert_all()


def test_what_is_not_what_its_name_says_stays_in_the_store_and_holds_up_nothing(
    received: Receiving,
) -> None:
    received.hand_over(3)
    victim = list_sources(received.folder)[0].directory
    segment = next(victim.glob("*.spool"))
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with received.relay() as relay:
        _run_until(relay, lambda: len(received.seen()) == 2 * EVENTS)
        _run_until(relay, lambda: len(list_sources(received.folder)) == 1)
        _run_until(relay, lambda: bool(received.alarms()))
        fetches = len(received.store.fetches)
        for _ in range(20):
            relay.run_round()
        assert len(received.store.fetches) == fetches, "it is not fetched again and again"
    assert received.alarms() == [("source_damaged", victim.name)]
    (alarm,) = received.site.client.log.alarms()
    assert received.store.uri in alarm.detail
    assert [source.directory for source in list_sources(received.folder)] == [victim]
    # Mended in the store, it is taken in by the next relay.
    segment.write_bytes(whole)
    received.site.client.log.clear_alarm("source_damaged", victim.name)
    received.site.drain()
    received.assert_all()


def test_what_can_not_be_fetched_now_holds_up_no_other(
    received: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "_RETRY_MAX_S", 0.0)
    received.hand_over(6)
    sources = list_sources(received.folder)
    received.store.unreadable = {bytes(source.source_id) for source in sources[:4]}
    with received.relay() as relay:
        _run_until(relay, lambda: len(received.seen()) == 2 * EVENTS)
        received.store.unreadable.clear()
        _run_until(relay, lambda: not list_sources(received.folder))
    received.site.drain()
    received.assert_all()


def test_no_more_is_fetched_than_the_inbox_has_room_for(
    received: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "_MOST_WAITING", 2)
    received.hand_over(5)
    most = 0
    with received.relay() as relay:

        def count() -> bool:
            nonlocal most
            most = max(most, len(list_sources(received.site.home / "inbox")))
            return not list_sources(received.folder)

        _run_until(relay, count)
    assert most <= 2
    received.site.drain()
    received.assert_all()


def test_what_somebody_took_out_of_the_inbox_is_fetched_again(
    received: Receiving, tmp_path: Path
) -> None:
    received.hand_over()
    (parcel,) = received.store.arrived()
    inbox = received.site.home / "inbox"
    inbox.mkdir()
    received.store.fetch(parcel, inbox, lambda: False)
    (inbox / parcel.source_id.hex()).rename(tmp_path / "elsewhere")
    received.site.drain()
    assert len(received.store.fetches) == 2
    received.assert_all()


def test_what_was_set_aside_leaves_the_store_and_is_kept_here_once(
    received: Receiving, tmp_path: Path
) -> None:
    """Its bytes are as they were sent, and they are no spool."""
    received.store.ship(make_shipment(tmp_path, 100, source_id=SourceId(b"\xcd" * 16)), never)
    (received.folder / ("ab" * 16)).mkdir()  # and something that nobody sent
    received.hand_over()
    received.site.drain()
    aside = received.site.home / "inbox" / "aside"
    assert [path.name for path in aside.iterdir()] == [f"{'cd' * 16}.damaged"]
    assert len(list((aside / f"{'cd' * 16}.damaged").glob("*.spool"))) == 1
    assert [source.directory.name for source in list_sources(received.folder)] == ["ab" * 16]
    assert received.alarms() == [("source_damaged", "cd" * 16)]
    assert len(received.seen()) == EVENTS
    assert len(received.store.fetches) == 2


def test_a_shipment_that_does_not_go_on_in_the_store_is_told_of(
    received: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished_module, "_UNFINISHED_S", 0.0)
    monkeypatch.setattr(receiving, "_UNFINISHED_LOOK_S", 0.0)
    received.hand_over()
    (source,) = list_sources(received.folder)
    staged = received.folder / f"{STAGED_PREFIX}{source.directory.name}-{'0' * 16}"
    source.directory.rename(staged)
    with received.relay() as relay:
        _run_until(relay, lambda: bool(received.alarms()))
        assert received.alarms() == [("shipment_unfinished", source.directory.name)]
        staged.rename(source.directory)
        _run_until(relay, lambda: not list_sources(received.folder) and not received.alarms())
    received.site.drain()
    received.assert_all()


def test_what_was_fetched_is_not_taken_in_once_another_relay_has_the_store(
    received: Receiving,
) -> None:
    log = received.site.client.log
    with received.relay() as relay:
        _run_until(relay, lambda: bool(log.holders("inbox:")))
        (held,) = log.holders("inbox:")
        other = log.acquire_lease(held.name, "another relay", 60, replace_dead=lambda _: True)
        received.hand_over()
        (parcel,) = received.store.arrived()
        received.store.fetch(parcel, received.site.home / "inbox", never)
        for _ in range(5):
            relay.run_round()
        assert received.seen() == []
        assert list_sources(received.folder)
        log.release(other)
        _run_until(relay, lambda: not list_sources(received.folder))
    received.site.drain()
    received.assert_all()


def test_doctor_says_how_many_wait_in_the_store_or_why_it_can_not(received: Receiving) -> None:
    received.hand_over(2)
    settings = received.site.settings
    assert inbox_assembly.examine_inbox(settings) == (False, "store:store: 2 sources wait there")
    received.store.away = ShippingUnavailable("nobody answers")
    is_trouble, said = inbox_assembly.examine_inbox(settings)
    assert is_trouble
    assert "nobody answers" in said


def test_a_shipper_that_gives_nothing_back_is_no_inbox(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_assembly, "open_shipper", lambda *_, **__: object())
    site = Site(home, RELAY_INBOX="drop:anywhere")
    with pytest.raises(ConfigurationError, match="drop: can't be fetched"):
        site.relay()
    site.close()
