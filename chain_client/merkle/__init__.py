"""The tree of RFC 6962: hashes, roots, proofs and their verification. Pure, SHA-256 only.

Trees here are lists of leaf hashes, or a `NodeSource` that holds complete subtrees. Where the
nodes are kept is not decided here.
"""

from chain_client.merkle.frontier import Frontier
from chain_client.merkle.hashes import EMPTY_ROOT, MAX_SIZE, leaf_hash, node_hash, root
from chain_client.merkle.proofs import (
    NodeSource,
    consistency_proof,
    consistency_proof_from,
    inclusion_proof,
    inclusion_proof_from,
    root_from,
)
from chain_client.merkle.verification import verify_consistency, verify_inclusion

__all__ = [
    "EMPTY_ROOT",
    "MAX_SIZE",
    "Frontier",
    "NodeSource",
    "consistency_proof",
    "consistency_proof_from",
    "inclusion_proof",
    "inclusion_proof_from",
    "leaf_hash",
    "node_hash",
    "root",
    "root_from",
    "verify_consistency",
    "verify_inclusion",
]
