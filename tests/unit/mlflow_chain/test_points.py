"""Metric points: how they are kept, and how a changed one is told from a missing one."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from mlflow_chain.verifying.differences import pair_up, to_json
from mlflow_chain.verifying.state import pack_point, unpack_point

values = st.floats(allow_nan=True, allow_infinity=True)
longs = st.integers(-(2**63), 2**63 - 1)


@given(values, longs, longs)
def test_a_packed_point_is_the_point(value: float, timestamp: int, step: int) -> None:
    shown, *place = unpack_point(pack_point(value, timestamp, step))
    assert place == [timestamp, step]
    assert shown == value or (math.isnan(shown) and math.isnan(value))


def test_there_is_one_nan_and_one_zero() -> None:
    assert pack_point(float("nan"), 1, 1) == pack_point(-float("nan"), 1, 1)
    assert pack_point(0.0, 1, 1) == pack_point(-0.0, 1, 1)
    assert pack_point(5e-324, 1, 1) != pack_point(0.0, 1, 1)


def test_a_step_that_is_no_long_is_kept_too() -> None:
    odd = pack_point(float("nan"), 1.5, 2**70)
    assert odd != pack_point(float("nan"), 1.5, 2**70 + 1)
    value, timestamp, step = unpack_point(odd)
    assert (math.isnan(value), timestamp, step) == (True, 1.5, 2**70)


def test_points_that_differ_in_one_thing_are_one_change() -> None:
    gone = [(1.0, 10, 1), (2.0, 20, 2), (math.nan, 30, 3), (9.0, 90, 9)]
    new = [(1.5, 10, 1), (2.0, 21, 2), (math.nan, 30, 4), (7.0, 70, 7)]
    pairs, lost, extra = pair_up(gone, new)
    assert [(str(a), str(b)) for a, b in pairs] == [
        (str(a), str(b)) for a, b in zip(gone[:3], new[:3])
    ]
    assert (lost, extra) == ([(9.0, 90, 9)], [(7.0, 70, 7)])


def test_findings_hold_only_json() -> None:
    assert to_json((math.nan, math.inf, -math.inf, 1, None)) == [
        "NaN",
        "Infinity",
        "-Infinity",
        1,
        None,
    ]
