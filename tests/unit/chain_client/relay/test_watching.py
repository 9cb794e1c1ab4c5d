"""What a relay notices: turns that are due, what waits too long, an empty purse, its health."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from chain_client.errors import ConfigurationError
from chain_client.ledger.base import Fees
from chain_client.log import EntryStatus, Log
from chain_client.relay.anchor import Anchored
from chain_client.relay.anchoring import is_turn_due
from chain_client.relay.day_book import DayBook
from chain_client.relay.figures import Figures, Role, Tally, find_reasons
from chain_client.relay.held_lease import LEASE, RelayName, ingests_only
from chain_client.relay.http import HealthServer, parse_address
from chain_client.relay.pace import RelaySettings
from chain_client.relay.purse import Purse
from chain_client.relay.standing_by import StandingBy
from chain_client.relay.watch import Watch
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.types import Address, Digest, to_hex
from tests.queues import make_log
from tests.unit.chain_client.log.logs import TurnedClock, make_entries

WRITER, NEXT_WRITER = Address(b"\2" * 20), Address(b"\3" * 20)
PACE = RelaySettings(lease_s=15, max_batch=10, max_wait_s=5, idle_s=1, look_s=2)


@pytest.mark.parametrize(
    ("waiting", "waited_s", "unsettled", "on_its_way", "since_look_s", "due"),
    [
        (0, 0.0, False, False, 99.0, False),
        (1, 4.9, False, False, 99.0, False),
        (1, 5.0, False, False, 0.0, True),
        (10, 0.0, False, False, 0.0, True),
        (9999, 99.0, True, True, 1.9, False),
        (9999, 99.0, True, True, 2.0, True),
        (0, 0.0, True, False, 2.0, True),
        (0, 0.0, True, False, 1.0, False),
        (10, 0.0, True, False, 1.0, True),
    ],
)
def test_when_a_turn_is_due(
    waiting: int, waited_s: float, unsettled: bool, on_its_way: bool, since_look_s: float, due: bool
) -> None:
    assert is_turn_due(waiting, waited_s, unsettled, on_its_way, since_look_s, PACE) is due


class Scene:
    """A log whose events were made at the clock's beginning."""

    def __init__(self, folder: Path) -> None:
        self.clock = TurnedClock()
        self.log = Log(f"sqlite:///{make_log(folder)}", clock=self.clock)
        self.lease = self.log.acquire_lease(LEASE, "me", 1e9)
        self.watch = Watch(self.log, self.clock, alarm_age_s=600)

    def look(self, after_s: float) -> Figures:
        self.clock.turn(after_s)
        found = self.watch.look_when_due(Role.ANCHORS, ())
        assert found is not None
        return found

    def append(self, start: int, stop: int) -> None:
        self.log.append(make_entries(start, stop), [], self.lease)

    def anchor(self, size: int) -> None:
        self.log.add_head(size, Digest(bytes(32)), self.lease)
        self.log.set_head_status(size, EntryStatus.INCLUDED, self.lease, block_number=1)

    def alarms(self) -> list[str]:
        return [alarm.kind for alarm in self.log.alarms()]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_what_waits_too_long_is_an_alarm_until_a_head_covers_it(scene: Scene) -> None:
    scene.append(0, 3)
    event_us = 1_700_000_000_000_000
    scene.clock.now_us = event_us + 10_000_000
    found = scene.look(0)
    assert (found.entries, found.anchored, found.final) == (3, 0, 0)
    assert found.oldest_waiting_s is not None
    assert (scene.alarms(), found.alarms) == ([], ())
    assert scene.look(500).alarms == ()
    assert scene.look(100).alarms == (("oldest_event", "log"),)
    [alarm] = scene.log.alarms()
    assert alarm.detail.startswith("3 entries are in the log and no head on chain covers them")
    scene.look(10)
    assert scene.log.alarms()[0].count == 1  # not anew in each look
    scene.anchor(3)
    found = scene.look(10)
    assert (found.anchored, found.oldest_waiting_s, found.alarms) == (3, None, ())
    assert scene.alarms() == []


