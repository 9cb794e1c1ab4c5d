"""Alarms: one row each, that counts."""

from __future__ import annotations

from chain_client.log import Alarm
from tests.unit.chain_client.log.logs import START_US, LogUnderTest, both_databases

pytestmark = both_databases

SECOND = 1_000_000


def test_an_alarm_is_one_row_that_counts(under_test: LogUnderTest) -> None:
    log, clock = under_test.log, under_test.clock
    log.raise_alarm("spool_corrupt", "a", "first")
    clock.turn(1)
    log.raise_alarm("spool_corrupt", "a", "second")
    log.raise_alarm("spool_corrupt", "b", "other")
    assert log.alarms() == [
        Alarm("spool_corrupt", "a", "second", START_US, START_US + SECOND, 2, None),
        Alarm("spool_corrupt", "b", "other", START_US + SECOND, START_US + SECOND, 1, None),
    ]


def test_a_cleared_alarm_is_gone_and_begins_anew(under_test: LogUnderTest) -> None:
    log, clock = under_test.log, under_test.clock
    log.raise_alarm("head", "", "one")
    log.raise_alarm("head", "", "two")
    clock.turn(1)
    log.clear_alarm("head", "")
    assert log.alarms() == []
    (cleared,) = log.alarms(include_cleared=True)
    assert (cleared.count, cleared.cleared_us) == (2, START_US + SECOND)
    clock.turn(1)
    log.clear_alarm("head", "")  # does not stand
    log.clear_alarm("unknown", "")
    assert log.alarms(include_cleared=True) == [cleared]
    log.raise_alarm("head", "", "anew")
    assert log.alarms() == [
        Alarm("head", "", "anew", START_US + 2 * SECOND, START_US + 2 * SECOND, 1, None)
    ]


def test_the_newest_alarm_comes_first(under_test: LogUnderTest) -> None:
    for kind in ("one", "two", "three"):
        under_test.log.raise_alarm(kind, "", "")
        under_test.clock.turn(1)
    under_test.log.raise_alarm("one", "", "")
    assert [alarm.kind for alarm in under_test.log.alarms()] == ["one", "three", "two"]


def test_an_alarm_may_hold_any_text_of_the_host(under_test: LogUnderTest) -> None:
    log = under_test.log
    log.raise_alarm("odd", "a\0b\ud800", "café\0\udcff")
    (alarm,) = log.alarms()
    assert (alarm.subject, alarm.detail) == ("a\\0b\\ud800", "café\\0\\udcff")
    log.clear_alarm("odd", "a\0b\ud800")
    assert log.alarms() == []


def test_an_alarm_needs_no_lease(under_test: LogUnderTest) -> None:
    under_test.log.release(under_test.lease)
    under_test.log.raise_alarm("another_relay", "", "stopped")
    assert len(under_test.log.alarms()) == 1
