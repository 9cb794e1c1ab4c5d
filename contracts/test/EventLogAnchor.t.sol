// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {EventLog} from "../src/EventLog.sol";
import {EventLogBase} from "./EventLogBase.sol";
import {Tree} from "./Tree.sol";

/// @dev What becomes a head, what doesn't, and what is included in it.
contract EventLogAnchorTest is EventLogBase {
    bytes32[] private all;

    event HeadAnchored(bytes32 indexed logId, uint64 size, bytes32 root);

    function setUp() public override {
        super.setUp();
        bytes32[] memory made = Tree.leaves(1, 40);
        for (uint256 i = 0; i < made.length; ++i) {
            all.push(made[i]);
        }
    }

    function test_the_first_head_needs_no_proof() public {
        vm.roll(12);
        bytes32 root = Tree.root(all, 7);
        vm.expectEmit(address(eventLog));
        emit HeadAnchored(LOG, 7, root);
        anchor(7, root, none());
        (uint64 size, bytes32 found, uint64 blockNumber) = eventLog.head(LOG);
        vm.assertEq(size, 7, "size");
        vm.assertEq(found, root, "root");
        vm.assertEq(blockNumber, 12, "block");
    }

    function test_the_first_head_may_not_carry_a_proof() public {
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = Tree.EMPTY;
        refusedAsInconsistent(0, 7, Tree.root(all, 7), proof);
        assertHead(LOG, 0, Tree.EMPTY);
    }

    function test_heads_follow_each_other_with_honest_proofs() public {
        uint8[10] memory sizes = [1, 2, 3, 4, 7, 8, 9, 16, 33, 40];
        uint256 last = 0;
        for (uint256 i = 0; i < sizes.length; ++i) {
            vm.roll(100 + i);
            bytes32 root = Tree.root(all, sizes[i]);
            vm.expectEmit(address(eventLog));
            emit HeadAnchored(LOG, sizes[i], root);
            anchorTree(all, last, sizes[i]);
            assertHead(LOG, sizes[i], root);
            (,, uint64 blockNumber) = eventLog.head(LOG);
            vm.assertEq(blockNumber, 100 + i, "block");
            last = sizes[i];
        }
    }

    function test_only_the_writer_anchors() public {
        bytes32 root = Tree.root(all, 3);
        address[3] memory others = [owner, stranger, address(eventLog)];
        for (uint256 i = 0; i < others.length; ++i) {
            refused(abi.encodeWithSelector(EventLog.NotWriter.selector, LOG, others[i]));
            vm.prank(others[i]);
            eventLog.anchor(LOG, 3, root, none());
        }
        assertHead(LOG, 0, Tree.EMPTY);
    }

    function test_nobody_anchors_to_an_unknown_log() public {
        bytes memory unknown = abi.encodeWithSelector(EventLog.UnknownLog.selector, OTHER);
        address[3] memory callers = [writer, owner, address(0)];
        for (uint256 i = 0; i < callers.length; ++i) {
            refused(unknown);
            vm.prank(callers[i]);
            eventLog.anchor(OTHER, 1, keccak256("root"), none());
        }
    }

    function test_nobody_anchors_to_a_closed_log() public {
        anchorTree(all, 0, 3);
        succeed(LOG, OTHER);
        bytes32 root = Tree.root(all, 5);
        bytes32[] memory proof = Tree.consistency(all, 3, 5);
        address[3] memory callers = [writer, owner, address(0)];
        for (uint256 i = 0; i < callers.length; ++i) {
            refused(abi.encodeWithSelector(EventLog.LogClosed.selector, LOG, OTHER));
            vm.prank(callers[i]);
            eventLog.anchor(LOG, 5, root, proof);
        }
        assertHead(LOG, 3, Tree.root(all, 3));
    }

    function test_the_same_head_again_is_refused_by_its_own_error() public {
        anchorTree(all, 0, 5);
        bytes memory again =
            abi.encodeWithSelector(EventLog.AlreadyAnchored.selector, LOG, uint64(5));
        bytes32 root = Tree.root(all, 5);
        refused(again);
        anchor(5, root, none());
        anchorTree(all, 5, 6);
        again = abi.encodeWithSelector(EventLog.AlreadyAnchored.selector, LOG, uint64(6));
        root = Tree.root(all, 6);
        bytes32[] memory proof = Tree.consistency(all, 5, 6);
        refused(again);
        anchor(6, root, proof);
    }

    function test_the_empty_head_again_is_refused() public {
        refused(abi.encodeWithSelector(EventLog.AlreadyAnchored.selector, LOG, uint64(0)));
        anchor(0, Tree.EMPTY, none());
        refusedAsNotGrowing(0, 0, keccak256("root"), none());
    }

    function test_another_root_of_the_same_size_is_refused() public {
        anchorTree(all, 0, 5);
        refusedAsNotGrowing(5, 5, keccak256("another root"), none());
    }

    function test_a_smaller_head_is_refused() public {
        anchorTree(all, 0, 5);
        refusedAsNotGrowing(5, 4, Tree.root(all, 4), Tree.consistency(all, 4, 5));
        refusedAsNotGrowing(5, 0, Tree.EMPTY, none());
        assertHead(LOG, 5, Tree.root(all, 5));
    }

    function test_the_largest_size_is_accepted_and_no_larger_one() public {
        uint64 largest = 2 ** 48 - 1;
        (bytes32 oldRoot, bytes32 newRoot, bytes32[] memory proof) =
            Tree.sketch(largest - 2, largest);
        anchor(largest - 2, oldRoot, none());
        uint64[3] memory tooLarge = [largest + 1, largest + 2, type(uint64).max];
        for (uint256 i = 0; i < tooLarge.length; ++i) {
            refused(abi.encodeWithSelector(EventLog.SizeTooLarge.selector, tooLarge[i]));
            anchor(tooLarge[i], newRoot, proof);
        }
        anchor(largest, newRoot, proof);
        assertHead(LOG, largest, newRoot);
        (address found,,,,,) = eventLog.logInfo(LOG);
        vm.assertEq(found, writer, "the size overwrites nothing");
    }

    function test_a_missing_proof_is_refused() public {
        anchorTree(all, 0, 5);
        refusedAsInconsistent(5, 9, Tree.root(all, 9), none());
    }

    /// @dev Where the proof leaves out the old root, an empty one must not stand for it.
    function test_a_missing_proof_is_refused_from_a_complete_tree() public {
        anchorTree(all, 0, 8);
        refusedAsInconsistent(8, 9, Tree.root(all, 9), none());
        refusedAsInconsistent(8, 9, Tree.root(all, 8), none());
        refusedAsInconsistent(8, 16, Tree.root(all, 8), none());
    }

    function test_a_longer_proof_is_refused() public {
        anchorTree(all, 0, 5);
        bytes32[] memory honest = Tree.consistency(all, 5, 9);
        bytes32[] memory proof = new bytes32[](honest.length + 1);
        for (uint256 i = 0; i < honest.length; ++i) {
            proof[i] = honest[i];
        }
        refusedAsInconsistent(5, 9, Tree.root(all, 9), proof);
        proof[honest.length] = honest[honest.length - 1];
        refusedAsInconsistent(5, 9, Tree.root(all, 9), proof);
    }

    function test_a_shorter_proof_is_refused() public {
        anchorTree(all, 0, 5);
        bytes32[] memory honest = Tree.consistency(all, 5, 9);
        for (uint256 length = 0; length < honest.length; ++length) {
            bytes32[] memory proof = new bytes32[](length);
            for (uint256 i = 0; i < length; ++i) {
                proof[i] = honest[i];
            }
            refusedAsInconsistent(5, 9, Tree.root(all, 9), proof);
        }
    }

    function test_a_proof_for_other_sizes_is_refused() public {
        anchorTree(all, 0, 5);
        for (uint256 from = 1; from < 12; ++from) {
            for (uint256 to = from + 1; to <= 12; ++to) {
                if (from == 5 && to == 11) continue;
                refusedAsInconsistent(5, 11, Tree.root(all, 11), Tree.consistency(all, from, to));
            }
        }
        anchorTree(all, 5, 11);
    }

    function test_another_history_is_refused() public {
        anchorTree(all, 0, 5);
        for (uint256 changed = 0; changed < 5; ++changed) {
            bytes32[] memory other = all;
            other[changed] = keccak256("rewritten");
            refusedAsInconsistent(5, 9, Tree.root(other, 9), Tree.consistency(other, 5, 9));
        }
        assertHead(LOG, 5, Tree.root(all, 5));
    }

    function testFuzz_every_flipped_byte_of_the_proof_is_refused(
        uint256 seed,
        uint64 oldSize,
        uint64 newSize,
        uint8 mask
    ) public {
        newSize = uint64(within(newSize, 2, 70));
        oldSize = uint64(within(oldSize, 1, newSize - 1));
        bytes32[] memory tree = Tree.leaves(seed, newSize);
        anchorTree(tree, 0, oldSize);
        bytes32[] memory proof = Tree.consistency(tree, oldSize, newSize);
        bytes32 root = Tree.root(tree, newSize);
        uint256 change = mask == 0 ? 0xff : mask;
        for (uint256 place = 0; place < 32 * proof.length; ++place) {
            bytes32 honest = proof[place / 32];
            proof[place / 32] = honest ^ bytes32(change << (8 * (place % 32)));
            refusedAsInconsistent(oldSize, newSize, root, proof);
            proof[place / 32] = honest;
        }
        for (uint256 place = 0; place < 32; ++place) {
            refusedAsInconsistent(oldSize, newSize, root ^ bytes32(change << (8 * place)), proof);
        }
        anchor(newSize, root, proof);
        assertHead(LOG, newSize, root);
    }

    function test_a_root_of_zero_does_not_make_the_log_unknown() public {
        anchor(1, bytes32(0), none());
        assertHead(LOG, 1, bytes32(0));
        vm.assertTrue(eventLog.verifyInclusion(LOG, bytes32(0), 0, none()), "its only leaf");
        succeed(LOG, OTHER);
        assertHead(LOG, 1, bytes32(0));
        refused(abi.encodeWithSelector(EventLog.LogExists.selector, LOG));
        open(LOG, writer);
    }

    function test_logs_do_not_touch_each_other() public {
        open(OTHER, stranger);
        bytes32[] memory tree = Tree.leaves(2, 9);
        bytes32 root = Tree.root(tree, 4);
        anchorTree(all, 0, 5);
        vm.prank(stranger);
        eventLog.anchor(OTHER, 4, root, none());
        assertHead(LOG, 5, Tree.root(all, 5));
        assertHead(OTHER, 4, root);
        anchorTree(all, 5, 9);
        assertHead(OTHER, 4, root);
        refused(abi.encodeWithSelector(EventLog.NotWriter.selector, OTHER, writer));
        vm.prank(writer);
        eventLog.anchor(OTHER, 9, root, none());
    }

    function test_every_anchored_leaf_is_included_and_no_other() public {
        anchorTree(all, 0, 13);
        for (uint256 i = 0; i < 13; ++i) {
            bytes32[] memory proof = Tree.inclusion(all, i, 13);
            vm.assertTrue(included(all[i], i, proof), "included");
            vm.assertFalse(included(all[i + 1], i, proof), "other leaf");
            vm.assertFalse(included(all[i], i + 1, proof), "other index");
            vm.assertFalse(included(all[i], i, none()), "no proof");
            vm.assertFalse(included(all[i], i + 13, proof), "beyond the head");
        }
        vm.assertFalse(included(all[13], 13, Tree.inclusion(all, 13, 14)), "not yet anchored");
    }

    function test_inclusion_is_against_the_current_head() public {
        anchorTree(all, 0, 5);
        bytes32[] memory outdated = Tree.inclusion(all, 2, 5);
        vm.assertTrue(included(all[2], 2, outdated), "current");
        anchorTree(all, 5, 9);
        vm.assertFalse(included(all[2], 2, outdated), "outdated");
        vm.assertTrue(included(all[2], 2, Tree.inclusion(all, 2, 9)), "current");
    }

    function test_nothing_is_included_in_an_empty_log() public view {
        vm.assertFalse(included(Tree.EMPTY, 0, none()), "the empty root");
        vm.assertFalse(included(all[0], 0, none()), "a leaf");
    }

    function test_inclusion_in_an_unknown_log_is_an_error() public {
        refused(abi.encodeWithSelector(EventLog.UnknownLog.selector, OTHER));
        eventLog.verifyInclusion(OTHER, all[0], 0, none());
    }

    function test_a_closed_log_still_proves_its_leaves() public {
        anchorTree(all, 0, 9);
        succeed(LOG, OTHER);
        for (uint256 i = 0; i < 9; ++i) {
            vm.assertTrue(included(all[i], i, Tree.inclusion(all, i, 9)), "included");
        }
    }

    function included(bytes32 leaf, uint256 index, bytes32[] memory proof)
        private
        view
        returns (bool)
    {
        return eventLog.verifyInclusion(LOG, leaf, uint64(index), proof);
    }

    /// @dev The arguments are hashed before forge waits for a revert: SHA-256 is a call, too.
    function refusedAsInconsistent(
        uint64 size,
        uint64 newSize,
        bytes32 root,
        bytes32[] memory proof
    ) private {
        refused(abi.encodeWithSelector(EventLog.InconsistentHead.selector, LOG, size, newSize));
        anchor(newSize, root, proof);
    }

    function refusedAsNotGrowing(uint64 size, uint64 newSize, bytes32 root, bytes32[] memory proof)
        private
    {
        refused(abi.encodeWithSelector(EventLog.NotGrowing.selector, LOG, size, newSize));
        anchor(newSize, root, proof);
    }
}