def test_old_events_that_just_came_and_move_on_are_no_alarm(scene: Scene) -> None:
    scene.clock.turn(86_400)
    for number in range(30):
        scene.append(number, number + 1)
        found = scene.look(30)
        assert found.alarms == ()
        scene.anchor(number + 1)


def test_a_log_that_does_not_answer_is_trouble(scene: Scene, tmp_path: Path) -> None:
    scene.log.close()
    (tmp_path / "log.db").unlink()
    found = scene.look(0)
    assert (found.role, found.entries) == (Role.ANCHORS, None)
    assert "log.db" in found.trouble[0]


class Coins(SimulatedLedger):
    """A chain on which the key has what a test says."""

    gas_price = 10**9

    def __init__(self) -> None:
        self.balance = 10**18
        self.balances: dict[Address, int] = {}

    def balance_wei(self, address: Address) -> int:
        return self.balances.get(address, self.balance)

    def fees(self) -> Fees:
        return Fees(self.gas_price, 1)


def test_a_writer_that_can_not_pay_for_long_is_an_alarm_until_it_can() -> None:
    ledger, clock = Coins(), TurnedClock()
    said: list[tuple[str, str, str]] = []
    purse = Purse(
        ledger,
        WRITER,
        100,
        clock,
        lambda kind, subject, detail: said.append((kind, subject, detail)),
        lambda kind, subject: said.append((kind, subject, "")),
    )
    purse.look_when_due(WRITER)
    assert said == [("low_balance", "0x" + "02" * 20, "")]  # one of an earlier relay
    ledger.balance = 99 * 100_000 * 10**9
    purse.look_when_due(WRITER)
    assert len(said) == 1  # once a minute
    clock.turn(61)
    purse.look_when_due(WRITER)
    clock.turn(61)
    assert purse.is_due
    purse.look_when_due(WRITER)
    assert [kind for kind, _, _ in said] == ["low_balance"] * 2
    assert "0.009900 of the chain's coin, enough for 99 anchors" in said[1][2]
    assert not purse.is_due
    ledger.balance *= 2
    clock.turn(61)
    purse.look_when_due(WRITER)
    assert said[2][2] == ""
    assert not purse.is_due


def test_after_the_writer_was_rotated_the_new_key_is_watched() -> None:
    ledger, clock = Coins(), TurnedClock()
    said: list[tuple[str, str]] = []
    purse = Purse(
        ledger,
        WRITER,
        100,
        clock,
        lambda kind, subject, detail: said.append(("raised", subject)),
        lambda kind, subject: said.append(("cleared", subject)),
    )
    ledger.balance = 0
    purse.look_when_due(WRITER)
    purse.look_when_due(WRITER)
    assert said == [("raised", to_hex(WRITER))]
    ledger.balances[NEXT_WRITER] = 10**18
    purse.look_when_due(NEXT_WRITER)  # at once, and the alarm for the old key ends
    assert said[1:] == [("cleared", to_hex(WRITER)), ("cleared", to_hex(NEXT_WRITER))]
    assert purse.balance_wei == 10**18
    ledger.balances[NEXT_WRITER] = 1
    clock.turn(61)
    purse.look_when_due(NEXT_WRITER)
    assert said[3:] == [("raised", to_hex(NEXT_WRITER))]


def test_a_chain_without_fees_needs_no_coin() -> None:
    ledger = Coins()
    said: list[str] = []
    ledger.balance = ledger.gas_price = 0
    purse = Purse(
        ledger,
        WRITER,
        100,
        TurnedClock(),
        _never,
        lambda kind, subject: said.append(kind),
    )
    purse.look_when_due(WRITER)
    assert said == ["low_balance"]


def _never(kind: str, subject: str, detail: str) -> None:
    raise AssertionError(f"no alarm was due, but there is {kind}: {detail}")


