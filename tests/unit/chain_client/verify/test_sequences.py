"""Sequences: a source that is whole gives no finding, and each hole is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_client.verify.sequences import SequenceTracker, find_gaps, find_understated

SOURCE = b"s" * 16
NAME = f"source {SOURCE.hex()}"


def tracker(sequences: list[int], closed_at: int | None = None) -> SequenceTracker:
    found = SequenceTracker(closed_at=closed_at)
    for sequence in sequences:
        found.take(sequence)
    return found


@given(st.permutations(list(range(30))))
def test_a_whole_source_in_any_order_needs_no_memory(order: list[int]) -> None:
    found = tracker(order, closed_at=29)
    assert (found.next, found.ahead, found.end, found.repeated) == (30, set(), 30, set())
    assert list(find_gaps({SOURCE: found}, {}, {SOURCE: 30})) == []


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)), st.data())
def test_exactly_what_is_neither_in_the_log_nor_in_the_spool_is_missing(
    held: set[int], waiting: set[int], data: st.DataObject
) -> None:
    found = tracker(data.draw(st.permutations(sorted(held))), closed_at=None)
    gaps = find_gaps({SOURCE: found}, {SOURCE: waiting}, {SOURCE: 41})
    missing: set[int] = set()
    for finding in gaps:
        assert finding.kind == "event_missing"
        assert isinstance(finding.expected, dict)
        first, last = finding.expected["first"], finding.expected["last"]
        assert isinstance(first, int)
        assert isinstance(last, int)
        missing.update(range(first, last + 1))
    assert missing == set(range(41)) - held - waiting


@pytest.mark.parametrize(
    ("held", "closed_at", "waiting", "promised", "subjects"),
    [
        ([0, 1, 2], 2, None, 3, []),
        ([0, 1], None, set(), 2, []),
        ([0, 2], None, {1}, 3, []),
        ([], None, {0, 1}, 0, []),
        ([0, 1], None, None, 2, [("source_not_closed", NAME)]),
        ([], None, None, 2, [("event_missing", NAME + "/events 0 to 1"),
                             ("source_not_closed", NAME)]),
        ([0, 2, 3, 7], 7, None, 8, [("event_missing", NAME + "/event 1"),
                                    ("event_missing", NAME + "/events 4 to 6")]),
        ([1, 2], 2, None, 3, [("event_missing", NAME + "/event 0")]),
        ([0, 1, 1, 2], 2, None, 3, [("event_repeated", NAME + "/event 1")]),
        ([0, 3, 3, 2, 1], 3, None, 4, [("event_repeated", NAME + "/event 3")]),
        ([0, 1, 2, 3], 1, None, 4, [("source_continued", NAME)]),
    ],
)  # fmt: skip
def test_each_hole_is_named(
    held: list[int],
    closed_at: int | None,
    waiting: set[int] | None,
    promised: int,
    subjects: list[tuple[str, str]],
) -> None:
    spooled = {} if waiting is None else {SOURCE: waiting}
    found = list(find_gaps({SOURCE: tracker(held, closed_at)}, spooled, {SOURCE: promised}))
    assert [(finding.kind, finding.subject) for finding in found] == subjects
    assert all(finding.detail for finding in found)


def test_a_source_that_the_log_only_promised_is_missed() -> None:
    found = list(find_gaps({}, {}, {SOURCE: 1}))
    assert [finding.kind for finding in found] == ["event_missing", "source_not_closed"]


@pytest.mark.parametrize(("promised", "count"), [(3, 0), (4, 0), (2, 1), (0, 1), (None, 1)])
def test_a_source_whose_row_says_less_than_the_log_holds_is_named(
    promised: int | None, count: int
) -> None:
    noted = {} if promised is None else {SOURCE: promised}
    found = list(find_understated({SOURCE: tracker([0, 1, 2])}, noted))
    assert [finding.kind for finding in found] == ["source_changed"] * count


def test_an_end_that_is_there_and_cant_be_read_was_not_removed_by_anybody() -> None:
    found = tracker([0, 1, 2])
    found.unread.add(1)
    assert [finding.kind for finding in find_gaps({SOURCE: found}, {}, {SOURCE: 3})] == [
        "source_not_closed"
    ]
    found.unread.add(2)
    assert list(find_gaps({SOURCE: found}, {}, {SOURCE: 3})) == []
