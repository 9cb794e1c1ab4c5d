// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {EventLogBase} from "./EventLogBase.sol";
import {Tree} from "./Tree.sol";

/// @dev The tree of eight leaves with which implementations of Certificate Transparency are tested.
/// Its roots, and therefore its inner nodes, are published; the proofs are written down here node by
/// node, so they don't come from our own code.
contract PublicVectorsTest is EventLogBase {
    /// @dev Root of the first i leaves.
    bytes32[9] private roots = [
        bytes32(0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855),
        0x6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d,
        0xfac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125,
        0xaeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77,
        0xd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7,
        0x4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4,
        0x76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef,
        0xddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c,
        0x5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328
    ];

    /// @dev Nodes of the tree, as CT's vectors name them in their proofs.
    bytes32 private constant LEAF_1 =
        0x96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7;
    bytes32 private constant LEAF_4 =
        0xbc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b;
    bytes32 private constant NODE_2_4 =
        0x5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e;
    bytes32 private constant NODE_4_6 =
        0x0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a;
    bytes32 private constant NODE_4_8 =
        0x6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4;
    bytes32 private constant NODE_6_8 =
        0xca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0;

    function data() private pure returns (bytes[8] memory) {
        return [
            bytes(""),
            hex"00",
            hex"10",
            hex"2021",
            hex"3031",
            hex"40414243",
            hex"5051525354555657",
            hex"606162636465666768696a6b6c6d6e6f"
        ];
    }

    function leaves() private pure returns (bytes32[] memory all) {
        bytes[8] memory texts = data();
        all = new bytes32[](8);
        for (uint256 i = 0; i < 8; ++i) {
            all[i] = Tree.leafOf(texts[i]);
        }
    }

    function test_our_trees_have_the_published_roots() public view {
        bytes32[] memory all = leaves();
        for (uint256 size = 0; size <= 8; ++size) {
            vm.assertEq(Tree.root(all, size), roots[size], "root");
        }
    }

    function test_the_contract_accepts_the_published_consistency_proofs() public {
        accepted(1, 8, nodes(LEAF_1, NODE_2_4, NODE_4_8));
        accepted(6, 8, nodes(NODE_4_6, NODE_6_8, roots[4]));
        accepted(2, 5, nodes(NODE_2_4, LEAF_4));
    }

    function test_the_contract_accepts_the_published_inclusion_proofs() public {
        bytes32[] memory all = leaves();
        anchor(8, roots[8], none());
        bytes32[] memory first = nodes(LEAF_1, NODE_2_4, NODE_4_8);
        bytes32[] memory sixth = nodes(LEAF_4, NODE_6_8, roots[4]);
        vm.assertTrue(eventLog.verifyInclusion(LOG, all[0], 0, first), "leaf 0 of 8");
        vm.assertTrue(eventLog.verifyInclusion(LOG, all[5], 5, sixth), "leaf 5 of 8");
        bytes32[] memory second = nodes(roots[1], NODE_2_4, LEAF_4);
        anchorOther(OTHER, 5);
        vm.assertTrue(eventLog.verifyInclusion(OTHER, all[1], 1, second), "leaf 1 of 5");
        anchorOther(keccak256("third"), 3);
        vm.assertTrue(
            eventLog.verifyInclusion(keccak256("third"), all[2], 2, nodes(roots[2])), "leaf 2 of 3"
        );
    }

    /// @dev Anchors both heads to a log of their own.
    function accepted(uint64 oldSize, uint64 newSize, bytes32[] memory proof) private {
        bytes32 logId = keccak256(abi.encode(oldSize, newSize));
        anchorOther(logId, oldSize);
        vm.prank(writer);
        eventLog.anchor(logId, newSize, roots[newSize], proof);
        assertHead(logId, newSize, roots[newSize]);
    }

    function anchorOther(bytes32 logId, uint64 size) private {
        open(logId, writer);
        vm.prank(writer);
        eventLog.anchor(logId, size, roots[size], none());
    }

    function nodes(bytes32 a) private pure returns (bytes32[] memory made) {
        made = new bytes32[](1);
        made[0] = a;
    }

    function nodes(bytes32 a, bytes32 b) private pure returns (bytes32[] memory made) {
        made = new bytes32[](2);
        (made[0], made[1]) = (a, b);
    }

    function nodes(bytes32 a, bytes32 b, bytes32 c) private pure returns (bytes32[] memory made) {
        made = new bytes32[](3);
        (made[0], made[1], made[2]) = (a, b, c);
    }
}
