// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {EventLog} from "../src/EventLog.sol";
import {EventLogBase} from "./EventLogBase.sol";
import {Tree} from "./Tree.sol";

/// @dev Opening, rotating, succeeding, listing, owning.
contract EventLogAdminTest is EventLogBase {
    bytes32 private constant THIRD = keccak256("third log");

    event LogOpened(bytes32 indexed logId, address indexed writer);
    event LogSucceeded(
        bytes32 indexed oldLogId,
        bytes32 indexed newLogId,
        uint64 size,
        bytes32 root,
        bytes32 reason
    );
    event WriterRotated(
        bytes32 indexed logId, address indexed oldWriter, address indexed newWriter
    );

    function test_deployment_needs_an_owner() public {
        refused(abi.encodeWithSelector(Ownable.OwnableInvalidOwner.selector, address(0)));
        new EventLog(address(0));
    }

    function test_deployment_is_refused_on_a_chain_without_sha256() public {
        bytes[3] memory answers = [bytes(""), abi.encode(bytes32(0)), abi.encode(Tree.EMPTY, 0)];
        for (uint256 i = 0; i < 3; ++i) {
            vm.mockCall(address(2), "", answers[i]);
            refused(abi.encodeWithSelector(EventLog.Sha256Unavailable.selector));
            new EventLog(owner);
        }
        vm.clearMockedCalls();
        vm.assertEq(new EventLog(owner).owner(), owner, "owner");
    }

    function test_an_opened_log_is_empty_and_listed() public {
        vm.roll(77);
        vm.expectEmit(address(eventLog));
        emit LogOpened(OTHER, stranger);
        open(OTHER, stranger);

        (uint64 size, bytes32 root, uint64 blockNumber) = eventLog.head(OTHER);
        vm.assertEq(size, 0, "size");
        vm.assertEq(root, Tree.EMPTY, "root");
        vm.assertEq(blockNumber, 77, "block");
        assertInfo(OTHER, stranger, 77, 0, 0, 0, 0);
        vm.assertEq(eventLog.currentLog(OTHER), OTHER, "current");
        vm.assertEq(eventLog.logCount(), 2, "count");
        vm.assertEq(eventLog.logAt(0), LOG, "first");
        vm.assertEq(eventLog.logAt(1), OTHER, "second");
    }

    function test_only_the_owner_opens_logs() public {
        refusedAsNotOwner(writer);
        eventLog.openLog(OTHER, writer);
    }

    function test_a_log_needs_an_id_and_a_writer() public {
        refused(abi.encodeWithSelector(EventLog.ZeroLogId.selector));
        open(0, writer);
        refused(abi.encodeWithSelector(EventLog.ZeroAddress.selector));
        open(OTHER, address(0));
        vm.assertEq(eventLog.logCount(), 1, "count");
    }

    function test_an_id_is_used_once() public {
        refused(abi.encodeWithSelector(EventLog.LogExists.selector, LOG));
        open(LOG, writer);
        succeed(LOG, OTHER);
        refused(abi.encodeWithSelector(EventLog.LogExists.selector, LOG));
        open(LOG, writer);
        refused(abi.encodeWithSelector(EventLog.LogExists.selector, OTHER));
        open(OTHER, writer);
    }

    function test_there_is_no_log_at_an_index_beyond_the_last() public {
        refused(abi.encodeWithSelector(EventLog.NoLogAtIndex.selector, 1));
        eventLog.logAt(1);
        refused(abi.encodeWithSelector(EventLog.NoLogAtIndex.selector, type(uint256).max));
        eventLog.logAt(type(uint256).max);
    }

    function test_views_of_an_unknown_log_are_errors() public {
        bytes memory unknown = abi.encodeWithSelector(EventLog.UnknownLog.selector, OTHER);
        refused(unknown);
        eventLog.head(OTHER);
        refused(unknown);
        eventLog.logInfo(OTHER);
        refused(abi.encodeWithSelector(EventLog.UnknownLog.selector, bytes32(0)));
        eventLog.head(0);
    }

    function test_an_unknown_log_has_no_successor() public {
        bytes memory unknown = abi.encodeWithSelector(EventLog.UnknownLog.selector, OTHER);
        refused(unknown);
        eventLog.currentLog(OTHER);
        refused(unknown);
        succeed(OTHER, THIRD);
        refused(unknown);
        succeed(OTHER, OTHER);
    }

    function test_after_rotation_only_the_new_writer_anchors() public {
        vm.expectEmit(address(eventLog));
        emit WriterRotated(LOG, writer, stranger);
        vm.prank(owner);
        eventLog.rotateWriter(LOG, stranger);
        assertInfo(LOG, stranger, 1, 0, 0, 0, 0);

        refused(abi.encodeWithSelector(EventLog.NotWriter.selector, LOG, writer));
        anchor(1, keccak256("root"), none());
        vm.prank(stranger);
        eventLog.anchor(LOG, 1, keccak256("root"), none());
        assertHead(LOG, 1, keccak256("root"));
    }

    function test_only_the_owner_rotates_writers() public {
        refusedAsNotOwner(writer);
        eventLog.rotateWriter(LOG, writer);
        refusedAsNotOwner(stranger);
        eventLog.rotateWriter(LOG, stranger);
    }

    function test_rotation_needs_an_open_log_and_a_writer() public {
        refused(abi.encodeWithSelector(EventLog.ZeroAddress.selector));
        vm.prank(owner);
        eventLog.rotateWriter(LOG, address(0));
        refused(abi.encodeWithSelector(EventLog.UnknownLog.selector, OTHER));
        vm.prank(owner);
        eventLog.rotateWriter(OTHER, writer);
        succeed(LOG, OTHER);
        refused(abi.encodeWithSelector(EventLog.LogClosed.selector, LOG, OTHER));
        vm.prank(owner);
        eventLog.rotateWriter(LOG, writer);
    }

    function test_succession_closes_the_old_log_and_opens_the_new_one() public {
        bytes32 root = keccak256("root");
        vm.roll(5);
        anchor(9, root, none());
        vm.roll(6);
        vm.expectEmit(address(eventLog));
        emit LogOpened(OTHER, stranger);
        vm.expectEmit(address(eventLog));
        emit LogSucceeded(LOG, OTHER, 9, root, REASON);
        vm.prank(owner);
        eventLog.succeedLog(LOG, OTHER, stranger, REASON);

        (uint64 size, bytes32 kept, uint64 blockNumber) = eventLog.head(LOG);
        vm.assertEq(size, 9, "size");
        vm.assertEq(kept, root, "root");
        vm.assertEq(blockNumber, 5, "block of the last head");
        assertInfo(LOG, address(0), 1, OTHER, 0, 6, REASON);
        assertHead(OTHER, 0, Tree.EMPTY);
        assertInfo(OTHER, stranger, 6, 0, LOG, 0, 0);
        vm.assertEq(eventLog.logCount(), 2, "count");
        vm.assertEq(eventLog.logAt(1), OTHER, "listed");
    }

    function test_only_the_owner_declares_a_successor() public {
        refusedAsNotOwner(writer);
        eventLog.succeedLog(LOG, OTHER, writer, REASON);
    }

    function test_a_log_is_succeeded_once() public {
        succeed(LOG, OTHER);
        refused(abi.encodeWithSelector(EventLog.LogClosed.selector, LOG, OTHER));
        succeed(LOG, THIRD);
    }

    function test_a_successor_is_always_a_new_log() public {
        open(OTHER, writer);
        refused(abi.encodeWithSelector(EventLog.LogExists.selector, OTHER));
        succeed(LOG, OTHER);
        refused(abi.encodeWithSelector(EventLog.LogExists.selector, LOG));
        succeed(LOG, LOG);
        succeed(LOG, THIRD);
        refused(abi.encodeWithSelector(EventLog.LogExists.selector, LOG));
        succeed(THIRD, LOG);
        assertInfo(THIRD, writer, 1, 0, LOG, 0, 0);
    }

    function test_a_successor_needs_an_id_and_a_writer() public {
        refused(abi.encodeWithSelector(EventLog.ZeroLogId.selector));
        succeed(LOG, 0);
        refused(abi.encodeWithSelector(EventLog.ZeroAddress.selector));
        vm.prank(owner);
        eventLog.succeedLog(LOG, OTHER, address(0), REASON);
        assertInfo(LOG, writer, 1, 0, 0, 0, 0);
    }

    function test_current_log_follows_every_successor() public {
        bytes32 last = LOG;
        for (uint256 i = 0; i < 5; ++i) {
            bytes32 next = keccak256(abi.encode("successor", i));
            succeed(last, next);
            last = next;
        }
        open(OTHER, writer);
        for (uint256 i = 0; i < 6; ++i) {
            vm.assertEq(eventLog.currentLog(eventLog.logAt(i)), last, "current");
        }
        vm.assertEq(eventLog.currentLog(OTHER), OTHER, "another line");
    }

    function test_ownership_moves_in_two_steps() public {
        vm.prank(owner);
        eventLog.transferOwnership(stranger);
        vm.assertEq(eventLog.owner(), owner, "still the old owner");
        refusedAsNotOwner(stranger);
        eventLog.openLog(OTHER, writer);
        refusedAsNotOwner(writer);
        eventLog.acceptOwnership();

        vm.prank(stranger);
        eventLog.acceptOwnership();
        vm.assertEq(eventLog.owner(), stranger, "new owner");
        refusedAsNotOwner(owner);
        eventLog.openLog(OTHER, writer);
        vm.prank(stranger);
        eventLog.openLog(OTHER, writer);
    }

    /// @dev The next call comes from `caller` and must be refused because it isn't the owner.
    function refusedAsNotOwner(address caller) private {
        refused(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, caller));
        vm.prank(caller);
    }

    function assertInfo(
        bytes32 logId,
        address logWriter,
        uint64 openedBlock,
        bytes32 successor,
        bytes32 predecessor,
        uint64 closedBlock,
        bytes32 reason
    ) private view {
        bytes32 expected = keccak256(
            abi.encode(logWriter, openedBlock, successor, predecessor, closedBlock, reason)
        );
        (address a, uint64 b, bytes32 c, bytes32 d, uint64 e, bytes32 f) = eventLog.logInfo(logId);
        vm.assertEq(a, logWriter, "writer");
        vm.assertEq(keccak256(abi.encode(a, b, c, d, e, f)), expected, "info");
    }
}
