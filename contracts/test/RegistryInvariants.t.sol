// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IModelRegistry} from "../src/IModelRegistry.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {RegistryHandler} from "./RegistryHandler.sol";
import {TestBase} from "./Vm.sol";

/// @dev What holds after any sequence of actions of `RegistryHandler`.
contract RegistryInvariantsTest is TestBase {
    uint256 private constant ACTS = uint256(type(RegistryHandler.Act).max) + 1;

    RegistryHandler private handler;
    ModelRegistry private registry;
    mapping(uint256 act => uint256) private _done;
    mapping(uint256 act => uint256) private _refused;

    function setUp() public {
        handler = new RegistryHandler();
        registry = handler.registry();
    }

    /// @dev forge reads this: it calls nothing else.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// @dev So also: a sequence grows by one or not at all, approvers are neither requester nor registrant, each approval counts once, and
    /// enough distinct ones stand at a promotion; the handler's model says so.
    function invariant_what_may_be_done_is_done_and_nothing_else() public view {
        string memory breach = handler.breach();
        vm.assertTrue(bytes(breach).length == 0, breach);
    }

    function invariant_a_versions_digest_never_changes() public view {
        for (uint64 version = 1; version <= handler.versions(); ++version) {
            IModelRegistry.Version memory v = registry.versionOf(handler.MODEL(), version);
            vm.assertEq(v.digest, handler.digests(version), "digest");
            vm.assertTrue(v.revoked == handler.isRevoked(version), "revoked");
        }
    }

    function invariant_what_is_current_was_approved_or_broke_the_glass() public view {
        for (uint256 target = 0; target < handler.TARGETS(); ++target) {
            (uint64 version, uint64 sequence, IModelRegistry.Cause cause, uint256 since,) =
                handler.current(target);
            (uint64 v, bytes32 digest, uint64 q, uint48 s, IModelRegistry.Cause c,) =
                registry.current(handler.MODEL(), handler.targetId(target));
            vm.assertEq(v, version, "version");
            vm.assertEq(digest, handler.digests(version), "digest");
            vm.assertEq(q, sequence, "sequence");
            vm.assertEq(s, since, "since");
            vm.assertEq(uint256(c), uint256(cause), "cause");
            vm.assertTrue(handler.isAccountedFor(target), "not approved");
        }
    }

    function invariant_closed_proposals_stay_closed() public view {
        for (uint256 i = 0; i < handler.matters(); ++i) {
            (IModelRegistry.Status expected, IModelRegistry.Status found) = handler.statusOf(i);
            vm.assertEq(uint256(found), uint256(expected), "status");
        }
    }

    /// @dev The invariants would mean nothing if the handler's actions came to nothing.
    function test_every_action_of_the_registry_handler_is_done_and_refused() public {
        for (uint256 round = 0; round < 20; ++round) {
            if (round > 0) {
                vm.warp(1_800_000_000);
                setUp(); // else all versions are revoked and all seats given
            }
            for (uint256 step = 0; step < 150; ++step) {
                act(uint256(keccak256(abi.encode(round, step))));
            }
            _count();
            invariant_what_may_be_done_is_done_and_nothing_else();
            invariant_what_is_current_was_approved_or_broke_the_glass();
            invariant_a_versions_digest_never_changes();
            invariant_closed_proposals_stay_closed();
        }
        for (uint256 i = 0; i < ACTS; ++i) {
            RegistryHandler.Act kind = RegistryHandler.Act(i);
            bool attack = kind == RegistryHandler.Act.RegisterAgain
                || kind == RegistryHandler.Act.Replay || kind == RegistryHandler.Act.Overstep;
            vm.assertTrue(attack == (_done[i] == 0), string.concat("done ", _digits(i)));
            vm.assertTrue(_refused[i] > 0, string.concat("refused ", _digits(i)));
        }
    }

    function _count() private {
        for (uint256 i = 0; i < ACTS; ++i) {
            _done[i] += handler.done(RegistryHandler.Act(i));
            _refused[i] += handler.refused_(RegistryHandler.Act(i));
        }
    }

    function act(uint256 seed) private {
        uint256 a = (seed >> 8) & 0xffff;
        uint256 b = (seed >> 24) & 0xffff;
        uint256 c = (seed >> 40) & 0xffff;
        uint256 kind = seed % 22;
        if (kind == 0) handler.register(a);
        else if (kind == 1) handler.registerAgain(a, b);
        else if (kind == 2) handler.revoke(a, b);
        else if (kind == 3) handler.propose(a, b, c, c & 1 == 0);
        else if (kind == 4) handler.approve(a, b);
        else if (kind == 5) handler.approveBySignature(a, b);
        else if (kind == 6) handler.replay(a, b);
        else if (kind == 7) handler.review(a, b);
        else if (kind == 8) handler.reject(a, b, c);
        else if (kind == 9) handler.withdraw(a, b, c);
        else if (kind == 10) handler.promote(a);
        else if (kind == 11) handler.rollBack(a, b, c);
        else if (kind == 12) handler.remove(a, b, c);
        else if (kind == 13) handler.breakGlass(a, b, c);
        else if (kind == 14) handler.join(a);
        else if (kind == 15) handler.quit(a);
        else if (kind == 16) handler.setPolicy(a, c & 1 == 0, b, c);
        else if (kind == 17) handler.pause(a);
        else if (kind == 18) handler.unpause();
        else if (kind == 19) handler.overstep(a, b, c);
        else if (kind == 20) handler.wait(a);
        else handler.decide(a, b);
    }

    function _digits(uint256 number) private pure returns (string memory) {
        return string(abi.encodePacked(uint8(48 + number / 10), uint8(48 + number % 10)));
    }
}
