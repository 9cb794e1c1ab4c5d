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

    /// @dev The invariants would mean nothing if the handler's actions came to nothing.
    function test_every_action_of_the_handler_does_something() public {
        handler.anchor(1, 3);
        handler.anchor(1, 2);
        vm.assertEq(handler.anchored(), 3, "anchored");
        handler.open(2);
        vm.assertEq(handler.count(), 3, "opened");
        handler.rotate(2, 1);
        vm.assertEq(handler.model(handler.ids(2)).writer, address(1002), "rotated");
        handler.succeed(2, 0);
        vm.assertEq(handler.model(handler.ids(2)).successor, handler.ids(3), "succeeded");

        handler.anchorAsAnother(0, 1, 0);
        handler.anchorForgedProof(0, 1, 7, 1);
        handler.anchorCutProof(0, 1);
        handler.anchorRewrittenHistory(0, 1, 2);
        vm.assertEq(handler.refused(), 4, "refused to anchor");
        handler.anchorWithoutGrowth(0, 4);
        vm.assertEq(handler.refused(), 6, "refused without growth");
        handler.actOnClosedLog(2, 1, 0);
        vm.assertEq(handler.refused(), 10, "refused on a closed log");
        handler.reuseId(0, 1);
        vm.assertEq(handler.refused(), 12, "refused used ids");
        handler.administerAsAnother(0, 0);
        vm.assertEq(handler.refused(), 18, "refused to a stranger");
        invariant_no_log_shrinks_and_what_must_be_refused_is_refused();
    }

    /// @dev Runs once at the end of every sequence.
    function afterInvariant() public view {
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
