"""Whether what was recorded so far is anchored."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_client.anchored import NO_RELAY, Mark, Until, look, mark, to_ranges
from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.errors import InvalidInput
from chain_client.events import Subject
from tests.closing import everything_closed


def open_home(home: Path) -> ChainClient:
    variables = {"MLOPS_CHAIN_RELAY_AUTOSTART": "false"}
    return ChainClient.open(Settings.from_environment(variables, home.parent, home=home))


def note(client: ChainClient, count: int = 1) -> None:
    for number in range(count):
        client.recorder.note("thing.done", Subject("store", "thing", str(number)), {"n": number})


def drain(client: ChainClient) -> None:
    relay = client.relay()
    relay.start()
    try:
        relay.drain(patience_s=30)
    finally:
        relay.close()


def test_a_mark_comes_from_the_spool_to_the_chain_and_later_events_do_not_move_it(
    home: Path,
) -> None:
    with everything_closed():
        client = open_home(home)
        note(client, 3)
        marked = mark(client)
        assert sum(b - a + 1 for r in marked.spooled.values() for a, b in r) >= 3
        found = look(client, marked, Until.FINALIZED)
        assert not found.is_anchored
        assert found.size is None
        assert not found.has_relay
        assert found.text.endswith(NO_RELAY)
        client.recorder.close()
        drain(client)
        note(client, 2)
        for until in Until:
            done = look(client, found.mark, until)
            assert done.is_anchored
            assert done.mark.spooled == {}
            assert done.text.startswith("anchored")
        # It is a mark like any other, kept as JSON, and stays anchored whatever comes after it.
        again = Mark.from_json(done.mark.to_json())
        client.recorder.close()
        assert look(client, again, Until.INCLUDED).is_anchored
        later = mark(client)
        assert not look(client, later, Until.INCLUDED).is_anchored
        client.close()


def test_what_is_in_the_log_and_not_anchored_is_not_anchored(home: Path) -> None:
    with everything_closed():
        client = open_home(home)
        note(client)
        client.recorder.close()
        marked = mark(client)
        relay = client.relay()
        relay.start()
        assert look(client, marked, Until.INCLUDED).has_relay
        relay.close()
        drain(client)
        done = look(client, marked, Until.INCLUDED)
        assert done.size is not None
        # The head does not reach one entry more.
        beyond = Mark(done.anchored_size + 1, {})
        found = look(client, beyond, Until.INCLUDED)
        assert not found.is_anchored
        assert f"{done.anchored_size} of {done.anchored_size + 1} entries" in found.text
        client.close()


def test_a_call_under_way_is_counted_and_not_waited_for(home: Path) -> None:
    with everything_closed():
        client = open_home(home)
        call = client.recorder.begin("thing.begun", Subject("store", "thing", "1"), {})
        marked = mark(client)
        assert marked.in_flight == 1
        drain(client)
        assert look(client, marked, Until.FINALIZED).is_anchored
        client.recorder.done(call)
        client.recorder.close()
        client.close()


@given(st.sets(st.integers(0, 40)))
def test_ranges_hold_exactly_the_numbers(numbers: set[int]) -> None:
    ranges = to_ranges(numbers)
    assert {number for a, b in ranges for number in range(a, b + 1)} == numbers
    assert all(before[1] + 1 < after[0] for before, after in pairwise(ranges))


@pytest.mark.parametrize(
    "document", [None, [], {}, {"size": 1, "spooled": {"zz": []}, "in_flight": 0}, {"size": "x"}]
)
def test_what_is_no_mark_is_refused(document: object) -> None:
    with pytest.raises(InvalidInput):
        Mark.from_json(document)


def test_only_two_ways_of_being_anchored_are_known() -> None:
    assert Until.parse("included") is Until.INCLUDED
    with pytest.raises(InvalidInput, match="included or finalized"):
        Until.parse("soon")
