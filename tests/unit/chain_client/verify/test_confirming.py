"""What a second look at a database that is written to meanwhile makes of earlier findings."""

from __future__ import annotations

from chain_client.hosts import Finding, Unchecked
from chain_client.verify.comparing import _Comparison


def finding(actual: int, subject: str = "param a", kind: str = "param_changed") -> Finding:
    return Finding(kind, subject, 0, actual, "it differs")


def test_what_both_found_alike_stays_also_beside_a_busy_writer() -> None:
    first = _Comparison([finding(1)], event_count=5)
    assert first.confirmed_by(_Comparison([finding(1)], event_count=9)).findings == [finding(1)]


def test_what_only_one_found_is_dropped() -> None:
    first = _Comparison([finding(1, "param b")], event_count=5)
    again = first.confirmed_by(_Comparison([finding(1)], event_count=9))
    assert (again.findings, again.unchecked) == ([], [])


def test_a_value_that_changes_all_the_time_is_found_if_nobody_records() -> None:
    first = _Comparison([finding(1)], event_count=5)
    again = first.confirmed_by(_Comparison([finding(2)], event_count=5))
    assert again.findings == [finding(2)]


def test_a_value_that_changes_beside_a_busy_writer_is_said_to_be_unchecked() -> None:
    first = _Comparison([finding(1)], event_count=5)
    again = first.confirmed_by(_Comparison([finding(2, kind="param_missing")], event_count=6))
    assert again.findings == []
    assert [part.subject for part in again.unchecked] == ["param a"]


def test_what_either_could_not_check_stays_unchecked_and_is_said_once() -> None:
    left, right = Unchecked("a", "away"), Unchecked("b", "away")
    first = _Comparison([], [left, right])
    assert first.confirmed_by(_Comparison([], [right])).unchecked == [left, right]
