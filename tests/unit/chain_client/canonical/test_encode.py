"""Canonical form: RFC 8785's vectors, the `rfc8785` library, and our number rules."""

from __future__ import annotations

import json
import math
import struct
from enum import IntEnum, StrEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client.canonical import MAX_INT, encode, encode_each
from chain_client.compact_json import MAX_LEVELS
from chain_client.errors import InvalidEvent
from chain_client.events import Json
from tests import strategies

RFC_8785_APPENDIX_B = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("bits", "text"), RFC_8785_APPENDIX_B)
def test_numbers_of_rfc_8785_appendix_b(bits: str, text: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert encode(number) == text.encode()
    assert encode_each([number] * 5) == [text.encode()] * 5


def test_sample_of_rfc_8785_section_3_2_4() -> None:
    value: Json = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    assert encode(value) == bytes.fromhex(
        "7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e756d62657273223a"
        "5b3333333333333333332e333333333333332c31652b33302c342e352c302e3030322c31652d3237"
        "5d2c22737472696e67223a22e282ac245c75303030665c6e4127425c225c5c5c5c5c222f227d"
    )


def test_keys_are_sorted_by_utf_16_code_units_as_in_rfc_8785_section_3_2_3() -> None:
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    ordered = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(encode(dict.fromkeys(keys, 0)))) == ordered


def test_every_control_character_is_escaped_as_the_library_does() -> None:
    for code in [*range(0x100), 0x2028, 0x2029, 0xFEFF, 0xFFFF, 0x10FFFF]:
        assert encode(chr(code)) == rfc8785.dumps(chr(code))


@settings(max_examples=strategies.examples(2000))
@given(strategies.plain_values)
def test_bytes_are_those_of_the_rfc8785_library(value: Any) -> None:
    assert encode(value) == rfc8785.dumps(value)


@settings(max_examples=strategies.examples(1000))
@given(st.lists(st.binary(min_size=8, max_size=8), min_size=4, max_size=40))
def test_floats_of_random_bits_are_those_of_the_rfc8785_library(bits: list[bytes]) -> None:
    floats = [struct.unpack(">d", value)[0] for value in bits]
    floats = [value for value in floats if math.isfinite(value)]
    assert encode_each(floats) == [rfc8785.dumps(value) for value in floats]


@settings(max_examples=strategies.examples(1000))
@given(strategies.tables())
def test_encoding_each_of_many_gives_the_bytes_of_encoding_one(rows: list[Json]) -> None:
    assert encode_each(rows) == [encode(row) for row in rows]
    assert encode_each(tuple(rows)) == [encode(row) for row in rows]


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 2], [3, 4], [5, 6], [7]],
        [[1], [2], [3], []],
        [[], [], [], []],
        [[1], (2,), [3], (4,)],
        [[1], "1", [1], 1],
        [[1, "a"], [1.5, "b"], [2**53, "number:1"], [True, None]],
        [1, True, 1.0, "1"],
        [1, 2, 3, 2**53],
        [1, 2, 3, -(2**53)],
        [0.5, 0.25, 0.125, float("nan")],
        [0.5, 0.25, 0.125, 1e-7],
        [0.5, 0.25, 1.0, 0.125],
        ["\n", "a\nb", "\\n", ""],
        [[["\n"]], [["a"]], [["b"]], [["c", "d"]]],
    ],
    ids=repr,
)
def test_rows_of_unlike_shape_and_kind_are_encoded_one_by_one(rows: list[Json]) -> None:
    assert encode_each(rows) == [encode(row) for row in rows]


@settings(max_examples=strategies.examples(1000))
@given(strategies.values)
def test_the_bytes_say_the_value(value: Json) -> None:
    assert _same(_read(encode(value)), value)


def _read(data: bytes) -> Any:
    """What the canonical bytes say: the inverse of `encode`."""

    def untyped(value: Any) -> Any:
        if isinstance(value, list):
            return [untyped(item) for item in value]
        if isinstance(value, dict):
            return {key: untyped(item) for key, item in value.items()}
        if isinstance(value, str) and value.startswith("string:"):
            return value.removeprefix("string:")
        if isinstance(value, str) and value.startswith("number:"):
            text = value.removeprefix("number:")
            return int(text) if text.removeprefix("-").isdigit() else float(text)
        # Python reads 1e+23 as float, but 9007199254740992 (a float's text) as int.
        return float(value) if type(value) is int and abs(value) > MAX_INT else value

    return untyped(json.loads(data))


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict):
        return set(left) == set(right) and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right or (left != left and right != right))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, '"number:NaN"'),
        (math.inf, '"number:Infinity"'),
        (-math.inf, '"number:-Infinity"'),
        (2**53 - 1, "9007199254740991"),
        (2**53, '"number:9007199254740992"'),
        (-(2**53), '"number:-9007199254740992"'),
        (float(2**53), "9007199254740992"),
        (-0.0, "0"),
        (1.0, "1"),
        (1e-5, "0.00001"),
        (1e16, "10000000000000000"),
        (True, "true"),
        ("number:NaN", '"string:number:NaN"'),
        ("string:", '"string:string:"'),
        ("numbers", '"numbers"'),
        ({"number:1": "x"}, '{"number:1":"x"}'),
        ((1, "a"), '[1,"a"]'),
        ([], "[]"),
        ({}, "{}"),
    ],
)
def test_number_rules_and_typed_strings(value: Json, text: str) -> None:
    assert encode(value) == text.encode()
    assert encode_each([value] * 4) == [text.encode()] * 4


def test_subclasses_are_written_as_what_they_hold() -> None:
    class Level(IntEnum):
        HIGH = 3

    class Name(StrEnum):
        LOSS = "loss"

    class Float(float):
        def __repr__(self) -> str:
            return "Float()"

    row: list[Any] = [Level.HIGH, Name.LOSS, Float(0.5)]
    assert encode(row) == b'[3,"loss",0.5]'
    assert encode_each([row] * 4) == [b'[3,"loss",0.5]'] * 4


def _circle() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


def _deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(200_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        b"secret",
        {"secret"},
        object(),
        1j,
        {1: "secret"},
        {None: "secret"},
        {"a": 1, 2: "secret"},
        "secret\ud800",
        {"secret\udfff": 1},
        {"secret\udfff": 1, "é": 2},
        [["secret", b"secret"]],
        10**5000,
        _circle(),
        _deep(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_canonical_form_is_refused_without_showing_it(value: Any) -> None:
    with pytest.raises(InvalidEvent) as one:
        encode(value)
    with pytest.raises(InvalidEvent) as many:
        encode_each([value] * 4)
    assert "secret" not in f"{one.value}{many.value}"


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: (v,), lambda v: {"a": v}])
def test_values_nest_64_levels_and_no_deeper(wrap: Any) -> None:
    value: Any = 0
    for _ in range(MAX_LEVELS):
        value = wrap(value)
    assert len(encode(value)) > 2 * MAX_LEVELS
    assert encode_each([value] * 4) == [encode(value)] * 4
    for deeper in [wrap(value), {"b": [], "a": value}]:
        with pytest.raises(InvalidEvent, match="64 levels"):
            encode(deeper)
        with pytest.raises(InvalidEvent, match="64 levels"):
            encode_each([deeper] * 4)


def test_a_tighter_bound_can_be_asked_for() -> None:
    assert encode([[1]], 2) == b"[[1]]"
    assert encode("a", 0) == b'"a"'
    with pytest.raises(InvalidEvent):
        encode([[1]], 1)
    with pytest.raises(InvalidEvent):
        encode_each([[[1]]] * 4, 1)
