"""Checks of proofs that others made: nothing in a proof is believed.

A root does not name its size: sizes whose paths have one shape are not told apart by a proof.
So take size and root together, from one head that is trusted.
"""

from __future__ import annotations

from collections.abc import Sequence

from chain_client.errors import ConsistencyFailed, InclusionFailed, InvalidInput
from chain_client.merkle.hashes import EMPTY_ROOT, MAX_SIZE, node_hash


def verify_inclusion(
    leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that the leaf at ``index`` is in the tree of ``size`` leaves with this root.

    RFC 9162, section 2.1.3.2. Never passes for a tree of size 0.

    Raises:
        InclusionFailed: the proof does not lead to the root, whatever is wrong with it.
        InvalidInput: an argument is of another type.
    """
    _check_types(numbers=(index, size), hashes=(leaf_hash, root), proof=proof)
    if not 0 <= index < size <= MAX_SIZE:
        raise InclusionFailed(f"no leaf {_show(index)} in a tree of {_show(size)}")
    if any(len(value) != 32 for value in (leaf_hash, root, *proof)):
        raise InclusionFailed("expected hashes of 32 bytes each")
    node, last, current = index, size - 1, leaf_hash
    for sibling in proof:
        if last == 0:
            raise InclusionFailed(f"the proof of {len(proof)} nodes is too long")
        if node & 1 or node == last:
            current = node_hash(sibling, current)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            current = node_hash(current, sibling)
        node >>= 1
        last >>= 1
    if last:
        raise InclusionFailed(f"the proof of {len(proof)} nodes is too short")
    if current != root:
        raise InclusionFailed(f"leaf {index} of {size} does not lead to the root")


def verify_consistency(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree with ``new_root`` begins with all leaves of the one with ``old_root``.

    RFC 9162, section 2.1.4.2, and what it leaves open: a tree of size 0 has the root
    `EMPTY_ROOT` and no other, and with ``old_size`` 0 or equal sizes the proof is empty.

    Raises:
        ConsistencyFailed: the proof does not connect the roots, whatever is wrong with it.
        InvalidInput: an argument is of another type.
    """
    _check_types(numbers=(old_size, new_size), hashes=(old_root, new_root), proof=proof)
    if not 0 <= old_size <= new_size <= MAX_SIZE:
        raise ConsistencyFailed(f"no tree of {_show(old_size)} within one of {_show(new_size)}")
    if any(len(value) != 32 for value in (old_root, new_root, *proof)):
        raise ConsistencyFailed("expected hashes of 32 bytes each")
    if old_size == 0 and old_root != EMPTY_ROOT:
        raise ConsistencyFailed("the old root is not that of an empty tree")
    if old_size in (0, new_size):
        if proof:
            raise ConsistencyFailed("expected an empty proof")
        if old_size == new_size and old_root != new_root:
            raise ConsistencyFailed(f"two roots for one size {new_size}")
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise ConsistencyFailed("the proof is empty")
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ConsistencyFailed(f"the proof of {len(proof)} nodes is too long")
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        node >>= 1
        last >>= 1
    if last:
        raise ConsistencyFailed(f"the proof of {len(proof)} nodes is too short")
    if old != old_root:
        raise ConsistencyFailed(f"the proof does not lead to the old root at {old_size}")
    if new != new_root:
        raise ConsistencyFailed(f"the proof does not lead to the new root at {new_size}")


def _check_types(
    *, numbers: tuple[int, int], hashes: tuple[bytes, bytes], proof: Sequence[bytes]
) -> None:
    if not all(type(value) is int for value in numbers):
        raise InvalidInput("expected index and sizes as int")
    if not isinstance(proof, list | tuple):
        raise InvalidInput("expected the proof as a list of bytes")
    if not all(type(value) is bytes for value in (*hashes, *proof)):
        raise InvalidInput("expected hashes as bytes")


def _show(number: int) -> str:
    """The number, unless a hostile one is too long to be printed."""
    return str(number) if abs(number) <= MAX_SIZE else "out of range"
