// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Merkle trees and their proofs, by the recursive definitions of RFC 6962, section 2.1
/// @dev Written from the definitions and not from the iterative verification, so that the two can
/// check each other.
library Tree {
    bytes32 internal constant EMPTY =
        0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855;

    function leafOf(bytes memory data) internal pure returns (bytes32) {
        return sha256(bytes.concat(hex"00", data));
    }

    function node(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return sha256(bytes.concat(hex"01", left, right));
    }

    /// @dev `count` leaves of a tree, from 0 on; different for every seed.
    function leaves(uint256 seed, uint256 count) internal pure returns (bytes32[] memory made) {
        made = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            made[i] = leafOf(abi.encode(seed, i));
        }
    }

    /// @dev MTH(D[n]): the root of the first `size` leaves.
    function root(bytes32[] memory all, uint256 size) internal pure returns (bytes32) {
        return size == 0 ? EMPTY : _range(all, 0, size);
    }

    /// @dev PATH(index, D[size]).
    function inclusion(bytes32[] memory all, uint256 index, uint256 size)
        internal
        pure
        returns (bytes32[] memory)
    {
        (bytes32[] memory path, uint256 length) = _path(all, index, 0, size, 0);
        return _cut(path, length);
    }

    /// @dev PROOF(oldSize, D[newSize]).
    function consistency(bytes32[] memory all, uint256 oldSize, uint256 newSize)
        internal
        pure
        returns (bytes32[] memory)
    {
        (bytes32[] memory path, uint256 length) = _subproof(all, oldSize, 0, newSize, true, 0);
        return _cut(path, length);
    }

    /// @dev Two roots of which the first is the beginning of the second, and the proof, for trees
    /// that are too large to be built: subtrees that no path enters have made-up hashes.
    function sketch(uint256 oldSize, uint256 newSize)
        internal
        pure
        returns (bytes32 oldRoot, bytes32 newRoot, bytes32[] memory proof)
    {
        uint256 length;
        (oldRoot, newRoot, proof, length) = _sketch(oldSize, 0, newSize, true, 0);
        proof = _cut(proof, length);
    }

    function _sketch(uint256 oldSize, uint256 start, uint256 size, bool complete, uint256 depth)
        private
        pure
        returns (bytes32 oldHash, bytes32 newHash, bytes32[] memory path, uint256 length)
    {
        if (oldSize == size) {
            oldHash = leafOf(abi.encode(start, size));
            path = new bytes32[](depth + 1);
            path[0] = oldHash;
            return (oldHash, oldHash, path, complete ? 0 : 1);
        }
        uint256 left = _leftSize(size);
        bytes32 sibling;
        if (oldSize <= left) {
            (oldHash, newHash, path, length) = _sketch(oldSize, start, left, complete, depth + 1);
            sibling = leafOf(abi.encode(start + left, size - left));
            newHash = node(newHash, sibling);
        } else {
            (oldHash, newHash, path, length) =
                _sketch(oldSize - left, start + left, size - left, false, depth + 1);
            sibling = leafOf(abi.encode(start, left));
            oldHash = node(sibling, oldHash);
            newHash = node(sibling, newHash);
        }
        path[length] = sibling;
        return (oldHash, newHash, path, length + 1);
    }

    function _range(bytes32[] memory all, uint256 start, uint256 size)
        private
        pure
        returns (bytes32)
    {
        if (size == 1) return all[start];
        uint256 left = _leftSize(size);
        return node(_range(all, start, left), _range(all, start + left, size - left));
    }

    function _path(bytes32[] memory all, uint256 index, uint256 start, uint256 size, uint256 depth)
        private
        pure
        returns (bytes32[] memory path, uint256 length)
    {
        if (size == 1) return (new bytes32[](depth), 0);
        uint256 left = _leftSize(size);
        bytes32 sibling;
        if (index < left) {
            (path, length) = _path(all, index, start, left, depth + 1);
            sibling = _range(all, start + left, size - left);
        } else {
            (path, length) = _path(all, index - left, start + left, size - left, depth + 1);
            sibling = _range(all, start, left);
        }
        path[length] = sibling;
        return (path, length + 1);
    }

    /// @dev SUBPROOF(oldSize, D[start : start + size], complete).
    function _subproof(
        bytes32[] memory all,
        uint256 oldSize,
        uint256 start,
        uint256 size,
        bool complete,
        uint256 depth
    ) private pure returns (bytes32[] memory path, uint256 length) {
        if (oldSize == size) {
            path = new bytes32[](depth + 1);
            if (complete) return (path, 0);
            path[0] = _range(all, start, size);
            return (path, 1);
        }
        uint256 left = _leftSize(size);
        bytes32 sibling;
        if (oldSize <= left) {
            (path, length) = _subproof(all, oldSize, start, left, complete, depth + 1);
            sibling = _range(all, start + left, size - left);
        } else {
            (path, length) =
                _subproof(all, oldSize - left, start + left, size - left, false, depth + 1);
            sibling = _range(all, start, left);
        }
        path[length] = sibling;
        return (path, length + 1);
    }

    /// @dev The largest power of two below `size`.
    function _leftSize(uint256 size) private pure returns (uint256 left) {
        left = 1;
        while (left * 2 < size) left *= 2;
    }

    function _cut(bytes32[] memory path, uint256 length)
        private
        pure
        returns (bytes32[] memory cut)
    {
        cut = new bytes32[](length);
        for (uint256 i = 0; i < length; ++i) {
            cut[i] = path[i];
        }
    }
}
