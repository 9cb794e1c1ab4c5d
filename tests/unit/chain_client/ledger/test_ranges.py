"""Long stretches of a chain are read in pieces without a gap."""

from __future__ import annotations

import pytest

from chain_client.ledger import ranges


@pytest.mark.parametrize("last", [3, 9, 10, 12, 13, 100])
def test_ranges_follow_each_other_and_are_bounded(
    last: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "BLOCKS_A_CALL", 7)
    found = list(ranges.block_ranges(3, last))
    numbers = [number for first, end in found for number in range(first, end + 1)]
    assert numbers == list(range(3, last + 1))
    assert all(end - first < 7 for first, end in found)


def test_nothing_is_asked_of_no_blocks() -> None:
    assert list(ranges.block_ranges(5, 4)) == []
