"""How long an endpoint asks to be left alone."""

from __future__ import annotations

import pytest

from chain_client.ledger.jsonrpc.rest import MAX_REST_S, backoff_s, requested_rest_s

NOW_S = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("header", "data", "rest_s"),
    [
        (None, None, None),
        ("30", None, 30),
        ("0", None, 0),
        ("1.5", None, 1.5),
        ("-5", None, 0),
        ("1e9", None, MAX_REST_S),
        ("inf", None, MAX_REST_S),
        ("nan", None, None),
        ("Tue, 14 Nov 2023 22:13:50 GMT", None, 30),
        ("Tue, 14 Nov 2023 22:13:50", None, 30),
        ("Tue, 14 Nov 2023 23:13:50 +0100", None, 30),
        ("Tuesday, 14-Nov-23 22:13:50 GMT", None, 30),
        ("Mon, 13 Nov 2023 22:13:50 GMT", None, 0),
        ("Wed, 14 Nov 2033 22:13:50 GMT", None, MAX_REST_S),
        ("1 Jan 2020 00:00:00 +99999999999999999", None, None),
        ("Mon, 01 Jan 2020 00:00:00 " + "9" * 30, None, None),
        ("9" * 5_000, None, MAX_REST_S),
        ("soon", None, None),
        ("", None, None),
        (None, {"rate": {"backoff_seconds": 7}}, 7),
        (None, {"rate": {"backoff_seconds": 1e9}}, MAX_REST_S),
        (None, {"rate": {"backoff_seconds": 10**4_000}}, MAX_REST_S),
        (None, {"rate": {"backoff_seconds": True}}, None),
        (None, {"rate": {"backoff_seconds": "7"}}, None),
        (None, {"rate": 7}, None),
        (None, [7], None),
        ("3", {"rate": {"backoff_seconds": 7}}, 3),
    ],
)
def test_what_is_asked_for(header: str | None, data: object, rest_s: float | None) -> None:
    assert requested_rest_s(header, data, NOW_S) == rest_s


def test_the_rest_grows_to_an_end() -> None:
    assert [backoff_s(n) for n in (1, 2, 3, 4, 5, 6, 7, 10_000)] == [1, 2, 4, 8, 16, 30, 30, 30]
