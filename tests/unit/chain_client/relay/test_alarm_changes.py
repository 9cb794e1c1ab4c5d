"""Which alarms are told, over looks and restarts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.log import Log
from chain_client.notices import AlarmNotice
from chain_client.relay.alarm_changes import AlarmChanges


class TurnedClock:
    def __init__(self) -> None:
        self.now_us = 1_800_000_000_000_000

    def time_us(self) -> int:
        self.now_us += 1
        return self.now_us

    def monotonic_us(self) -> int:
        return self.now_us


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def log(tmp_path: Path, clock: TurnedClock) -> Iterator[Log]:
    found = Log(f"sqlite:///{tmp_path / 'log.db'}", clock=clock)
    found.create()
    yield found
    found.close()


def _changes(log: Log, clock: TurnedClock, cursor: str | None = None) -> AlarmChanges:
    return AlarmChanges(log, "deployment", clock, cursor)


def _settle(changes: AlarmChanges) -> list[str]:
    """What changed, told to the end."""
    found: list[AlarmNotice] = changes.look()
    for notice in found:
        changes.settle(notice)
    return [f"{notice.state} {notice.subject}" for notice in found]


def test_an_alarm_is_told_when_it_begins_and_when_it_ends_and_not_when_it_is_repeated(
    log: Log, clock: TurnedClock
) -> None:
    changes = _changes(log, clock)
    assert _settle(changes) == []
    log.raise_alarm("chain", "a", "no answer")
    log.raise_alarm("chain", "a", "no answer")
    assert _settle(changes) == ["raised a"]
    log.raise_alarm("chain", "a", "still no answer")
    assert _settle(changes) == []
    log.clear_alarm("chain", "a")
    log.clear_alarm("chain", "a")
    assert _settle(changes) == ["ended a"]
    assert _settle(changes) == []
    log.raise_alarm("chain", "a", "again")
    assert _settle(changes) == ["raised a"]


def test_a_restart_tells_nothing_twice_and_skips_nothing(log: Log, clock: TurnedClock) -> None:
    changes = _changes(log, clock)
    log.raise_alarm("chain", "ends meanwhile", "x")
    log.raise_alarm("chain", "stands on", "x")
    log.raise_alarm("chain", "ends and begins", "x")
    assert len(_settle(changes)) == 3
    cursor = changes.cursor()
    log.clear_alarm("chain", "ends meanwhile")
    log.clear_alarm("chain", "ends and begins")
    log.raise_alarm("chain", "ends and begins", "x")
    log.raise_alarm("chain", "comes and goes", "x")
    log.clear_alarm("chain", "comes and goes")
    again = _changes(log, clock, cursor)
    assert sorted(_settle(again)) == [
        "ended comes and goes",
        "ended ends and begins",
        "ended ends meanwhile",
        "raised comes and goes",
        "raised ends and begins",
    ]
    assert _settle(_changes(log, clock, again.cursor())) == []


def test_what_was_not_settled_is_told_again_with_the_same_id(log: Log, clock: TurnedClock) -> None:
    first = _changes(log, clock)
    first.look()
    log.raise_alarm("chain", "a", "x")
    (untold,) = first.look()
    (again,) = _changes(log, clock, first.cursor()).look()
    assert again == untold
    assert again.notice_id == untold.notice_id


def test_the_first_start_tells_nothing_old(log: Log, clock: TurnedClock) -> None:
    log.raise_alarm("chain", "old", "x")
    log.raise_alarm("chain", "over", "x")
    log.clear_alarm("chain", "over")
    clock.now_us += 601_000_000
    log.raise_alarm("chain", "young", "x")
    changes = _changes(log, clock)
    assert _settle(changes) == ["raised young"]
    assert _settle(_changes(log, clock, changes.cursor())) == []


@pytest.mark.parametrize("cursor", ["", "{}", "[]", '{"standing": 3}', "no json"])
def test_a_damaged_cursor_is_a_first_start(log: Log, clock: TurnedClock, cursor: str) -> None:
    log.raise_alarm("chain", "a", "x")
    assert _settle(_changes(log, clock, cursor)) == ["raised a"]
