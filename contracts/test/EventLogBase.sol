// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {EventLog} from "../src/EventLog.sol";
import {Tree} from "./Tree.sol";
import {TestBase} from "./Vm.sol";

/// @dev A contract with one open, empty log.
abstract contract EventLogBase is TestBase {
    bytes32 internal constant LOG = keccak256("log");
    bytes32 internal constant OTHER = keccak256("other log");
    bytes32 internal constant REASON = keccak256("salted reason");

    address internal immutable owner = account("owner");
    address internal immutable writer = account("writer");
    address internal immutable stranger = account("stranger");

    EventLog internal eventLog;

    function setUp() public virtual {
        eventLog = new EventLog(owner);
        open(LOG, writer);
    }

    function open(bytes32 logId, address logWriter) internal {
        vm.prank(owner);
        eventLog.openLog(logId, logWriter);
    }

    function succeed(bytes32 oldLogId, bytes32 newLogId) internal {
        vm.prank(owner);
        eventLog.succeedLog(oldLogId, newLogId, writer, REASON);
    }

    function anchor(uint256 size, bytes32 root, bytes32[] memory proof) internal {
        vm.prank(writer);
        eventLog.anchor(LOG, uint64(size), root, proof);
    }

    /// @dev Anchors the next head of a tree, with its proof.
    function anchorTree(bytes32[] memory all, uint256 oldSize, uint256 newSize) internal {
        anchor(newSize, Tree.root(all, newSize), proofOf(all, oldSize, newSize));
    }

    function proofOf(bytes32[] memory all, uint256 oldSize, uint256 newSize)
        internal
        pure
        returns (bytes32[] memory)
    {
        return oldSize == 0 ? none() : Tree.consistency(all, oldSize, newSize);
    }

    function none() internal pure returns (bytes32[] memory) {
        return new bytes32[](0);
    }

    function assertHead(bytes32 logId, uint256 size, bytes32 root) internal view {
        (uint64 foundSize, bytes32 foundRoot,) = eventLog.head(logId);
        vm.assertEq(foundSize, size, "size");
        vm.assertEq(foundRoot, root, "root");
    }
}
