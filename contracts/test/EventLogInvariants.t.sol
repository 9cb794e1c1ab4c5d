// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {EventLog} from "../src/EventLog.sol";
import {LogHandler} from "./LogHandler.sol";
import {Tree} from "./Tree.sol";
import {TestBase} from "./Vm.sol";

/// @dev What holds after any sequence of actions of `LogHandler`.
contract EventLogInvariantsTest is TestBase {
    LogHandler private handler;
    EventLog private eventLog;

    function setUp() public {
        handler = new LogHandler();
        eventLog = handler.eventLog();
    }

    /// @dev forge reads this: it calls nothing else.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_no_log_shrinks_and_what_must_be_refused_is_refused() public view {
        string memory breach = handler.breach();
        vm.assertTrue(bytes(breach).length == 0, breach);
    }

    function invariant_heads_are_what_the_writers_anchored() public view {
        for (uint256 i = 0; i < handler.count(); ++i) {
            bytes32 id = handler.ids(i);
            LogHandler.Model memory expected = handler.model(id);
            (uint64 size, bytes32 root, uint64 blockNumber) = eventLog.head(id);
            vm.assertEq(size, expected.size, "size");
            vm.assertEq(root, expected.root, "root");
            vm.assertEq(blockNumber, expected.headBlock, "block");
            (address writer,,,,,) = eventLog.logInfo(id);
            vm.assertEq(writer, expected.writer, "writer");
        }
    }

    function invariant_an_anchored_leaf_stays_included() public view {
        for (uint256 i = 0; i < handler.count(); ++i) {
            bytes32 id = handler.ids(i);
            bytes32[] memory all = handler.leavesOf(id);
            if (all.length == 0) continue;
            isIncluded(id, all, 0);
            isIncluded(id, all, all.length / 3);
            isIncluded(id, all, all.length - 1);
        }
    }

    function invariant_closed_logs_stay_closed_and_lead_to_an_open_one() public view {
        for (uint256 i = 0; i < handler.count(); ++i) {
            bytes32 id = handler.ids(i);
            LogHandler.Model memory expected = handler.model(id);
            (
                address writer,
                uint64 openedBlock,
                bytes32 successor,
                bytes32 predecessor,
                uint64 closedBlock,
                bytes32 reason
            ) = eventLog.logInfo(id);
            vm.assertEq(successor, expected.successor, "successor");
            vm.assertEq(predecessor, expected.predecessor, "predecessor");
            vm.assertEq(reason, expected.reason, "reason");
            bool closed = successor != 0;
            vm.assertTrue(closed == (writer == address(0)), "closed or open");
            vm.assertTrue(closed == (closedBlock != 0), "closed or open");
            if (closed) {
                vm.assertTrue(openedBlock <= closedBlock, "opened, then closed");
                (,,, bytes32 back,,) = eventLog.logInfo(successor);
                vm.assertEq(back, id, "successor and predecessor");
            }
            (address last,,,,,) = eventLog.logInfo(eventLog.currentLog(id));
            vm.assertTrue(last != address(0), "the line ends in an open log");
        }
    }

    function invariant_every_log_is_listed_once() public view {
        vm.assertEq(eventLog.logCount(), handler.count(), "a log is missing");
        for (uint256 i = 0; i < handler.count(); ++i) {
            vm.assertEq(eventLog.logAt(i), handler.ids(i), "order of opening");
        }
    }

    /// @dev Runs once at the end of every sequence.
    function afterInvariant() public view {
        vm.assertTrue(handler.anchored() > 1, "the handler anchored");
        vm.assertTrue(handler.refused() > 10, "the handler attacked");
        for (uint256 i = 0; i < handler.count(); ++i) {
            bytes32 id = handler.ids(i);
            bytes32[] memory all = handler.leavesOf(id);
            for (uint256 index = 0; index < all.length; ++index) {
                isIncluded(id, all, index);
            }
        }
    }

    function isIncluded(bytes32 id, bytes32[] memory all, uint256 index) private view {
        bytes32[] memory proof = Tree.inclusion(all, index, all.length);
        bool included = eventLog.verifyInclusion(id, all[index], uint64(index), proof);
        vm.assertTrue(included, "an anchored leaf is not included");
    }
}
