"""Which of several concurrent writes a field may hold."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from mlflow_chain.verifying.order import ABSENT, TOLERANCE_US, UNKNOWN, Register, Stamp, precedes

_places = itertools.count()


def stamp(
    source: str = "a",
    sequence: int = 0,
    *,
    settled: int | None = None,
    boot: str | None = "boot",
    started: int = 0,
    ended: int | None = None,
    time_us: int = 0,
    place: int | None = None,
    sure: bool = True,
) -> Stamp:
    where = next(_places) if place is None else place
    return Stamp(source.encode(), sequence, settled, boot, started, ended, time_us, where, sure)


def test_in_one_source_a_write_precedes_what_began_after_it_was_settled() -> None:
    first = stamp(sequence=1, settled=3)
    assert not precedes(first, stamp(sequence=2, settled=4))
    assert precedes(first, stamp(sequence=3, settled=5))


def test_in_one_boot_the_monotonic_clock_decides_between_sources() -> None:
    first = stamp("a", started=10, ended=20, place=9)
    assert precedes(first, stamp("b", started=21, place=1))
    assert not precedes(first, stamp("b", started=20, place=10))


def test_between_boots_log_order_and_clock_must_agree_by_a_margin() -> None:
    early = stamp("a", boot="x", place=1, time_us=0)
    assert precedes(early, stamp("b", boot="y", place=2, time_us=TOLERANCE_US + 1))
    assert not precedes(early, stamp("b", boot="y", place=2, time_us=TOLERANCE_US))
    assert not precedes(early, stamp("b", boot="y", place=0, time_us=TOLERANCE_US + 1))
    assert not precedes(early, stamp("b", boot=None, place=2, time_us=1))


def test_a_later_write_replaces_an_earlier_one_in_any_order_of_reading() -> None:
    first, second = stamp(sequence=0, settled=1), stamp(sequence=1, settled=2)
    for writes in ([(first, "a"), (second, "b")], [(second, "b"), (first, "a")]):
        register = Register()
        for when, value in writes:
            register.write(when, value)
        assert register.values() == ["b"]
        assert not register.allows("a")


def test_concurrent_writes_allow_any_of_them() -> None:
    register = Register()
    register.write(stamp(sequence=0, settled=2), "a")
    register.write(stamp(sequence=1, settled=2), "b")
    assert register.allows("a")
    assert register.allows("b")
    assert not register.allows("c")
    assert not register.allows(ABSENT)


def test_an_undetermined_write_allows_what_was_before() -> None:
    register = Register()
    register.write(stamp(sequence=0, settled=1), "old")
    register.write(stamp(sequence=1, settled=2, sure=False), "new")
    assert register.allows("old")
    assert register.allows("new")
    register.write(stamp(sequence=2, settled=3), "newest")
    assert register.values() == ["newest"]


def test_only_undetermined_writes_allow_nothing_to_be_there() -> None:
    register = Register()
    register.write(stamp(sure=False), "maybe")
    assert register.allows(ABSENT)
    assert register.allows("maybe")


def test_what_nobody_saw_allows_anything() -> None:
    register = Register()
    register.write(stamp(), UNKNOWN)
    assert register.allows(17)


@given(st.permutations(range(6)))
def test_the_order_of_reading_decides_nothing(order: list[int]) -> None:
    stamps = [
        stamp("a", 0, settled=1, started=0, ended=1, place=0),
        stamp("a", 1, settled=3, started=2, ended=6, place=1),
        stamp("a", 2, settled=3, started=3, ended=4, place=2),
        stamp("b", 0, settled=1, started=5, ended=7, place=3),
        stamp("b", 1, settled=2, started=8, ended=9, place=4, sure=False),
        stamp("c", 0, settled=1, boot="z", time_us=TOLERANCE_US - 1, place=5),
    ]
    register, other = Register(), Register()
    for index in range(6):
        register.write(stamps[index], index)
    for index in order:
        other.write(stamps[index], index)
    assert register.values() == other.values() == [1, 3, 4, 5]