def test_of_two_relays_the_second_takes_over_when_the_first_sleeps_too_long(scene: Scene) -> None:
    scene.log.release(scene.lease)
    log, clock = scene.log, scene.clock
    names = [RelayName("host", str(number) * 16, number) for number in (1, 2)]
    first, second = (StandingBy(log, 15, clock, lambda: True) for _ in names)

    def nobody(holder: str) -> bool:
        return False

    assert first.seat(names[0], nobody) is not None
    assert second.seat(names[1], nobody) is None
    for _ in range(4):
        clock.turn(6)
        assert first.seat(names[0], nobody) is not None  # renews
        assert second.seat(names[1], nobody) is None
    clock.turn(16)
    taken = second.seat(names[1], nobody)
    assert taken is not None
    assert taken.holder == f"host/{'2' * 16}:2"
    assert first.seat(names[0], nobody) is None
    assert (first.is_seated, second.is_seated) == (False, True)
    second.give_back()
    clock.turn(2)
    assert first.seat(names[0], nobody) is not None


def test_a_relay_that_may_not_anchor_never_takes_the_lease(scene: Scene) -> None:
    scene.log.release(scene.lease)
    idle = StandingBy(scene.log, 15, scene.clock, lambda: False)
    assert idle.seat(RelayName("host", "1" * 16, 1), lambda holder: False) is None
    assert scene.log.holder(LEASE) is None


def test_names_of_relays_tell_homes_and_roles_apart() -> None:
    name = RelayName("host", "a" * 16, 7)
    only = RelayName("host", "a" * 16, 8, ingests_only=True)
    assert name.is_same_home(only.to_holder())
    assert only.is_same_home(name.to_holder())
    assert not name.is_same_home(RelayName("host", "b" * 16, 7).to_holder())
    assert not name.is_same_home(RelayName("other", "a" * 16, 7).to_holder())
    assert [ingests_only(n.to_holder()) for n in (name, only)] == [False, True]


def test_a_day_fits_on_a_page(caplog: pytest.LogCaptureFixture) -> None:
    clock = TurnedClock()
    book = DayBook(clock)
    with caplog.at_level(logging.INFO, "chain_client"):
        for _ in range(24 * 360):
            book.anchored(Anchored(5, 2, 100, 1))
            clock.turn(10)
        for _ in range(1000):
            book.trouble("the node is down", 7)
            clock.turn(5)
        book.trouble_ended()
    assert len(caplog.messages) <= 24 + 3
    assert caplog.messages[1].startswith("anchored 720 entries in 360 transactions, 36000 gas")
    assert caplog.messages[-1] == "the chain takes anchors again, after 5000 s"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        (" ", None),
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("[::1]:80", ("::1", 80)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_addresses(text: str, expected: tuple[str, int] | None) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["9464", "host:", ":9464", "host:port", "host:99999", "host:-1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"relay\.http: expected host:port"):
        parse_address(text)


def test_a_relay_is_ready_while_its_rounds_go_on_and_nothing_is_in_its_way() -> None:
    tally = Tally()
    assert find_reasons(tally, 0, 60) == []  # it waits for another of its home
    tally.figures = Figures(Role.STANDS_BY)
    assert find_reasons(tally, 0, 60) == ["the first round is not over"]
    tally.round_us = 0
    assert find_reasons(tally, 60_000_000, 60) == []
    assert find_reasons(tally, 61_000_000, 60) == ["the last round was 61 s ago"]
    tally.figures = Figures(Role.ANCHORS, trouble=("the chain is down",))
    assert find_reasons(tally, 0, 60) == ["the chain is down"]


def test_an_address_that_is_taken_is_tried_again() -> None:
    clock = TurnedClock()
    first = HealthServer(("127.0.0.1", 0), Tally(), clock, 60)
    first.serve_when_free()
    assert first.port is not None
    second = HealthServer(("127.0.0.1", first.port), Tally(), clock, 60)
    second.serve_when_free()
    assert second.port is None
    first.close()
    second.serve_when_free()
    assert second.port is None  # not at once
    clock.turn(11)
    second.serve_when_free()
    assert second.port is not None
    second.close()
