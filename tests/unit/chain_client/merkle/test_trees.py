"""Roots and proofs of all shapes: those of the RFC's recursion, and they verify."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client import merkle
from chain_client.errors import InvalidInput
from chain_client.types import Digest
from tests.strategies import examples, leaf_hashes
from tests.unit.chain_client.merkle import textbook

EDGES = sorted({0, 1} | {2**height + step for height in range(1, 8) for step in (-1, 0, 1)})
"""0, 1 and all sizes around a power of two, up to 129."""

LEAVES = [merkle.leaf_hash(b"%d" % index) for index in range(EDGES[-1])]


class Nodes:
    """Complete subtrees over a list; counts how many are read."""

    def __init__(self, leaves: list[bytes], size: int) -> None:
        self.leaves = leaves
        self.size = size
        self.reads = 0

    def node(self, height: int, index: int) -> Digest:
        start, stop = index << height, (index + 1) << height
        assert stop <= self.size, "asked for a subtree that is not complete"
        self.reads += 1
        return Digest(textbook.tree_hash(self.leaves[start:stop]))


def test_hashes_have_the_prefixes_of_rfc_6962() -> None:
    assert merkle.leaf_hash(b"data") == textbook.sha256(b"\x00data")
    assert merkle.node_hash(b"left", b"right") == textbook.sha256(b"\x01leftright")
    assert textbook.sha256(b"") == merkle.EMPTY_ROOT


@pytest.mark.parametrize("size", EDGES)
def test_everything_about_a_size_at_the_edge_is_as_in_the_rfc(size: int) -> None:
    leaves = LEAVES[:size]
    root = textbook.tree_hash(leaves)
    nodes = Nodes(list(LEAVES), size)
    bound = 2 * size.bit_length() + 1
    assert merkle.root(leaves) == merkle.root_from(nodes, size) == root
    assert nodes.reads == size.bit_count()
    for index in {0, 1, size // 2, size - 2, size - 1} & set(range(size)):
        proof = textbook.path(index, leaves)
        nodes.reads = 0
        assert merkle.inclusion_proof(LEAVES, index, size) == proof
        assert merkle.inclusion_proof_from(nodes, index, size) == proof
        assert nodes.reads <= bound
        merkle.verify_inclusion(leaves[index], index, size, proof, root)
    for old_size in {*EDGES, size - 2} & set(range(size + 1)):
        proof = textbook.proof(old_size, leaves)
        nodes.reads = 0
        assert merkle.consistency_proof(LEAVES, old_size, size) == proof
        assert merkle.consistency_proof_from(nodes, old_size, size) == proof
        assert nodes.reads <= bound
        old_root = textbook.tree_hash(leaves[:old_size])
        merkle.verify_consistency(old_size, size, old_root, root, proof)


@settings(max_examples=examples(150))
@given(leaf_hashes(min_size=1), st.data())
def test_any_leaf_and_any_two_sizes_verify(leaves: list[bytes], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(leaves)))
    index = data.draw(st.integers(0, size - 1))
    old_size = data.draw(st.integers(0, size))
    root = merkle.root(leaves[:size])
    assert root == textbook.tree_hash(leaves[:size])
    inclusion = merkle.inclusion_proof(leaves, index, size)
    consistency = merkle.consistency_proof(leaves, old_size, size)
    assert inclusion == merkle.inclusion_proof(leaves[:size], index)
    assert inclusion == textbook.path(index, leaves[:size])
    assert consistency == merkle.consistency_proof(leaves[:size], old_size)
    assert consistency == textbook.proof(old_size, leaves[:size])
    merkle.verify_inclusion(leaves[index], index, size, inclusion, root)
    old_root = merkle.root(leaves[:old_size])
    merkle.verify_consistency(old_size, size, old_root, root, consistency)


@settings(max_examples=examples(100))
@given(leaf_hashes(), st.data())
def test_a_frontier_has_the_root_wherever_it_is_taken_up_again(
    leaves: list[bytes], data: st.DataObject
) -> None:
    stop = data.draw(st.integers(0, len(leaves)))
    frontier = merkle.Frontier()
    frontier.extend(leaves[:stop])
    assert frontier.size == stop
    assert len(frontier.nodes) == stop.bit_count()
    assert frontier.root() == merkle.root(leaves[:stop])
    again = merkle.Frontier.from_nodes(stop, frontier.nodes)
    stored = merkle.Frontier.from_source(Nodes(leaves, stop), stop)
    assert again.nodes == stored.nodes == frontier.nodes
    for count, leaf in enumerate(leaves[stop:], start=stop + 1):
        again.append(leaf)
        assert again.root() == merkle.root(leaves[:count])
    stored.extend(leaves[stop:])
    assert stored.root() == again.root() == textbook.tree_hash(leaves)
    assert frontier.root() == merkle.root(leaves[:stop]), "continued copies share no state"


@pytest.mark.parametrize(
    ("size", "nodes"),
    [
        (0, [bytes(32)]),
        (1, []),
        (3, [bytes(32)]),
        (4, [bytes(32)] * 2),
        (1, [bytes(31)]),
        (-1, [bytes(32)]),
        (2**64, [bytes(32)]),
    ],
)
def test_a_frontier_of_another_shape_is_refused(size: int, nodes: list[bytes]) -> None:
    with pytest.raises(InvalidInput):
        merkle.Frontier.from_nodes(size, nodes)


@pytest.mark.parametrize("size", [-1, 2**64])
def test_sizes_that_no_tree_has_are_refused(size: int) -> None:
    with pytest.raises(InvalidInput):
        merkle.root_from(Nodes([], 0), size)


@pytest.mark.parametrize(
    ("index", "size"), [(0, 0), (3, 3), (-1, 3), (0, 4), (0, -1), (5, None), (2, 2)]
)
def test_proofs_of_leaves_that_are_not_there_are_refused(index: int, size: int | None) -> None:
    with pytest.raises(InvalidInput):
        merkle.inclusion_proof(LEAVES[:3], index, size)


@pytest.mark.parametrize(("old_size", "new_size"), [(-1, 3), (3, 2), (0, 4), (0, -1), (4, None)])
def test_proofs_between_sizes_that_are_not_there_are_refused(
    old_size: int, new_size: int | None
) -> None:
    with pytest.raises(InvalidInput):
        merkle.consistency_proof(LEAVES[:3], old_size, new_size)
