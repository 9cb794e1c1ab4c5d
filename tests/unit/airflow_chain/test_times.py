"""Airflow's times as numbers, exact to the microsecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pendulum
import pytest

from airflow_chain.mapping.final_states import to_us

EAST = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 20, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 11, 21, 5, 29, 59, 999_999, tzinfo=EAST),
        pendulum.datetime(2026, 11, 20, 23, 59, 59, 999_999),
    ],
    ids=["of the database", "of another zone", "of a run that was just made"],
)
def test_each_kind_of_datetime_is_the_same_number(moment: datetime) -> None:
    assert to_us(moment) == 1_795_219_199_999_999


def test_no_time_is_none() -> None:
    assert to_us(None) is None
