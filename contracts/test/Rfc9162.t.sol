// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Rfc9162} from "../src/Rfc9162.sol";
import {Tree} from "./Tree.sol";
import {TestBase} from "./Vm.sol";

/// @dev Makes the library callable with calldata.
contract Verifier {
    function isConsistent(
        uint256 oldSize,
        bytes32 oldRoot,
        uint256 newSize,
        bytes32 newRoot,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return Rfc9162.isConsistent(oldSize, oldRoot, newSize, newRoot, proof);
    }

    function isIncluded(
        bytes32 leafHash,
        uint256 index,
        uint256 size,
        bytes32 root,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return Rfc9162.isIncluded(leafHash, index, size, root, proof);
    }
}

contract Rfc9162Test is TestBase {
    /// @dev Every pair and every index up to here; random ones up to `LARGE`.
    uint256 private constant SMALL = 33;
    uint256 private constant LARGE = 80;

    Verifier private verifier;

    function setUp() public {
        verifier = new Verifier();
    }

    function test_consistency_of_every_pair_of_small_trees_is_accepted() public view {
        bytes32[] memory all = Tree.leaves(1, SMALL);
        for (uint256 newSize = 2; newSize <= SMALL; ++newSize) {
            for (uint256 oldSize = 1; oldSize < newSize; ++oldSize) {
                bytes32[] memory proof = Tree.consistency(all, oldSize, newSize);
                vm.assertTrue(consistent(all, oldSize, newSize, proof), "honest proof");
            }
        }
    }

    function test_inclusion_of_every_leaf_of_small_trees_is_accepted() public view {
        bytes32[] memory all = Tree.leaves(2, SMALL);
        for (uint256 size = 1; size <= SMALL; ++size) {
            for (uint256 index = 0; index < size; ++index) {
                bytes32[] memory proof = Tree.inclusion(all, index, size);
                vm.assertTrue(included(all, index, size, proof), "honest proof");
            }
        }
    }

    /// @dev Textbook verifiers accept 0/0, and equal sizes with an empty proof.
    function test_empty_trees_and_equal_sizes_are_never_consistent() public view {
        bytes32[] memory none = new bytes32[](0);
        bytes32[] memory one = new bytes32[](1);
        one[0] = Tree.EMPTY;
        bytes32[] memory all = Tree.leaves(3, 8);
        vm.assertFalse(verifier.isConsistent(0, Tree.EMPTY, 0, Tree.EMPTY, none), "0/0");
        vm.assertFalse(verifier.isConsistent(0, Tree.EMPTY, 0, Tree.EMPTY, one), "0/0, one node");
        for (uint256 size = 1; size <= 8; ++size) {
            bytes32 root = Tree.root(all, size);
            one[0] = root;
            vm.assertFalse(verifier.isConsistent(0, Tree.EMPTY, size, root, none), "from empty");
            vm.assertFalse(
                verifier.isConsistent(0, Tree.EMPTY, size, root, one), "from empty, node"
            );
            vm.assertFalse(verifier.isConsistent(size, root, size, root, none), "equal");
            vm.assertFalse(verifier.isConsistent(size, root, size, root, one), "equal, one node");
            vm.assertFalse(verifier.isConsistent(size, root, 0, Tree.EMPTY, none), "to empty");
            if (size > 1) {
                bytes32[] memory proof = Tree.consistency(all, size - 1, size);
                bytes32 smaller = Tree.root(all, size - 1);
                vm.assertFalse(verifier.isConsistent(size, root, size - 1, smaller, proof), "back");
            }
        }
    }

    function test_nothing_is_included_in_the_empty_tree() public view {
        bytes32[] memory none = new bytes32[](0);
        vm.assertFalse(verifier.isIncluded(Tree.EMPTY, 0, 0, Tree.EMPTY, none), "empty root");
        vm.assertFalse(verifier.isIncluded(bytes32(0), 0, 0, bytes32(0), none), "zero root");
    }

    function test_no_index_beyond_the_last_leaf_is_included() public view {
        bytes32[] memory all = Tree.leaves(4, 9);
        for (uint256 size = 1; size <= 9; ++size) {
            bytes32 root = Tree.root(all, size);
            for (uint256 index = 0; index < size; ++index) {
                bytes32[] memory proof = Tree.inclusion(all, index, size);
                uint256[4] memory beyond =
                    [size, size + index, index + 2 ** 64, type(uint256).max - index];
                for (uint256 i = 0; i < 4; ++i) {
                    vm.assertFalse(
                        verifier.isIncluded(all[index], beyond[i], size, root, proof), "beyond"
                    );
                }
            }
        }
    }

    /// @dev Roots of trees that are deeper than their sizes say, and paths that lead to them.
    function test_a_proof_deeper_than_the_tree_is_refused() public view {
        bytes32[] memory all = Tree.leaves(5, 4);
        bytes32 extra = keccak256("one level more");
        bytes32[] memory proof = longer(Tree.inclusion(all, 1, 4), extra);
        bytes32 root = Tree.root(all, 4);
        bytes32 left = Tree.node(root, extra);
        bytes32 right = Tree.node(extra, root);
        vm.assertFalse(verifier.isIncluded(all[1], 1, 4, left, proof), "inclusion, to the left");
        vm.assertFalse(verifier.isIncluded(all[1], 1, 4, right, proof), "inclusion, to the right");

        for (uint256 oldSize = 1; oldSize < 4; ++oldSize) {
            proof = longer(Tree.consistency(all, oldSize, 4), extra);
            bytes32 old = Tree.root(all, oldSize);
            bytes32[3] memory oldRoots = [old, Tree.node(old, extra), Tree.node(extra, old)];
            for (uint256 i = 0; i < 3; ++i) {
                vm.assertFalse(
                    verifier.isConsistent(oldSize, oldRoots[i], 4, left, proof), "to the left"
                );
                vm.assertFalse(
                    verifier.isConsistent(oldSize, oldRoots[i], 4, right, proof), "to the right"
                );
            }
        }
    }

    function test_every_flipped_bit_of_the_1_to_2_proof_is_refused() public view {
        bytes32[] memory all = Tree.leaves(6, 2);
        bytes32[] memory proof = Tree.consistency(all, 1, 2);
        bytes32 honest = proof[0];
        for (uint256 bit = 0; bit < 256; ++bit) {
            proof[0] = honest ^ bytes32(uint256(1) << bit);
            vm.assertFalse(consistent(all, 1, 2, proof), "flipped bit");
        }
    }

    function testFuzz_every_flipped_byte_of_a_consistency_proof_is_refused(
        uint256 seed,
        uint256 oldSize,
        uint256 newSize,
        uint8 mask
    ) public view {
        bytes32[] memory all;
        (all, oldSize, newSize) = pair(seed, oldSize, newSize);
        bytes32[] memory proof = Tree.consistency(all, oldSize, newSize);
        bytes32 oldRoot = Tree.root(all, oldSize);
        bytes32 newRoot = Tree.root(all, newSize);
        for (uint256 place = 0; place < proof.length * 32; ++place) {
            bytes32 honest = proof[place / 32];
            proof[place / 32] = flipped(honest, place % 32, mask);
            vm.assertFalse(
                verifier.isConsistent(oldSize, oldRoot, newSize, newRoot, proof), "proof"
            );
            proof[place / 32] = honest;
        }
        for (uint256 place = 0; place < 32; ++place) {
            bytes32 other = flipped(oldRoot, place, mask);
            vm.assertFalse(
                verifier.isConsistent(oldSize, other, newSize, newRoot, proof), "old root"
            );
            other = flipped(newRoot, place, mask);
            vm.assertFalse(
                verifier.isConsistent(oldSize, oldRoot, newSize, other, proof), "new root"
            );
        }
        vm.assertTrue(verifier.isConsistent(oldSize, oldRoot, newSize, newRoot, proof), "honest");
    }

    function testFuzz_every_flipped_byte_of_an_inclusion_proof_is_refused(
        uint256 seed,
        uint256 index,
        uint256 size,
        uint8 mask
    ) public view {
        size = within(size, 1, LARGE);
        index = within(index, 0, size - 1);
        bytes32[] memory all = Tree.leaves(seed, size);
        bytes32[] memory proof = Tree.inclusion(all, index, size);
        bytes32 root = Tree.root(all, size);
        for (uint256 place = 0; place < proof.length * 32; ++place) {
            bytes32 honest = proof[place / 32];
            proof[place / 32] = flipped(honest, place % 32, mask);
            vm.assertFalse(verifier.isIncluded(all[index], index, size, root, proof), "proof");
            proof[place / 32] = honest;
        }
        for (uint256 place = 0; place < 32; ++place) {
            bytes32 other = flipped(all[index], place, mask);
            vm.assertFalse(verifier.isIncluded(other, index, size, root, proof), "leaf");
            other = flipped(root, place, mask);
            vm.assertFalse(verifier.isIncluded(all[index], index, size, other, proof), "root");
        }
        vm.assertTrue(verifier.isIncluded(all[index], index, size, root, proof), "honest");
    }

    function testFuzz_proofs_with_a_node_more_less_or_moved_are_refused(
        uint256 seed,
        uint256 oldSize,
        uint256 newSize,
        uint256 index,
        bytes32 extra
    ) public view {
        bytes32[] memory all;
        (all, oldSize, newSize) = pair(seed, oldSize, newSize);
        index = within(index, 0, newSize - 1);

        bytes32[] memory proof = Tree.consistency(all, oldSize, newSize);
        vm.assertFalse(consistent(all, oldSize, newSize, longer(proof, extra)), "more");
        vm.assertFalse(consistent(all, oldSize, newSize, without(proof, 0)), "first one less");
        vm.assertFalse(
            consistent(all, oldSize, newSize, without(proof, proof.length - 1)), "last one less"
        );
        for (uint256 i = 1; i < proof.length; ++i) {
            vm.assertFalse(consistent(all, oldSize, newSize, swapped(proof, i)), "moved");
        }

        proof = Tree.inclusion(all, index, newSize);
        vm.assertFalse(included(all, index, newSize, longer(proof, extra)), "more");
        vm.assertFalse(included(all, index, newSize, without(proof, 0)), "first one less");
        for (uint256 i = 1; i < proof.length; ++i) {
            vm.assertFalse(included(all, index, newSize, swapped(proof, i)), "moved");
        }
    }

    function testFuzz_a_tree_with_one_old_leaf_changed_is_refused(
        uint256 seed,
        uint256 oldSize,
        uint256 newSize,
        uint256 place
    ) public view {
        bytes32[] memory all;
        (all, oldSize, newSize) = pair(seed, oldSize, newSize);
        bytes32 oldRoot = Tree.root(all, oldSize);
        all[within(place, 0, oldSize - 1)] = keccak256("rewritten");
        vm.assertFalse(
            verifier.isConsistent(
                oldSize,
                oldRoot,
                newSize,
                Tree.root(all, newSize),
                Tree.consistency(all, oldSize, newSize)
            ),
            "rewritten history"
        );
    }

    /// @dev A head can't say that there are more leaves than the proof has levels for.
    function testFuzz_a_head_that_claims_more_levels_than_its_proof_covers_is_refused(
        uint256 seed,
        uint256 oldSize,
        uint256 newSize,
        uint64 more
    ) public view {
        bytes32[] memory all;
        (all, oldSize, newSize) = pair(seed, oldSize, newSize);
        uint256 top = 1;
        while (top < newSize) top *= 2;
        uint256 claimed = top + 1 + more;
        vm.assertFalse(
            verifier.isConsistent(
                oldSize,
                Tree.root(all, oldSize),
                claimed,
                Tree.root(all, newSize),
                Tree.consistency(all, oldSize, newSize)
            ),
            "claimed size"
        );
    }

    function testFuzz_no_leaf_is_included_at_another_index(
        uint256 seed,
        uint256 index,
        uint256 size
    ) public view {
        size = within(size, 2, LARGE);
        index = within(index, 0, size - 1);
        bytes32[] memory all = Tree.leaves(seed, size);
        bytes32[] memory proof = Tree.inclusion(all, index, size);
        bytes32 root = Tree.root(all, size);
        for (uint256 other = 0; other < size; ++other) {
            if (other == index) continue;
            vm.assertFalse(verifier.isIncluded(all[index], other, size, root, proof), "other index");
            vm.assertFalse(verifier.isIncluded(all[other], index, size, root, proof), "other leaf");
        }
    }

    function testFuzz_junk_is_refused(
        uint64 oldSize,
        bytes32 oldRoot,
        uint64 newSize,
        bytes32 newRoot,
        bytes32[] calldata proof
    ) public view {
        vm.assertFalse(
            verifier.isConsistent(oldSize, oldRoot, newSize, newRoot, proof), "consistency"
        );
        vm.assertFalse(verifier.isIncluded(oldRoot, oldSize, newSize, newRoot, proof), "inclusion");
    }

    function pair(uint256 seed, uint256 oldSize, uint256 newSize)
        private
        pure
        returns (bytes32[] memory, uint256, uint256)
    {
        newSize = within(newSize, 2, LARGE);
        return (Tree.leaves(seed, newSize), within(oldSize, 1, newSize - 1), newSize);
    }

    function consistent(
        bytes32[] memory all,
        uint256 oldSize,
        uint256 newSize,
        bytes32[] memory proof
    ) private view returns (bool) {
        return verifier.isConsistent(
            oldSize, Tree.root(all, oldSize), newSize, Tree.root(all, newSize), proof
        );
    }

    function included(bytes32[] memory all, uint256 index, uint256 size, bytes32[] memory proof)
        private
        view
        returns (bool)
    {
        return verifier.isIncluded(all[index], index, size, Tree.root(all, size), proof);
    }

    /// @dev `word` with one byte changed, whatever the mask.
    function flipped(bytes32 word, uint256 place, uint8 mask) private pure returns (bytes32) {
        uint256 change = mask == 0 ? 0xff : mask;
        return word ^ bytes32(change << (8 * place));
    }

    function longer(bytes32[] memory proof, bytes32 extra)
        private
        pure
        returns (bytes32[] memory made)
    {
        made = new bytes32[](proof.length + 1);
        for (uint256 i = 0; i < proof.length; ++i) {
            made[i] = proof[i];
        }
        made[proof.length] = extra;
    }

    function without(bytes32[] memory proof, uint256 place)
        private
        pure
        returns (bytes32[] memory made)
    {
        made = new bytes32[](proof.length - 1);
        for (uint256 i = 0; i < made.length; ++i) {
            made[i] = proof[i < place ? i : i + 1];
        }
    }

    function swapped(bytes32[] memory proof, uint256 place)
        private
        pure
        returns (bytes32[] memory made)
    {
        made = new bytes32[](proof.length);
        for (uint256 i = 0; i < proof.length; ++i) {
            made[i] = proof[i];
        }
        (made[place - 1], made[place]) = (made[place], made[place - 1]);
    }
}
