"""The right edge of a growing tree."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from chain_client.errors import InvalidInput
from chain_client.merkle.hashes import EMPTY_ROOT, MAX_SIZE
from chain_client.merkle.proofs import NodeSource, check_range, complete_subtrees, fold
from chain_client.types import Digest

_sha256 = hashlib.sha256


class Frontier:
    """The complete subtrees along the right edge: enough to append and to know the root.

    Takes O(log size) memory. ``Frontier()`` is the empty tree.
    """

    __slots__ = ("_nodes", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._nodes: list[Digest] = []

    @classmethod
    def from_nodes(cls, size: int, nodes: Sequence[bytes]) -> Frontier:
        """Continue a tree from its `size` and `nodes`.

        Raises:
            InvalidInput: another number of nodes than the bits set in ``size``, or wrong lengths.
        """
        check_range(0, size, MAX_SIZE)
        if len(nodes) != size.bit_count() or any(len(node) != 32 for node in nodes):
            raise InvalidInput(f"expected {size.bit_count()} nodes of 32 bytes, got {len(nodes)}")
        frontier = cls()
        frontier._size = size
        frontier._nodes = [Digest(node) for node in nodes]
        return frontier

    @classmethod
    def from_source(cls, source: NodeSource, size: int) -> Frontier:
        """Continue a tree whose complete subtrees are kept in ``source``."""
        return cls.from_nodes(size, [source.node(*place) for place in complete_subtrees(0, size)])

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._size

    @property
    def nodes(self) -> tuple[Digest, ...]:
        """Roots of the complete subtrees, the largest first: one for each bit set in `size`."""
        return tuple(self._nodes)

    def append(self, leaf_hash: bytes) -> None:
        """Add one leaf."""
        nodes = self._nodes
        current = leaf_hash
        size = self._size
        while size & 1:
            current = _sha256(b"\x01" + nodes.pop() + current).digest()
            size >>= 1
        nodes.append(Digest(current))
        self._size += 1

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        """Add leaves in order."""
        for value in leaf_hashes:
            self.append(value)

    def root(self) -> Digest:
        """Root of the tree so far."""
        return fold(self._nodes) if self._nodes else EMPTY_ROOT
