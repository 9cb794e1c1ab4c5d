"""Hashes of leaves and nodes, and the root over a list of leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from chain_client.types import Digest, LeafHash

EMPTY_ROOT = Digest(hashlib.sha256(b"").digest())
"""Root of the tree without leaves (RFC 6962, section 2.1)."""

MAX_SIZE = 2**64 - 1
"""Greatest size of a tree, as in the contract."""

_sha256 = hashlib.sha256


def leaf_hash(data: bytes) -> LeafHash:
    """``SHA-256(0x00 ‖ data)`` (RFC 6962, section 2.1)."""
    return LeafHash(_sha256(b"\x00" + data).digest())


def node_hash(left: bytes, right: bytes) -> Digest:
    """``SHA-256(0x01 ‖ left ‖ right)`` (RFC 6962, section 2.1)."""
    return Digest(_sha256(b"\x01" + left + right).digest())


def root(leaf_hashes: Sequence[bytes]) -> Digest:
    """Root of the tree over these leaf hashes; of none, `EMPTY_ROOT`."""
    if not leaf_hashes:
        return EMPTY_ROOT
    level: Sequence[bytes] = leaf_hashes
    while len(level) > 1:
        above = parents(level)
        if len(level) & 1:
            # A last node without sibling is the root of the rest, unchanged, one level up.
            above.append(level[-1])
        level = above
    return Digest(level[0])


def parents(level: Sequence[bytes]) -> list[bytes]:
    """Hashes of all pairs of a level; a last node without sibling is left out."""
    sha256 = _sha256
    nodes = iter(level)
    return [sha256(b"\x01" + left + right).digest() for left, right in zip(nodes, nodes)]
