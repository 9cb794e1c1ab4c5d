"""Making of roots and proofs, from a list of leaf hashes or from stored nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from chain_client.errors import InvalidInput
from chain_client.merkle.hashes import EMPTY_ROOT, MAX_SIZE, node_hash, parents
from chain_client.types import Digest


class NodeSource(Protocol):
    """Where the complete subtrees of a tree are kept."""

    def node(self, height: int, index: int) -> Digest:
        """Root of the ``2**height`` leaves from leaf ``index * 2**height`` on.

        Only asked for subtrees that are complete in the tree at hand; height 0 is a leaf hash.
        """
        ...


def root_from(source: NodeSource, size: int) -> Digest:
    """Root of the first ``size`` leaves, with one read for each bit set in ``size``."""
    check_range(0, size, MAX_SIZE)
    return _range_root(source, 0, size) if size else EMPTY_ROOT


def inclusion_proof_from(source: NodeSource, index: int, size: int) -> list[Digest]:
    """As `inclusion_proof`, reading O(log size) nodes.

    Raises:
        InvalidInput: index or size out of range.
    """
    check_range(0, index, size - 1)
    start, stop = 0, size
    proof: list[Digest] = []
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            proof.append(_range_root(source, middle, stop))
            stop = middle
        else:
            proof.append(_range_root(source, start, middle))
            start = middle
    proof.reverse()
    return proof


def consistency_proof_from(source: NodeSource, old_size: int, new_size: int) -> list[Digest]:
    """As `consistency_proof`, reading O(log new_size) nodes.

    Raises:
        InvalidInput: sizes out of range.
    """
    check_range(0, old_size, new_size)
    if old_size in (0, new_size):
        return []
    start, stop = 0, new_size
    proof: list[Digest] = []
    while old_size != stop:
        middle = start + _split(stop - start)
        if old_size <= middle:
            proof.append(_range_root(source, middle, stop))
            stop = middle
        else:
            proof.append(_range_root(source, start, middle))
            start = middle
    if start:
        # Otherwise the verifier has this node already: it is the old root.
        proof.append(_range_root(source, start, stop))
    proof.reverse()
    return proof


def inclusion_proof(
    leaf_hashes: Sequence[bytes], index: int, size: int | None = None
) -> list[Digest]:
    """Proof that leaf ``index`` is in the tree of the first ``size`` leaves.

    Args:
        leaf_hashes: at least ``size`` leaf hashes.
        index: from 0.
        size: number of leaves of the tree; all of ``leaf_hashes`` by default.

    Raises:
        InvalidInput: index or size out of range.
    """
    size = _size_within(size, len(leaf_hashes))
    return inclusion_proof_from(_Levels(leaf_hashes, size), index, size)


def consistency_proof(
    leaf_hashes: Sequence[bytes], old_size: int, new_size: int | None = None
) -> list[Digest]:
    """Proof that the tree of ``old_size`` leaves is a prefix of the one of ``new_size``.

    Args:
        leaf_hashes: at least ``new_size`` leaf hashes.
        old_size: at most ``new_size``. The proof is empty if it is 0 or equal to ``new_size``.
        new_size: all of ``leaf_hashes`` by default.

    Raises:
        InvalidInput: sizes out of range.
    """
    new_size = _size_within(new_size, len(leaf_hashes))
    return consistency_proof_from(_Levels(leaf_hashes, new_size), old_size, new_size)


class _Levels:
    """Complete subtrees over a list of leaf hashes."""

    def __init__(self, leaf_hashes: Sequence[bytes], size: int) -> None:
        level: Sequence[bytes] = leaf_hashes[:size]
        self._levels = [level]
        while len(level) > 1:
            level = parents(level)
            self._levels.append(level)

    def node(self, height: int, index: int) -> Digest:
        return Digest(self._levels[height][index])


def _split(size: int) -> int:
    """Largest power of two below ``size`` (RFC 6962, section 2.1)."""
    return 1 << ((size - 1).bit_length() - 1)


def complete_subtrees(start: int, stop: int) -> Iterable[tuple[int, int]]:
    """Height and index of the complete subtrees of ``start:stop``, the largest first.

    ``start`` is a multiple of every power of two up to the length, as splitting makes it.
    """
    while start < stop:
        height = (stop - start).bit_length() - 1
        yield height, start >> height
        start += 1 << height


def _range_root(source: NodeSource, start: int, stop: int) -> Digest:
    return fold([source.node(height, index) for height, index in complete_subtrees(start, stop)])


def fold(nodes: Sequence[Digest]) -> Digest:
    """Root over complete subtrees, the largest first; at least one."""
    current = nodes[-1]
    for node in reversed(nodes[:-1]):
        current = node_hash(node, current)
    return current


def _size_within(size: int | None, available: int) -> int:
    if size is None:
        return available
    check_range(0, size, available)
    return size


def check_range(low: int, value: int, high: int) -> None:
    """Raise `InvalidInput` unless ``value`` is from ``low`` to ``high``."""
    if not low <= value <= high:
        raise InvalidInput(f"expected a number from {low} to {high}")
