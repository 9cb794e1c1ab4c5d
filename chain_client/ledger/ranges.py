"""Reading long stretches of a chain: what a node gives in one answer is bounded."""

from __future__ import annotations

from collections.abc import Iterator

BLOCKS_A_CALL = 10_000
"""How many blocks one question is about; every usual node answers that."""


def block_ranges(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Ranges (both ends included) that one question can be about, in chain order.

    Args:
        first: first block.
        last: last block.
    """
    for begin in range(first, last + 1, BLOCKS_A_CALL):
        yield begin, min(begin + BLOCKS_A_CALL - 1, last)
