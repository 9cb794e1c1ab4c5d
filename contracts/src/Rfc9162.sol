// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Proofs about Merkle trees of RFC 6962, verified as RFC 9162 describes
/// @notice Hashes with the SHA-256 precompile. Every question has the answer true or false: a
/// malformed proof is a false one, and nothing here reverts because of its input.
/// @dev Whoever uses the library makes sure once that the chain has the precompile; see
/// `hasSha256`. Indices and sizes must be below 2^255, which any count of leaves is.
library Rfc9162 {
    /// @dev Root of the tree without leaves: SHA-256 of the empty string.
    bytes32 internal constant EMPTY_ROOT =
        0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855;

    /// @notice Whether this chain computes SHA-256 at address 2.
    /// @return True if the precompile knows the digest of the empty string.
    function hasSha256() internal view returns (bool) {
        (bool done, bytes memory digest) = address(2).staticcall("");
        return done && digest.length == 32 && bytes32(digest) == EMPTY_ROOT;
    }

    /// @notice Whether a tree is the beginning of another one. RFC 9162, section 2.1.4.2.
    /// @dev Stricter than the RFC's text: from the empty tree there is no proof, and a tree is not
    /// proved against one of its own size; compare the roots instead.
    /// @param oldSize Number of leaves of the earlier tree.
    /// @param oldRoot Its root.
    /// @param newSize Number of leaves of the later tree.
    /// @param newRoot Its root.
    /// @param proof Nodes in the order of the RFC.
    /// @return True if, and only if, the proof is the one proof that leads to both roots.
    function isConsistent(
        uint256 oldSize,
        bytes32 oldRoot,
        uint256 newSize,
        bytes32 newRoot,
        bytes32[] calldata proof
    ) internal view returns (bool) {
        unchecked {
            if (oldSize == 0 || oldSize >= newSize) return false;

            // Both paths start at the largest complete subtree that ends with the last old leaf.
            uint256 oldNode = oldSize - 1;
            uint256 newNode = newSize - 1;
            while (oldNode & 1 == 1) {
                oldNode >>= 1;
                newNode >>= 1;
            }

            // That subtree is the whole old tree if its size is a power of two; the proof then
            // leaves it out. Otherwise the proof names it first.
            uint256 next = 0;
            bytes32 seenOld = oldRoot;
            if (oldNode != 0) {
                if (proof.length == 0) return false;
                seenOld = proof[0];
                next = 1;
            }
            bytes32 seenNew = seenOld;

            uint256 scratch = _scratch();
            for (; next < proof.length; ++next) {
                if (newNode == 0) return false;
                bytes32 sibling = _at(proof, next);
                if (oldNode & 1 == 1 || oldNode == newNode) {
                    seenOld = _node(scratch, sibling, seenOld);
                    seenNew = _node(scratch, sibling, seenNew);
                    // A last node without a right neighbour moves up until it is a right child.
                    while (oldNode & 1 == 0 && oldNode != 0) {
                        oldNode >>= 1;
                        newNode >>= 1;
                    }
                } else {
                    seenNew = _node(scratch, seenNew, sibling);
                }
                oldNode >>= 1;
                newNode >>= 1;
            }
            return newNode == 0 && seenOld == oldRoot && seenNew == newRoot;
        }
    }

    /// @notice Whether a leaf stands at an index of a tree. RFC 9162, section 2.1.3.2.
    /// @param leafHash SHA-256(0x00 || leaf data).
    /// @param index Zero-based index of the leaf.
    /// @param size Number of leaves of the tree.
    /// @param root Root of the tree.
    /// @param proof Nodes in the order of the RFC: from the leaf's sibling upwards.
    /// @return True if, and only if, the proof is the one proof that leads from leaf to root.
    function isIncluded(
        bytes32 leafHash,
        uint256 index,
        uint256 size,
        bytes32 root,
        bytes32[] calldata proof
    ) internal view returns (bool) {
        unchecked {
            if (index >= size) return false;

            uint256 node = index;
            uint256 last = size - 1;
            bytes32 seen = leafHash;
            uint256 scratch = _scratch();
            for (uint256 next = 0; next < proof.length; ++next) {
                if (last == 0) return false;
                bytes32 sibling = _at(proof, next);
                if (node & 1 == 1 || node == last) {
                    seen = _node(scratch, sibling, seen);
                    while (node & 1 == 0 && node != 0) {
                        node >>= 1;
                        last >>= 1;
                    }
                } else {
                    seen = _node(scratch, seen, sibling);
                }
                node >>= 1;
                last >>= 1;
            }
            return last == 0 && seen == root;
        }
    }

    /// @dev Reserves memory for one inner node, reused by all of a proof: 65 bytes, of which the
    /// first is the prefix.
    function _scratch() private pure returns (uint256 scratch) {
        assembly ("memory-safe") {
            scratch := mload(0x40)
            mstore(0x40, add(scratch, 0x60))
            mstore8(scratch, 0x01)
        }
    }

    /// @dev The node at `position`, which the caller has found to be within the proof.
    function _at(bytes32[] calldata proof, uint256 position) private pure returns (bytes32 node) {
        assembly ("memory-safe") {
            node := calldataload(add(proof.offset, shl(5, position)))
        }
    }

    /// @dev SHA-256(0x01 || left || right). RFC 6962, section 2.1. The precompile can fail only for
    /// want of gas.
    function _node(uint256 scratch, bytes32 left, bytes32 right)
        private
        view
        returns (bytes32 parent)
    {
        assembly ("memory-safe") {
            mstore(add(scratch, 0x01), left)
            mstore(add(scratch, 0x21), right)
            if iszero(staticcall(gas(), 0x02, scratch, 0x41, 0x00, 0x20)) {
                revert(0x00, 0x00)
            }
            parent := mload(0x00)
        }
    }
}
