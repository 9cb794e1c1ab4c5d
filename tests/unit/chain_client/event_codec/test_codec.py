"""Stored form of events: nothing is lost, and damage is one error."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client.commitments import seal
from chain_client.errors import InvalidEvent
from chain_client.event_codec import TYPE_AT, decode_event, encode_event
from chain_client.events import Actor, Event, OutcomeStatus, Subject, Timing
from chain_client.types import EventId, SourceId
from tests import strategies

EVENT = Event(
    event_id=EventId(bytes(range(16))),
    type="run.metrics_logged",
    source_id=SourceId(bytes(16)),
    sequence=3,
    time_us=1760000000000000,
    status=OutcomeStatus.DONE,
    subject=Subject("store", "run", "0123456789abcdef0123456789abcdef"),
    actor=Actor(None, "ada"),
    timing=Timing(10, 20, 4),
    payload={"metrics": [["loss", 0.123, 1760000000000, 7]]},
)


@settings(max_examples=strategies.examples(500))
@given(strategies.events())
def test_a_stored_event_comes_back_and_seals_alike(event: Event) -> None:
    stored = encode_event(event)
    again = decode_event(stored)
    # repr tells NaN from a lost value, and 1 from 1.0, where == can't.
    assert repr(again) == repr(event)
    assert encode_event(again) == stored
    assert seal(again, bytes(16)) == seal(event, bytes(16))


def test_a_single_metric_event_is_small() -> None:
    assert len(encode_event(EVENT)) <= 300


def test_nan_and_infinities_are_kept() -> None:
    event = replace(EVENT, payload={"values": [math.nan, math.inf, -math.inf, -0.0, 2**70]})
    assert repr(decode_event(encode_event(event))) == repr(event)


def test_tuples_come_back_as_lists() -> None:
    event = replace(EVENT, payload={"metrics": (("loss", 1.5),)})
    assert decode_event(encode_event(event)).payload == {"metrics": [["loss", 1.5]]}
    assert seal(decode_event(encode_event(event)), bytes(16)) == seal(event, bytes(16))


def _circle() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


@pytest.mark.parametrize(
    "value", [b"secret", {"secret"}, "secret\ud800", {(1, "secret"): 2}, _circle()], ids=repr
)
def test_what_json_cannot_hold_is_refused_without_showing_it(value: Any) -> None:
    with pytest.raises(InvalidEvent) as caught:
        encode_event(replace(EVENT, payload={"part": value}))
    assert "secret" not in str(caught.value)


def _row(**changes: Any) -> bytes:
    """The stored event with some places of its array changed."""
    row = json.loads(encode_event(EVENT))
    for place, value in changes.items():
        row[int(place.removeprefix("at_"))] = value
    return json.dumps(row).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"{}",
        b"[]",
        b"[1]",
        b"\xff\xfe",
        b'"' + b"x" * 40,
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'["]",' * 200_000,
        b"[" * 200_000 + b"]" * 200_000,
        b"[" + b"9" * 5000 + b"]",
        _row(at_0=2),
        _row(at_1="00" * 15),
        _row(at_1="zz" * 16),
        _row(at_1=5),
        _row(at_2=None),
        _row(at_3="00" * 17),
        _row(at_4="3"),
        _row(at_4=True),
        _row(at_5=1.5),
        _row(at_6="perhaps"),
        _row(at_6=[]),
        _row(at_7="abc"),
        _row(at_7=["a", "b"]),
        _row(at_7=["a", "b", None]),
        _row(at_8=["a"]),
        _row(at_8={"a": 1, "b": 2}),
        _row(at_9=[None, None, None]),
        _row(at_9="123"),
        _row(at_9=[1, 2, "3"]),
        _row(at_10=None),
        _row(at_10=[["metrics", 1]]),
        _row(at_11="x"),
        _row(at_12={}),
        _row(at_13=[]),
    ],
    ids=lambda data: data[:30].decode(errors="replace"),
)
def test_damaged_bytes_are_an_invalid_event(data: bytes) -> None:
    with pytest.raises(InvalidEvent):
        decode_event(data)


@settings(max_examples=strategies.examples(500))
@given(st.data())
def test_any_damage_gives_an_invalid_event_or_another_event(data: st.DataObject) -> None:
    stored = encode_event(EVENT)
    place = data.draw(st.integers(0, len(stored) - 1))
    change = data.draw(st.binary(max_size=3))
    damaged = stored[:place] + change + stored[place + data.draw(st.integers(1, 3)) :]
    try:
        event = decode_event(damaged)
    except InvalidEvent:
        return
    assert isinstance(event, Event)


def _nested(levels: int) -> dict[str, Any]:
    value: Any = 0
    for level in range(levels - 1):
        value = [value] if level % 2 else {"]": value}
    return {"part": value}


def _with(place: str, value: Any) -> Event:
    changes: dict[str, Any] = {place: value}
    return replace(EVENT, **changes)


@pytest.mark.parametrize("place", ["payload", "result", "detail"])
def test_the_codec_and_the_seal_take_64_levels_and_no_more(place: str) -> None:
    event = _with(place, _nested(64))
    assert decode_event(encode_event(event)) == event
    assert seal(event, bytes(16))
    deeper = _with(place, _nested(65))
    with pytest.raises(InvalidEvent, match="levels"):
        encode_event(deeper)
    with pytest.raises(InvalidEvent, match="levels"):
        seal(deeper, bytes(16))
    stored = encode_event(_with(place, {"part": "here"}))
    part = json.dumps(_nested(65)["part"]).encode()
    with pytest.raises(InvalidEvent, match="levels"):
        decode_event(stored.replace(b'"here"', part))


def test_many_values_side_by_side_are_not_deep() -> None:
    rows: list[Any] = [[f'"]\\[{number}\\\\', {"[": number}] for number in range(500)]
    event = replace(EVENT, payload={"rows": rows})
    assert decode_event(encode_event(event)) == event


def test_depth_is_refused_where_the_recursion_limit_was_raised() -> None:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        for hostile in (b"[" * 200_000, b'["]",' * 200_000, b'{"a":' * 200_000):
            with pytest.raises(InvalidEvent):
                decode_event(hostile)
        for value in (_nested(150_000), {"part": _circle()}):
            with pytest.raises(InvalidEvent):
                encode_event(replace(EVENT, payload=value))
            with pytest.raises(InvalidEvent):
                seal(replace(EVENT, payload=value), bytes(16))
    finally:
        sys.setrecursionlimit(before)


SMALL_STACK = """
import sys, threading
from dataclasses import replace
from chain_client.errors import InvalidEvent
from chain_client.event_codec import TYPE_AT, decode_event, encode_event
event = decode_event(sys.argv[1].encode())
value = 0
for _ in range(100_000):
    value = {"a": [value]}
def run():
    for refuse in (
        lambda: encode_event(replace(event, payload=value)),
        lambda: decode_event(b'{"a":' * 100_000),
    ):
        try:
            refuse()
        except InvalidEvent:
            print("refused", end=" ")
threading.stack_size(256 * 1024)
for limit in (1_000, 3_000, 1_000_000):
    sys.setrecursionlimit(limit)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
"""


def test_depth_does_not_exhaust_a_small_stack() -> None:
    # In a process of its own, which it would end.
    words = [sys.executable, "-c", SMALL_STACK, encode_event(EVENT).decode()]
    assert subprocess.check_output(words, text=True) == "refused " * 6


def test_the_type_of_a_stored_event_is_found_without_decoding_it() -> None:
    assert encode_event(EVENT)[TYPE_AT:].startswith(b'run.metrics_logged"')
