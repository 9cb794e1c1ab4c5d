"""Whatever an observer does, whoever tells it goes on, and so do the other observers."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chain_client.clock import SystemClock
from chain_client.errors import ConfigurationError, ReceiverUnavailable
from chain_client.notices import AlarmNotice, AlarmState, Person, ProposalChange
from chain_client.observing import Dispatcher, Observer, Outcome, Ticket
from chain_client.observing.breaker import Breaker
from chain_client.observing.observer import MOST_HANGING
from chain_client.types import Address
from tests.receivers import wait_until


@dataclass
class TurnedClock:
    """Time as the test turns it."""

    now_us: int = 1_000_000

    def time_us(self) -> int:
        return self.now_us

    def monotonic_us(self) -> int:
        return self.now_us

    def turn(self, seconds: float) -> None:
        self.now_us += round(seconds * 1e6)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Lets what hangs go on when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def _notice(number: int = 1) -> AlarmNotice:
    return AlarmNotice(
        str(number), AlarmState.RAISED, "chain", "anchor", "no answer", 1, 1, 1, "deployment"
    )


def _observer(
    call: Callable[..., object], name: str = "it", clock: Any = None, *, size: int = 16
) -> Observer:
    return Observer(name, {"alarm_raised": call}, clock or SystemClock(), size, 1.0)


def _tell(observer: Observer, number: int = 1) -> Ticket:
    return observer.put("alarm_raised", {"alarm": _notice(number)})


def _settled(*tickets: Ticket) -> list[Outcome | None]:
    wait_until(lambda: all(ticket.outcome for ticket in tickets), "the end of the calls")
    return [ticket.outcome for ticket in tickets]


class Told:
    """An observer that keeps what it was told."""

    def __init__(self) -> None:
        self.alarms: list[AlarmNotice] = []

    def __call__(self, alarm: AlarmNotice) -> None:
        self.alarms.append(alarm)


def _interrupt() -> None:
    raise KeyboardInterrupt


def _fork() -> None:
    if os.fork() == 0:
        raise ValueError("in the child, which must not go on as a second relay")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        (lambda: 1 / 0, Outcome.FAILED),
        (lambda: sys.exit(3), Outcome.FAILED),
        (_interrupt, Outcome.FAILED),
        (_fork, Outcome.TOLD),
    ],
    ids=["raises", "asks for the end of the process", "interrupts", "forks"],
)
def test_whatever_an_observer_does_the_others_are_told(
    act: Callable[[], object], outcome: Outcome
) -> None:
    told = Told()
    dispatcher = Dispatcher([_observer(lambda alarm: act(), "bad"), _observer(told, "good")])
    tickets = [t for n in range(3) for t in dispatcher.tell("alarm_raised", alarm=_notice(n))]
    assert _settled(*tickets) == [outcome, Outcome.TOLD] * 3
    assert [one.notice_id for one in told.alarms] == ["0", "1", "2"]
    dispatcher.close()
    assert dispatcher.figures()["good"].told == 3


def test_one_that_changes_what_it_was_given_changes_nothing_for_anybody() -> None:
    def change_it(change: ProposalChange) -> None:
        object.__setattr__(change, "model", "another")
        object.__setattr__(change.requester, "name", "another")

    person = Person(Address(bytes(20)), "ada")
    told: list[ProposalChange] = []
    change: Any = _change(person)
    observers = [
        Observer("a", {"proposal_changed": change_it}, SystemClock(), 8, 1.0),
        Observer(
            "b", {"proposal_changed": lambda change: told.append(change)}, SystemClock(), 8, 1
        ),
    ]
    dispatcher = Dispatcher(observers)
    assert _settled(*dispatcher.tell("proposal_changed", change=change)) == [Outcome.TOLD] * 2
    dispatcher.close()
    assert (change.model, person.name) == ("fraud", "ada")
    assert (told[0].model, told[0].requester.name) == ("fraud", "ada")


def test_one_that_hangs_is_skipped_and_counted_and_the_end_does_not_wait_for_it(
    release: threading.Event,
) -> None:
    clock, told = TurnedClock(), Told()
    hanging = _observer(lambda alarm: release.wait(), "hanging", clock)
    dispatcher = Dispatcher([hanging, _observer(told, "good", clock)])
    first = dispatcher.tell("alarm_raised", alarm=_notice(1))
    wait_until(lambda: hanging._running is not None, "the call that hangs")
    behind = _tell(hanging, 2)
    dispatcher.sweep()
    assert first[0].outcome is None
    assert _settled(first[1]) == [Outcome.TOLD]  # or the good one would be over its budget, too
    clock.turn(1.1)
    dispatcher.sweep()
    assert [first[0].outcome, behind.outcome] == [Outcome.SKIPPED] * 2
    later = dispatcher.tell("alarm_raised", alarm=_notice(3))
    assert later[0].outcome is Outcome.SKIPPED
    assert _settled(later[1]) == [Outcome.TOLD]
    figures = dispatcher.figures()["hanging"]
    assert (figures.told, figures.failed, figures.skipped) == (0, 0, 3)
    assert figures.hanging == 1
    assert figures.trouble == "a call of alarm_raised takes longer than 1 s"
    hanging.begin_to_close()
    hanging.join(0.05)  # it hangs still, and is left behind
    release.set()
    dispatcher.close()


def test_after_a_call_that_hangs_another_thread_goes_on_and_so_many_at_most(
    release: threading.Event,
) -> None:
    clock, told, is_hanging = TurnedClock(), Told(), True

    def call(alarm: AlarmNotice) -> None:
        told(alarm)
        if is_hanging:
            release.wait()

    observer = _observer(call, clock=clock)
    for number in range(MOST_HANGING):
        ticket = _tell(observer, number)
        wait_until(partial(_has_called, told, number + 1), "another thread")
        clock.turn(1.1)
        observer.sweep()
        assert (ticket.outcome, observer.figures().hanging) == (Outcome.SKIPPED, number + 1)
        assert _tell(observer).outcome is Outcome.SKIPPED, "it is left alone first"
        clock.turn(3601)
    is_hanging = False
    assert _tell(observer).outcome is Outcome.SKIPPED, "there is no end to it"
    release.set()
    wait_until(lambda: observer.figures().hanging == 0, "the end of what hung")
    assert _settled(_tell(observer)) == [Outcome.TOLD]
    assert observer.figures().trouble is None
    Dispatcher([observer]).close()


def test_the_more_calls_hang_the_longer_it_is_left_alone() -> None:
    breaker = Breaker()
    found = []
    for hanging in (1, 2, 3, 7, 16):
        breaker.took_too_long(0, hanging)
        pause_s = next(s for s in range(60, 3601, 60) if not breaker.is_open(s * 1_000_000))
        found.append(pause_s)
    assert found == [60, 120, 240, 3600, 3600]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_what_a_child_comes_back_to_is_its_end(tmp_path: Path) -> None:
    file = tmp_path / "told"

    def call(alarm: AlarmNotice) -> None:
        if alarm.notice_id == "0":
            child = os.fork()
            if child == 0:
                return
            os.waitpid(child, 0)
        with file.open("a") as lines:
            lines.write(f"{alarm.notice_id} ")

    observer = _observer(call)
    assert _settled(*(_tell(observer, number) for number in range(3))) == [Outcome.TOLD] * 3
    Dispatcher([observer]).close()
    assert file.read_text().split() == ["0", "1", "2"]


def test_five_failures_in_a_row_and_it_is_left_alone_for_a_minute() -> None:
    clock, calls = TurnedClock(), Told()
    is_broken = True

    def call(alarm: AlarmNotice) -> None:
        calls(alarm)
        if is_broken:
            raise RuntimeError("a secret: hunter2")

    observer = _observer(call, clock=clock)
    for number in range(5):
        assert _settled(_tell(observer, number)) == [Outcome.FAILED]
    assert _tell(observer).outcome is Outcome.SKIPPED
    clock.turn(61)
    assert _settled(_tell(observer)) == [Outcome.FAILED]  # tried again, and it decides
    assert _tell(observer).outcome is Outcome.SKIPPED
    clock.turn(61)
    is_broken = False
    assert _settled(_tell(observer), _tell(observer)) == [Outcome.TOLD] * 2
    assert len(calls.alarms) == 8
    figures = observer.figures()
    assert (figures.told, figures.failed, figures.skipped) == (2, 6, 2)
    assert figures.trouble is None
    Dispatcher([observer]).close()


def test_a_failure_is_logged_once_by_kind_and_place_and_never_by_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def call(alarm: AlarmNotice) -> None:
        raise RuntimeError("a secret: hunter2")

    observer = _observer(call)
    _settled(*(_tell(observer) for _ in range(3)))
    Dispatcher([observer]).close()
    assert "hunter2" not in caplog.text
    (line,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert line.startswith("the observer it failed: alarm_raised failed: RuntimeError in test_obs")


def test_our_own_errors_are_shown_in_words() -> None:
    def call(alarm: AlarmNotice) -> None:
        raise ConfigurationError("notify.smtp_url names no mail server")

    observer = _observer(call)
    _settled(_tell(observer))
    assert observer.figures().trouble == "alarm_raised failed: notify.smtp_url names no mail server"
    Dispatcher([observer]).close()


def test_who_asks_to_be_told_later_is_told_the_same_again_and_in_order() -> None:
    clock, calls, is_away = TurnedClock(), Told(), True

    def call(alarm: AlarmNotice) -> None:
        calls(alarm)
        if is_away:
            raise ReceiverUnavailable("the mail server does not answer")

    observer = _observer(call, clock=clock)
    tickets = [_tell(observer, number) for number in (1, 2)]
    for tries in (1, 2, 3):
        wait_until(partial(_has_called, calls, tries), "another try")
        wait_until(lambda: observer.figures().waiting == 2, "its end")
        assert [ticket.outcome for ticket in tickets] == [None, None]
        clock.turn(61)
        _wake(observer)
    is_away = False
    clock.turn(61)
    _wake(observer)
    assert _settled(*tickets) == [Outcome.TOLD] * 2
    assert [one.notice_id for one in calls.alarms][-2:] == ["1", "2"]
    assert {one.notice_id for one in calls.alarms[:-1]} == {"1"}
    Dispatcher([observer]).close()


def test_what_was_put_off_stays_open_at_the_end_so_that_the_next_relay_tells_it() -> None:
    def call(alarm: AlarmNotice) -> None:
        raise ReceiverUnavailable("the mail server does not answer")

    observer = _observer(call)
    tickets = [_tell(observer, number) for number in (1, 2)]
    wait_until(lambda: observer.figures().trouble, "the first try")
    Dispatcher([observer]).close()
    assert [ticket.outcome for ticket in tickets] == [None, None]


def test_a_full_queue_skips_and_counts_what_comes_beyond(release: threading.Event) -> None:
    observer = _observer(lambda alarm: release.wait(), size=2)
    first = _tell(observer)
    wait_until(lambda: observer._running is first, "the first call")
    waiting = [_tell(observer), _tell(observer)]
    assert _tell(observer).outcome is Outcome.SKIPPED
    assert [ticket.outcome for ticket in (first, *waiting)] == [None] * 3
    release.set()
    assert _settled(first, *waiting) == [Outcome.TOLD] * 3
    Dispatcher([observer]).close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_that_an_observer_forks_never_holds_the_relays_lock(tmp_path: Path) -> None:
    from chain_client.relay.lock import RelayLock, is_relay_running

    lock = RelayLock(tmp_path / "relay.lock")
    assert lock.take()
    reading, writing = os.pipe()
    born, bearing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(bearing, b"x")
        os.read(reading, 1)  # lives on
        os._exit(0)
    os.read(born, 1)
    try:
        lock.release()
        assert not is_relay_running(tmp_path / "relay.lock")
    finally:
        os.write(writing, b"x")
        os.waitpid(child, 0)
        for descriptor in (reading, writing, born, bearing):
            os.close(descriptor)


def _has_called(calls: Told, times: int) -> bool:
    return len(calls.alarms) >= times


def _wake(observer: Observer) -> None:
    """The thread waits by the machine's clock, and the test turned its own."""
    with observer._changed:
        observer._changed.notify_all()


def _change(person: Person) -> ProposalChange:
    from tests.unit.chain_client.notifying.notices import a_change

    return a_change(requester=person)
