"""Forged, damaged and senseless proofs: one error each, and never anything else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client import merkle
from chain_client.errors import ConsistencyFailed, InclusionFailed, InvalidInput
from tests.strategies import examples

LEAVES: list[bytes] = [merkle.leaf_hash(b"%d" % index) for index in range(17)]
ROOTS: list[bytes] = [merkle.root(LEAVES[:size]) for size in range(len(LEAVES) + 1)]
JUNK = merkle.leaf_hash(b"junk")
HUGE = 10**5000
"""More digits than Python writes."""
SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 16, 17)


def flipped(value: bytes, place: int) -> bytes:
    """The value with one bit of one byte changed."""
    return value[:place] + bytes([value[place] ^ (1 << place % 8)]) + value[place + 1 :]


def damaged(value: bytes) -> Iterator[bytes]:
    """The value with each byte changed in turn, cut off, and grown."""
    for place in range(len(value)):
        yield flipped(value, place)
    yield value[:-1]
    yield value + b"\x00"
    yield b""
    yield bytes(32)


def mutilated(proof: list[Any]) -> Iterator[list[Any]]:
    """The proof with each node damaged, dropped, doubled, preceded by junk, and exchanged."""
    for place, node in enumerate(proof):
        before, after = proof[:place], proof[place + 1 :]
        for other in damaged(node):
            yield [*before, other, *after]
        yield [*before, *after]
        yield [*before, node, node, *after]
        yield [*before, JUNK, node, *after]
        if after:
            yield [*before, after[0], node, *after[1:]]
    yield [*proof, JUNK]
    yield [*proof, *proof, JUNK]
    if proof:
        yield []
        yield [*proof, *proof]
    if len(proof) > 1:
        yield proof[::-1]


@pytest.mark.parametrize("size", SIZES)
def test_no_damaged_inclusion_proof_passes(size: int) -> None:
    for index in {0, 1, size // 2, size - 1} & set(range(size)):
        leaf, root = LEAVES[index], ROOTS[size]
        proof = merkle.inclusion_proof(LEAVES, index, size)
        merkle.verify_inclusion(leaf, index, size, proof, root)
        for forged in mutilated(proof):
            with pytest.raises(InclusionFailed):
                merkle.verify_inclusion(leaf, index, size, forged, root)
        for other in damaged(leaf):
            with pytest.raises(InclusionFailed):
                merkle.verify_inclusion(other, index, size, proof, root)
        for other in damaged(root):
            with pytest.raises(InclusionFailed):
                merkle.verify_inclusion(leaf, index, size, proof, other)


@pytest.mark.parametrize("size", SIZES)
def test_no_proof_passes_for_another_leaf_or_index(size: int) -> None:
    for index in range(size):
        proof = merkle.inclusion_proof(LEAVES, index, size)
        for other in (set(range(-1, size + 2)) | {-(2**70), 2**70, HUGE}) - {index}:
            with pytest.raises(InclusionFailed):
                merkle.verify_inclusion(LEAVES[index], other, size, proof, ROOTS[size])
        for other in set(range(size)) - {index}:
            with pytest.raises(InclusionFailed):
                merkle.verify_inclusion(LEAVES[other], index, size, proof, ROOTS[size])


@pytest.mark.parametrize("size", [0, -1, 2**64, HUGE], ids=["0", "-1", "2**64", "huge"])
def test_nothing_is_in_a_tree_of_a_size_that_cannot_be(size: int) -> None:
    for proof in ([], [JUNK]):
        for root in (merkle.EMPTY_ROOT, JUNK):
            with pytest.raises(InclusionFailed):
                merkle.verify_inclusion(JUNK, 0, size, proof, root)


def test_an_inner_node_is_no_leaf() -> None:
    pair = LEAVES[0] + LEAVES[1]
    with pytest.raises(InclusionFailed):
        merkle.verify_inclusion(merkle.leaf_hash(b"\x01" + pair), 0, 1, [], ROOTS[2])
    with pytest.raises(InclusionFailed):
        merkle.verify_inclusion(ROOTS[2], 0, 4, [merkle.root(LEAVES[2:4])], ROOTS[4])


def test_a_proof_that_goes_on_above_the_root_is_refused() -> None:
    for size in SIZES:
        index = size // 2
        proof = merkle.inclusion_proof(LEAVES, index, size)
        for above in (
            merkle.node_hash(JUNK, ROOTS[size]),
            merkle.node_hash(ROOTS[size], JUNK),
        ):
            with pytest.raises(InclusionFailed):
                merkle.verify_inclusion(LEAVES[index], index, size, [*proof, JUNK], above)
        for old_size in range(1, size):
            proof = merkle.consistency_proof(LEAVES, old_size, size)
            above_old = merkle.node_hash(JUNK, ROOTS[old_size])
            for old_root, new_root in (
                (above_old, merkle.node_hash(JUNK, ROOTS[size])),
                (ROOTS[old_size], merkle.node_hash(ROOTS[size], JUNK)),
            ):
                with pytest.raises(ConsistencyFailed):
                    merkle.verify_consistency(old_size, size, old_root, new_root, [*proof, JUNK])


def test_bytes_moved_between_neighbours_are_refused() -> None:
    # The hashed bytes stay the same, so only the lengths can tell.
    left, right = LEAVES[0], LEAVES[1]
    for longer, shorter in ((left + right[:1], right[1:]), (left[:-1], left[-1:] + right)):
        with pytest.raises(InclusionFailed):
            merkle.verify_inclusion(longer, 0, 2, [shorter], ROOTS[2])
        with pytest.raises(InclusionFailed):
            merkle.verify_inclusion(shorter, 1, 2, [longer], ROOTS[2])
        with pytest.raises(ConsistencyFailed):
            merkle.verify_consistency(1, 2, longer, ROOTS[2], [shorter])


def test_a_tree_of_more_leaves_than_the_contract_counts_is_refused() -> None:
    proof, root = [JUNK] * 64, LEAVES[0]
    for sibling in proof:
        root = merkle.node_hash(root, sibling)
    with pytest.raises(InclusionFailed):
        merkle.verify_inclusion(LEAVES[0], 0, 2**64, proof, root)
    with pytest.raises(ConsistencyFailed):
        merkle.verify_consistency(1, 2**64, LEAVES[0], root, proof)


def test_a_root_does_not_name_its_size() -> None:
    # The documented limit: the paths of leaf 0 in trees of 3 and of 4 leaves have one shape.
    proof = merkle.inclusion_proof(LEAVES, 0, 3)
    merkle.verify_inclusion(LEAVES[0], 0, 4, proof, ROOTS[3])
    with pytest.raises(InclusionFailed):
        merkle.verify_inclusion(LEAVES[0], 0, 4, proof, ROOTS[4])


@pytest.mark.parametrize("new_size", SIZES)
def test_no_damaged_consistency_proof_passes(new_size: int) -> None:
    new_root = ROOTS[new_size]
    for old_size in {1, 2, 3, new_size // 2, new_size - 1, new_size} & set(range(1, new_size + 1)):
        old_root = ROOTS[old_size]
        proof = merkle.consistency_proof(LEAVES, old_size, new_size)
        merkle.verify_consistency(old_size, new_size, old_root, new_root, proof)
        for forged in mutilated(proof):
            with pytest.raises(ConsistencyFailed):
                merkle.verify_consistency(old_size, new_size, old_root, new_root, forged)
        for other in damaged(old_root):
            with pytest.raises(ConsistencyFailed):
                merkle.verify_consistency(old_size, new_size, other, new_root, proof)
        for other in damaged(new_root):
            with pytest.raises(ConsistencyFailed):
                merkle.verify_consistency(old_size, new_size, old_root, other, proof)


def test_no_proof_passes_between_other_trees() -> None:
    pairs = [(old, new) for new in range(10) for old in range(1, new + 1)]
    for old_size, new_size in pairs:
        proof = merkle.consistency_proof(LEAVES, old_size, new_size)
        for old, new in pairs:
            roots = ROOTS[old], ROOTS[new]
            if merkle.consistency_proof(LEAVES, old, new) == proof:
                merkle.verify_consistency(old, new, *roots, proof)
                continue
            with pytest.raises(ConsistencyFailed):
                merkle.verify_consistency(old, new, *roots, proof)


def test_a_tree_with_one_leaf_changed_is_not_a_continuation() -> None:
    for new_size in SIZES:
        for changed in range(new_size):
            other = [*LEAVES[:changed], JUNK, *LEAVES[changed + 1 : new_size]]
            for old_size in range(changed + 1, new_size + 1):
                proof = merkle.consistency_proof(other, old_size)
                with pytest.raises(ConsistencyFailed):
                    merkle.verify_consistency(
                        old_size, new_size, ROOTS[old_size], merkle.root(other), proof
                    )


@pytest.mark.parametrize(
    ("old_size", "new_size", "old_root", "new_root", "proof"),
    [
        (0, 0, JUNK, JUNK, []),
        (0, 0, merkle.EMPTY_ROOT, JUNK, []),
        (0, 0, JUNK, merkle.EMPTY_ROOT, []),
        (0, 0, merkle.EMPTY_ROOT, merkle.EMPTY_ROOT, [JUNK]),
        (0, 3, JUNK, ROOTS[3], []),
        (0, 3, merkle.EMPTY_ROOT, ROOTS[3], [JUNK]),
        (0, 3, bytes(32), ROOTS[3], []),
        (3, 3, ROOTS[3], ROOTS[3], [ROOTS[3]]),
        (3, 3, ROOTS[3], ROOTS[4], []),
        (3, 2, ROOTS[3], ROOTS[2], []),
        (1, 0, ROOTS[1], merkle.EMPTY_ROOT, []),
        (4, 3, ROOTS[4], ROOTS[3], merkle.consistency_proof(LEAVES, 3, 4)),
        (-1, 3, merkle.EMPTY_ROOT, ROOTS[3], []),
        (-2, -1, merkle.EMPTY_ROOT, merkle.EMPTY_ROOT, []),
        (1, 2**64, ROOTS[1], JUNK, [JUNK] * 64),
        (2**64, 2**64, JUNK, JUNK, []),
        (3, 7, ROOTS[3], ROOTS[7], []),
        (4, 7, ROOTS[4], ROOTS[7], []),
        (4, 8, ROOTS[4], ROOTS[4], []),
    ],
)
def test_senseless_sizes_and_holes_of_the_textbook_are_refused(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: list[bytes]
) -> None:
    with pytest.raises(ConsistencyFailed):
        merkle.verify_consistency(old_size, new_size, old_root, new_root, proof)


@pytest.mark.parametrize(
    "sizes",
    [(1, HUGE), (HUGE, 1), (HUGE, HUGE), (-HUGE, 1)],
    ids=["new", "old", "both", "negative"],
)
def test_sizes_too_long_to_be_printed_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(ConsistencyFailed):
        merkle.verify_consistency(*sizes, ROOTS[1], ROOTS[1], [JUNK])


def test_everything_continues_the_empty_tree() -> None:
    merkle.verify_consistency(0, 0, merkle.EMPTY_ROOT, merkle.EMPTY_ROOT, [])
    merkle.verify_consistency(0, 3, merkle.EMPTY_ROOT, ROOTS[3], ())


sizes = st.integers(-1, 20) | st.integers() | st.integers(2**64 - 2, 2**64 + 1)
hashes = st.sampled_from([*LEAVES, *ROOTS[1:]]) | st.binary(max_size=40)
proofs = st.lists(hashes, max_size=70)


@settings(max_examples=examples(150))
@given(hashes, sizes, sizes, proofs)
def test_arbitrary_input_fails_inclusion_and_nothing_else(
    leaf: bytes, index: int, size: int, proof: list[bytes]
) -> None:
    with pytest.raises(InclusionFailed):
        merkle.verify_inclusion(leaf, index, size, proof, JUNK)


@settings(max_examples=examples(150))
@given(sizes, sizes, hashes, proofs)
def test_arbitrary_input_fails_consistency_and_nothing_else(
    old_size: int, new_size: int, old_root: bytes, proof: list[bytes]
) -> None:
    with pytest.raises(ConsistencyFailed):
        merkle.verify_consistency(old_size, new_size, old_root, JUNK, proof)


WRONG_PROOFS: list[Any] = [None, b"", "", iter([]), {}, 0, ["00" * 32], [None], [bytearray(32)]]


@pytest.mark.parametrize("proof", WRONG_PROOFS, ids=lambda proof: type(proof).__name__)
def test_a_proof_of_another_type_is_invalid_input(proof: Any) -> None:
    with pytest.raises(InvalidInput):
        merkle.verify_inclusion(LEAVES[0], 0, 2, proof, ROOTS[2])
    with pytest.raises(InvalidInput):
        merkle.verify_consistency(1, 2, ROOTS[1], ROOTS[2], proof)


@pytest.mark.parametrize("number", [None, "1", 1.0, True, b"1", [1]], ids=repr)
def test_a_number_of_another_type_is_invalid_input(number: Any) -> None:
    proof = [LEAVES[1]]
    for index, size in ((number, 2), (0, number)):
        with pytest.raises(InvalidInput):
            merkle.verify_inclusion(LEAVES[0], index, size, proof, ROOTS[2])
        with pytest.raises(InvalidInput):
            merkle.verify_consistency(index, size, ROOTS[1], ROOTS[2], proof)


@pytest.mark.parametrize("value", [None, "00" * 32, bytearray(32), [0] * 32, 7], ids=repr)
def test_a_hash_of_another_type_is_invalid_input(value: Any) -> None:
    proof = [LEAVES[1]]
    for first, second in ((value, ROOTS[2]), (ROOTS[1], value)):
        with pytest.raises(InvalidInput):
            merkle.verify_inclusion(first, 0, 2, proof, second)
        with pytest.raises(InvalidInput):
            merkle.verify_consistency(1, 2, first, second, proof)
