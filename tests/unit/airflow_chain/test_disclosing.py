"""How much of a value is recorded."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from airflow_chain.mapping.disclosing import MOST_BYTES, disclose
from airflow_chain.rules import Extent


def _mask(value: Any, name: str) -> Any:
    return "***" if name == "password" else value


class Loud:
    """Whose methods must not be called."""

    def __str__(self) -> str:
        raise AssertionError

    __repr__ = __str__


@pytest.mark.parametrize(
    ("value", "recorded"),
    [
        ({"b": 1, "a": [1.5, None, True, "x"]}, {"b": 1, "a": [1.5, None, True, "x"]}),
        ((1, 2), [1, 2]),
        ({3: "x"}, {"3": "x"}),
        (float("nan"), "nan"),
        (2**60, hex(2**60)),
        ("\ud800", "?"),
    ],
)
def test_a_value_is_recorded_in_forms_that_json_has(value: Any, recorded: Any) -> None:
    assert disclose(value, Extent.VALUES, "conf", _mask) == {"value": recorded}


def test_of_another_object_only_the_class_is_named() -> None:
    told = disclose([Loud()], Extent.VALUES, "conf", _mask)
    assert told == {"value": [{"class": f"{__name__}.Loud"}]}


def test_a_hash_is_of_the_json_and_of_what_is_masked() -> None:
    expected = hashlib.sha256(b'{"a":[1],"b":"\xc3\xa9"}').hexdigest()
    told = disclose({"b": "é", "a": (1,)}, Extent.HASHES, "conf", _mask)
    assert told == {"sha256": expected}
    secret = disclose("hunter2", Extent.HASHES, "password", _mask)
    assert secret == {"sha256": hashlib.sha256(b'"***"').hexdigest()}


def test_nothing_is_nothing() -> None:
    assert disclose("x", Extent.NONE, "conf", _mask) is None


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    ["x" * (MOST_BYTES + 1), list(range(3000)), _nested(30), "\x01" * MOST_BYTES, 1 << 10**6],
    ids=["text", "items", "depth", "escaped", "number"],
)
def test_what_is_too_large_for_a_hook_is_neither_recorded_nor_hashed(value: Any) -> None:
    assert disclose(value, Extent.HASHES, "conf", _mask) == {"omitted": "too large"}
