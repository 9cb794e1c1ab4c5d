"""When a pass of cross-anchoring begins, and what its trouble leads to; the clock is turned."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chain_client.cross.anchoring import CrossAnchored, FirstChainTrouble
from chain_client.errors import (
    AnotherRelay,
    ChainBehindLog,
    LedgerUnavailable,
    LogBehindChain,
    LogMismatch,
)
from chain_client.log import Lease, Log
from chain_client.relay.cross_anchoring import ALARM, CrossAnchorer, CrossParts

LEASE = Lease("relay", "here/id:1", 1, 0)
HOUR_S = 3600


class TurnedClock:
    """Stands still unless it is turned."""

    def __init__(self) -> None:
        self.now_us = 10**15
        self.ahead_us = 0

    def time_us(self) -> int:
        return self.now_us + self.ahead_us

    def monotonic_us(self) -> int:
        return self.now_us

    def turn(self, seconds: float) -> None:
        self.now_us += round(seconds * 1e6)


class SecondChain:
    """Stands for the second chain: counts what is asked, and fails as it is told."""

    def __init__(self, clock: TurnedClock) -> None:
        self.clock = clock
        self.anchored_us: list[int] = []
        self.looks = 0
        self.closed = 0
        self.settled = True
        self.trouble: Exception | None = None
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def is_settled(self) -> bool:
        self.looks += 1
        assert self.may_go_on.wait(30)
        if self.trouble is not None:
            raise self.trouble
        return self.settled

    def anchor_next(self) -> CrossAnchored | None:
        self.anchored_us.append(self.clock.time_us())
        return CrossAnchored(len(self.anchored_us), 1, 2)

    def last_us(self, now_us: int) -> int | None:
        return max((time_us for time_us in self.anchored_us if time_us <= now_us), default=None)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(f"sqlite:///{tmp_path}/log.db")
    made.create()
    yield made
    made.close()


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def chain(clock: TurnedClock) -> SecondChain:
    return SecondChain(clock)


@pytest.fixture
def cross(log: Log, clock: TurnedClock, chain: SecondChain) -> Iterator[CrossAnchorer]:
    made = CrossAnchorer(lambda lease: CrossParts(chain, chain.close), log, clock, HOUR_S)
    yield made
    chain.may_go_on.set()
    made.stop()


@pytest.fixture
def turn(cross: CrossAnchorer) -> Callable[[], None]:
    def take() -> None:
        cross.turn(LEASE)
        assert not cross.is_busy(30)

    return take


def alarms(log: Log) -> list[str]:
    return [f"{a.kind}: {a.detail}" for a in log.alarms()]


def test_one_head_is_anchored_an_hour(
    turn: Callable[[], None], clock: TurnedClock, chain: SecondChain
) -> None:
    for _ in range(180):
        turn()
        clock.turn(60)
    assert len(chain.anchored_us) == 3
    assert chain.closed == chain.looks


def test_a_clock_that_was_ahead_and_is_set_right_stops_nothing(
    turn: Callable[[], None], clock: TurnedClock, chain: SecondChain
) -> None:
    clock.ahead_us = 30 * 86_400 * 10**6
    turn()
    clock.ahead_us = 0
    for _ in range(5):
        clock.turn(HOUR_S)
        turn()
    assert len(chain.anchored_us) == 6


def test_what_is_not_final_yet_is_looked_at_each_minute(
    turn: Callable[[], None], clock: TurnedClock, chain: SecondChain
) -> None:
    chain.settled = False
    for _ in range(10):
        turn()
        clock.turn(30)
    assert (len(chain.anchored_us), chain.looks) == (1, 5)


def test_trouble_is_an_alarm_and_tried_again_after_longer_and_longer_pauses(
    turn: Callable[[], None], clock: TurnedClock, chain: SecondChain, log: Log
) -> None:
    chain.trouble = LedgerUnavailable("it sleeps")
    tried = []
    for second in range(3600):
        before = chain.looks
        turn()
        if chain.looks > before:
            tried.append(second)
        clock.turn(1)
    assert tried == [0, 10, 30, 70, 150, 310, 630, 1230, 1830, 2430, 3030]
    assert alarms(log) == [f"{ALARM}: it sleeps"]
    chain.trouble = None
    clock.turn(600)
    turn()
    assert (alarms(log), len(chain.anchored_us)) == ([], 1)


@pytest.mark.parametrize("contradiction", [LogMismatch("other"), LogBehindChain("shorter")])
def test_a_head_that_the_log_contradicts_ends_it(
    turn: Callable[[], None],
    clock: TurnedClock,
    chain: SecondChain,
    log: Log,
    contradiction: Exception,
) -> None:
    chain.trouble = contradiction
    turn()
    chain.trouble = None
    clock.turn(10 * HOUR_S)
    turn()
    assert (chain.looks, chain.anchored_us) == (1, [])
    assert len(alarms(log)) == 1


def test_a_first_chain_that_is_behind_is_waited_for(
    turn: Callable[[], None], clock: TurnedClock, chain: SecondChain, log: Log
) -> None:
    chain.trouble = ChainBehindLog("it lags")
    turn()
    assert alarms(log) == [f"{ALARM}: it lags"]
    chain.trouble = None
    clock.turn(HOUR_S)
    turn()
    assert (len(chain.anchored_us), alarms(log)) == (1, [])


def test_a_relay_that_lost_its_lease_raises_no_alarm(
    turn: Callable[[], None], chain: SecondChain, log: Log
) -> None:
    chain.trouble = AnotherRelay("taken over")
    turn()
    assert alarms(log) == []


def test_whatever_goes_wrong_the_relay_lives_on(
    turn: Callable[[], None], chain: SecondChain, log: Log
) -> None:
    chain.trouble = RuntimeError("anything")
    turn()
    assert alarms(log) == [f"{ALARM}: the pass failed with RuntimeError"]


def test_a_second_chain_that_hangs_holds_nothing_up(
    cross: CrossAnchorer, clock: TurnedClock, chain: SecondChain
) -> None:
    chain.may_go_on.clear()
    for _ in range(100):
        cross.turn(LEASE)
        clock.turn(HOUR_S)
    assert chain.looks <= 1
    assert cross.is_busy()
    chain.may_go_on.set()
    assert not cross.is_busy(30)
    assert len(chain.anchored_us) == 1


def test_trouble_of_the_first_chain_raises_no_alarm_and_is_tried_again(
    turn: Callable[[], None], log: Log, clock: TurnedClock, chain: SecondChain
) -> None:
    chain.trouble = FirstChainTrouble("the first endpoint does not answer")
    for _ in range(3):
        turn()
        clock.turn(700)
    assert (alarms(log), chain.looks) == ([], 3)
    chain.trouble = None
    turn()
    assert len(chain.anchored_us) == 1
