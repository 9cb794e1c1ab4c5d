"""The decisions that triggered a DAG run, each once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_chain.promotion_events import promotion_events


@dataclass
class Event:
    """An asset event, as a task sees it."""

    timestamp: int
    extra: dict[str, Any] | None


def event(at: int, name: str, block: int, *, again: bool = False) -> Event:
    """One that the trigger made."""
    payload = {"event_id": name, "block": block, "again": again}
    return Event(at, {"from_trigger": True, "payload": payload})


def told(context: dict[str, Any]) -> list[str]:
    return [payload["event_id"] for payload in promotion_events(context)]


def test_every_event_of_a_run_is_given_once_in_the_order_of_blocks() -> None:
    events = {"all": [event(3, "b", 7), event(2, "a", 5)], "some": [event(3, "b", 7)]}
    assert told({"triggering_asset_events": events, "inlet_events": {}}) == ["a", "b"]


def test_what_other_asset_events_hold_is_passed_over() -> None:
    others = [
        Event(1, None),
        Event(1, {}),
        Event(1, {"payload": "text"}),
        Event(1, {"payload": {}}),
    ]
    assert told({"triggering_asset_events": {"all": others}, "inlet_events": {}}) == []


def test_the_second_of_a_repeated_event_is_dropped_and_the_first_that_says_again_is_not() -> None:
    first, second = event(1, "a", 5), event(9, "a", 5, again=True)
    only = event(9, "b", 6, again=True)
    context: dict[str, Any] = {"triggering_asset_events": {"all": [second, only]}}
    assert told(context | {"inlet_events": {"all": [first, second, only]}}) == ["b"]
    # Who can't see the earlier ones keeps it: twice is better than never.
    assert told(context | {"inlet_events": {}}) == ["a", "b"]
    # Both in one run are one.
    both = {"triggering_asset_events": {"all": [first, second]}, "inlet_events": {}}
    assert told(both) == ["a"]
