"""Addresses of servers, and values as their API shows them."""

from __future__ import annotations

import pytest

from chain_client.events import Actor, Event, OutcomeStatus, Subject, Timing, new_event_id
from chain_client.types import SourceId
from mlflow_chain.mapping.over_http import to_shown
from mlflow_chain.reading.server_uri import is_server_uri, to_server_uri


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://host:5000", "http://host:5000"),
        ("HTTP://Host:5000/", "http://host:5000"),
        ("https://host:443/", "https://host"),
        ("https://me:secret@host/prefix/", "https://host/prefix"),
        ("https://me@host/Prefix", "https://host/Prefix"),
        ("http://[::1]:5000/?a=b#c", "http://[::1]:5000"),
    ],
)
def test_one_server_has_one_spelling_without_credentials(uri: str, shown: str) -> None:
    assert is_server_uri(uri)
    assert to_server_uri(uri) == shown
    assert to_server_uri(shown) == shown


@pytest.mark.parametrize("uri", ["sqlite:///http://x", "postgresql://h/d", "httpx://h", ""])
def test_a_database_is_no_server(uri: str) -> None:
    assert not is_server_uri(uri)


def test_empty_and_missing_are_the_same_over_an_api() -> None:
    event = Event(
        new_event_id(),
        "run.baseline",
        SourceId(b"s" * 16),
        0,
        0,
        OutcomeStatus.PARTLY_APPLIED,
        Subject("s", "run", "r"),
        Actor(),
        Timing(0),
        {
            "fields": {"name": "", "end_time": 0, "start_time": 0, "user_id": ""},
            "tags": {"": "", "a": "1"},
            "params": (("p", ""), ("q", "x", "original")),
            "datasets": [("d", "", "", "s", "{}", "", [["k", ""]])],
            "user_id": "",
            "metrics": [["m", 0.0, 0, 0]],
        },
        result={"description": ""},
        detail={"undetermined": {"tags": [["t", ""]]}},
    )
    shown = to_shown(event)
    assert shown.payload == {
        "fields": {"name": None, "end_time": None, "start_time": 0, "user_id": ""},
        "tags": {"": None, "a": "1"},
        "params": [["p", None], ["q", "x", "original"]],
        "datasets": [["d", "", None, "s", "{}", None, [["k", None]]]],
        "user_id": "",
        "metrics": [["m", 0.0, 0, 0]],
    }
    assert shown.result == {"description": None}
    assert shown.detail == {"undetermined": {"tags": [["t", None]]}}
