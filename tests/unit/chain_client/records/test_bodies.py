"""Bodies of spool records: what is written comes back, and nothing else is written."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_client import records
from chain_client.commitments import seal
from chain_client.errors import InvalidEvent
from chain_client.events import Actor, Event, Json, OutcomeStatus, Subject, Timing
from chain_client.types import EventId, SourceId
from tests.strategies import field_names, texts, values

ID = EventId(bytes(range(16)))
SOURCE = SourceId(b"s" * 16)
SUBJECT = Subject("store", "run", "r1")


def intent(payload: Any, **changes: Any) -> bytes:
    given = {"subject": SUBJECT, "actor": Actor("a", None), **changes}
    return records.encode_intent(
        ID, "run.created", 11, 22, given["subject"], given["actor"], payload
    )


@given(st.dictionaries(field_names, values, max_size=4))
def test_an_intent_comes_back_as_an_event_without_outcome(payload: dict[str, Json]) -> None:
    event = records.decode_intent(intent(payload), SOURCE, 3)
    assert repr(event.payload) == repr(payload)  # NaN is unequal to itself
    assert event == Event(
        ID,
        "run.created",
        SOURCE,
        3,
        11,
        OutcomeStatus.UNDETERMINED,
        SUBJECT,
        Actor("a", None),
        Timing(22),
        event.payload,
    )


@given(
    st.sampled_from([OutcomeStatus.DONE, OutcomeStatus.FAILED]),
    st.none() | texts,
    st.none() | st.dictionaries(texts, st.integers(), max_size=3),
    st.none() | texts,
    st.booleans(),
)
def test_an_outcome_comes_back(
    status: OutcomeStatus,
    subject_id: str | None,
    result: dict[str, Json] | None,
    error: str | None,
    in_doubt: bool,
) -> None:
    outcome = records.Outcome(status, 99, subject_id, result, error, in_doubt)
    assert records.decode_outcome(records.encode_outcome(outcome)) == outcome


def test_numbers_without_a_place_in_json_come_back() -> None:
    numbers = [math.nan, math.inf, -math.inf, 2**70, -0.0]
    event = records.decode_intent(intent({"numbers": numbers}), SOURCE, 0)
    assert repr(event.payload["numbers"]) == repr(numbers)


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83dx"])
def test_a_lone_surrogate_is_written_as_python_shows_it(text: str) -> None:
    body = intent({"tag": text}, subject=Subject("store", "run", text))
    event = records.decode_intent(body, SOURCE, 0)
    shown = text.encode("utf-8", "backslashreplace").decode()
    assert event.payload == {"tag": shown}
    assert event.subject.id == shown
    assert len(seal(event, bytes(16))) == 32
    outcome = records.Outcome(OutcomeStatus.DONE, 1, text, {"name": text})
    found = records.decode_outcome(records.encode_outcome(outcome))
    assert (found.subject_id, found.result) == (shown, {"name": shown})


def circular() -> list[Any]:
    inner: list[Any] = []
    inner.append(inner)
    return inner


@pytest.mark.parametrize(
    "value",
    [object(), b"bytes", {1, 2}, {("a",): 1}, circular(), 10**5000],
    ids=["object", "bytes", "set", "tuple key", "circular", "too many digits"],
)
def test_what_is_not_json_is_refused_without_showing_it(value: Any) -> None:
    with pytest.raises(InvalidEvent, match=r"the payload of run\.created can't be written"):
        intent({"part": value})
    with pytest.raises(InvalidEvent, match="the result of a call can't be written as JSON"):
        records.encode_outcome(records.Outcome(OutcomeStatus.DONE, 1, None, {"part": value}))


def test_a_note_is_done_and_names_its_source() -> None:
    body = records.encode_intent(
        ID, records.SOURCE_OPENED, 11, 22, Subject("", records.SOURCE, ""), Actor(), {"host": "h"}
    )
    event = records.decode_note(body, SOURCE, 0)
    assert event.status is OutcomeStatus.DONE
    assert event.subject.id == SOURCE.hex()
    assert event.timing == Timing(22, 22, 1)


@pytest.mark.parametrize("minted", [None, "minted"])
def test_settling_keeps_the_intent_and_adds_the_outcome(minted: str | None) -> None:
    event = records.decode_intent(intent({"name": "n"}), SOURCE, 4)
    outcome = records.Outcome(OutcomeStatus.DONE, 33, minted, {"run_id": "x"})
    settled = records.settle(event, outcome, 9)
    assert settled.subject.id == (minted or "r1")
    assert settled.timing == Timing(22, 33, 9)
    assert (settled.status, settled.result) == (OutcomeStatus.DONE, {"run_id": "x"})
    assert (settled.event_id, settled.payload, settled.sequence) == (ID, event.payload, 4)
