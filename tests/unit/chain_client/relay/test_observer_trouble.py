"""The alarm of an observer that can't be told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.log import Log
from chain_client.observing import ObserverFigures
from chain_client.relay.observer_trouble import ObserverTrouble


class TurnedClock:
    now_us = 1_000_000

    def time_us(self) -> int:
        return self.now_us

    def monotonic_us(self) -> int:
        return self.now_us


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    found = Log(f"sqlite:///{tmp_path / 'log.db'}")
    found.create()
    yield found
    found.close()


def _standing(log: Log) -> list[tuple[str, str, str]]:
    return [(alarm.kind, alarm.subject, alarm.detail) for alarm in log.alarms()]


def test_trouble_of_a_minute_is_an_alarm_and_the_next_success_ends_it(log: Log) -> None:
    clock = TurnedClock()
    well, ill = ObserverFigures("a", told=1), ObserverFigures("a", skipped=2, trouble="it hangs")
    trouble = ObserverTrouble(log, clock)
    trouble.begin({"a": well})
    trouble.look({"a": ill})
    clock.now_us += 59_000_000
    trouble.look({"a": ill})
    assert _standing(log) == []
    clock.now_us += 1_000_000
    trouble.look({"a": ill})
    trouble.look({"a": ill})
    (alarm,) = log.alarms()
    assert (alarm.kind, alarm.subject, alarm.count) == ("observer", "a", 1)
    assert alarm.detail == "it hangs; 2 notices did not reach it"
    trouble.look({"a": well})
    assert _standing(log) == []


def test_what_an_earlier_relay_raised_ends_with_a_success_or_with_the_plugin(log: Log) -> None:
    log.raise_alarm("observer", "a", "it hangs")
    log.raise_alarm("observer", "gone", "it hangs")
    trouble = ObserverTrouble(log, TurnedClock())
    trouble.begin({"a": ObserverFigures("a")})
    assert [alarm.subject for alarm in log.alarms()] == ["a"]
    trouble.look({"a": ObserverFigures("a")})
    assert [alarm.subject for alarm in log.alarms()] == ["a"], "it was told nothing yet"
    trouble.look({"a": ObserverFigures("a", told=1)})
    assert _standing(log) == []
