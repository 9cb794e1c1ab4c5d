// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ApproverGroups} from "../src/ApproverGroups.sol";
import {IModelRegistry} from "../src/IModelRegistry.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {Proposal} from "../src/Proposals.sol";
import {RegistryBase} from "./RegistryBase.sol";

/// @dev Roles, groups, policies, pause, succession.
contract RegistryControlTest is RegistryBase {
    bytes32 private constant ADMIN_ROLE = 0;

    function test_a_registry_needs_an_admin_and_a_salt() public {
        refused(abi.encodeWithSelector(IModelRegistry.ZeroValue.selector));
        new ModelRegistry(address(0), SALT_HASH);
        refused(abi.encodeWithSelector(IModelRegistry.ZeroValue.selector));
        new ModelRegistry(admin, 0);
        vm.assertEq(registry.SALT_HASH(), SALT_HASH, "salt hash");
        vm.assertEq(registry.ANY_MODEL(), bytes32(0), "any model");
        vm.assertTrue(registry.hasRole(ADMIN_ROLE, admin), "admin");
        vm.assertFalse(registry.hasRole(ADMIN_ROLE, address(this)), "deployer");
    }

    function test_the_domain_is_ours() public view {
        (, string memory name, string memory version, uint256 chain, address where,,) =
            registry.eip712Domain();
        vm.assertEq(keccak256(bytes(name)), keccak256("mlops-chain"), "name");
        vm.assertEq(keccak256(bytes(version)), keccak256("1"), "version");
        vm.assertEq(chain, block.chainid, "chain");
        vm.assertEq(where, address(registry), "contract");
    }

    // --- roles

    function test_nobody_but_an_admin_administers() public {
        address[4] memory others = [registrar, rita, breaker, alice];
        for (uint256 i = 0; i < others.length; ++i) {
            bytes memory reason = notRole(others[i], ADMIN_ROLE);
            vm.startPrank(others[i]);
            refused(reason);
            registry.setPolicy(ANY, TARGET, policy(1));
            refused(reason);
            registry.addApprover(GROUP, dave);
            refused(reason);
            registry.removeApprover(GROUP, alice);
            refused(reason);
            registry.succeed(dave, REASON);
            refused(reason);
            registry.unpause();
            refused(reason);
            registry.grantRole(ADMIN_ROLE, others[i]);
            vm.stopPrank();
        }
    }

    function test_an_admin_has_no_other_role() public {
        bytes32 registrarRole = registry.REGISTRAR_ROLE();
        bytes32 breakerRole = registry.BREAKER_ROLE();
        bytes32 requesterRole = registry.REQUESTER_ROLE();
        Proposal memory p = request(1);
        p.requester = admin;
        vm.startPrank(admin);
        refused(notRole(admin, registrarRole));
        registry.registerVersion(MODEL, 9, digestOf(9), 0);
        refused(notRole(admin, breakerRole));
        registry.revokeVersion(MODEL, 1, REASON);
        refused(notRole(admin, breakerRole));
        registry.breakGlass(p, REASON);
        refused(notRole(admin, requesterRole));
        registry.propose(p, "");
        vm.stopPrank();
    }

    function test_a_revoked_role_is_gone() public {
        bytes32 role = registry.REGISTRAR_ROLE();
        vm.prank(admin);
        registry.revokeRole(role, registrar);
        vm.prank(registrar);
        refused(notRole(registrar, role));
        registry.registerVersion(MODEL, 9, digestOf(9), 0);
    }

    function test_interfaces_are_declared() public view {
        vm.assertTrue(registry.supportsInterface(0x01ffc9a7), "ERC-165");
        vm.assertTrue(registry.supportsInterface(0x7965db0b), "AccessControl");
        vm.assertFalse(registry.supportsInterface(0xffffffff), "none");
    }

    // --- groups

    function test_members_have_seats_in_the_order_they_joined() public {
        vm.expectEmit(address(registry));
        emit ApproverGroups.ApproverAdded(GROUP, dave, 3);
        addApprover(dave);
        (address[] memory accounts, uint64 taken) = registry.approversOf(GROUP);
        vm.assertEq(accounts.length, 4, "members");
        vm.assertEq(accounts[0], alice, "first");
        vm.assertEq(accounts[3], dave, "last");
        vm.assertEq(taken, 15, "taken");
        vm.assertTrue(registry.isApprover(GROUP, dave), "member");
        vm.assertFalse(registry.isApprover(OTHER_GROUP, dave), "member of another group");
    }

    function test_a_removed_member_leaves_a_seat_empty_and_gets_another() public {
        vm.expectEmit(address(registry));
        emit ApproverGroups.ApproverRemoved(GROUP, bob, 1);
        removeApprover(bob);
        vm.assertFalse(registry.isApprover(GROUP, bob), "member");
        (address[] memory accounts, uint64 taken) = registry.approversOf(GROUP);
        vm.assertEq(accounts.length, 3, "history stays");
        vm.assertEq(taken, 5, "taken");
        addApprover(bob);
        (accounts, taken) = registry.approversOf(GROUP);
        vm.assertEq(accounts.length, 4, "a new seat");
        vm.assertEq(accounts[3], bob, "whose");
        vm.assertEq(taken, 13, "taken");
    }

    function test_a_member_is_added_once_and_removed_once() public {
        vm.startPrank(admin);
        refused(abi.encodeWithSelector(ApproverGroups.AlreadyApprover.selector, GROUP, alice));
        registry.addApprover(GROUP, alice);
        refused(abi.encodeWithSelector(ApproverGroups.NotApprover.selector, GROUP, dave));
        registry.removeApprover(GROUP, dave);
        refused(abi.encodeWithSelector(ApproverGroups.NotApprover.selector, OTHER_GROUP, alice));
        registry.removeApprover(OTHER_GROUP, alice);
        registry.removeApprover(GROUP, alice);
        refused(abi.encodeWithSelector(ApproverGroups.NotApprover.selector, GROUP, alice));
        registry.removeApprover(GROUP, alice);
        vm.stopPrank();
    }

    function test_neither_a_group_nor_a_member_is_zero() public {
        vm.startPrank(admin);
        refused(abi.encodeWithSelector(ApproverGroups.InvalidApprover.selector, bytes32(0), alice));
        registry.addApprover(0, alice);
        refused(abi.encodeWithSelector(ApproverGroups.InvalidApprover.selector, GROUP, address(0)));
        registry.addApprover(GROUP, address(0));
        vm.stopPrank();
        vm.assertFalse(registry.isApprover(0, address(0)), "nobody");
        vm.assertFalse(registry.isApprover(OTHER_GROUP, address(0)), "nobody");
    }

    function test_a_group_gives_64_seats_and_no_more() public {
        vm.startPrank(admin);
        for (uint160 i = 0; i < 64; ++i) {
            registry.addApprover(OTHER_GROUP, address(0x10000 + i));
        }
        refused(abi.encodeWithSelector(ApproverGroups.GroupFull.selector, OTHER_GROUP));
        registry.addApprover(OTHER_GROUP, alice);
        registry.removeApprover(OTHER_GROUP, address(0x10000));
        refused(abi.encodeWithSelector(ApproverGroups.GroupFull.selector, OTHER_GROUP));
        registry.addApprover(OTHER_GROUP, alice);
        vm.expectEmit(address(registry));
        emit ApproverGroups.ApproverRemoved(OTHER_GROUP, address(0x10000 + 63), 63);
        registry.removeApprover(OTHER_GROUP, address(0x10000 + 63));
        vm.stopPrank();
        (address[] memory accounts, uint64 taken) = registry.approversOf(OTHER_GROUP);
        vm.assertEq(accounts.length, 64, "for ever");
        vm.assertEq(taken, uint256(type(uint64).max) - 1 - (1 << 63), "taken");
    }

    // --- policies

    function test_a_policy_is_read_as_it_was_set() public {
        IModelRegistry.Policy memory wanted =
            IModelRegistry.Policy(GROUP, 3, 7, 11, type(uint32).max, 99);
        setPolicy(MODEL, wanted);
        (IModelRegistry.Policy memory p, bytes32 policyHash, bool isDefault) =
            registry.policyOf(MODEL, TARGET);
        wanted.revision = 1; // the registry's own count
        vm.assertEq(keccak256(abi.encode(p)), keccak256(abi.encode(wanted)), "policy");
        vm.assertTrue(policyHash != 0, "hash");
        vm.assertFalse(isDefault, "default");
    }

    function test_the_largest_policy_is_read_as_it_was_set() public {
        vm.startPrank(admin);
        for (uint160 i = 0; i < 64; ++i) {
            registry.addApprover(OTHER_GROUP, address(0x10000 + i));
        }
        vm.stopPrank();
        IModelRegistry.Policy memory wanted = IModelRegistry.Policy(
            OTHER_GROUP, 64, type(uint32).max - 1, type(uint32).max, type(uint32).max, 1
        );
        setPolicy(MODEL, wanted);
        (IModelRegistry.Policy memory p,,) = registry.policyOf(MODEL, TARGET);
        vm.assertEq(keccak256(abi.encode(p)), keccak256(abi.encode(wanted)), "policy");
    }

    function test_setting_a_policy_tells_its_hash() public {
        vm.recordLogs();
        setPolicy(MODEL, policy(1));
        bytes memory data = vm.getRecordedLogs()[0].data;
        (bytes32 told, IModelRegistry.Policy memory p) =
            abi.decode(data, (bytes32, IModelRegistry.Policy));
        (, bytes32 policyHash,) = registry.policyOf(MODEL, TARGET);
        vm.assertEq(told, policyHash, "hash");
        vm.assertEq(p.threshold, 1, "policy");
        vm.assertEq(p.group, GROUP, "group");
    }

    function test_a_model_has_its_own_policy_or_the_default_one() public {
        bytes32 other = keccak256("other model");
        (, bytes32 byDefault, bool isDefault) = registry.policyOf(MODEL, TARGET);
        vm.assertTrue(isDefault, "default");
        setPolicy(other, policy(3));
        (, bytes32 untouched, bool stillDefault) = registry.policyOf(MODEL, TARGET);
        vm.assertEq(untouched, byDefault, "another model's policy");
        vm.assertTrue(stillDefault, "another model's policy");
        setPolicy(MODEL, policy(1));
        (IModelRegistry.Policy memory own, bytes32 ownHash,) = registry.policyOf(MODEL, TARGET);
        vm.assertEq(own.threshold, 1, "own");
        vm.assertTrue(ownHash != byDefault, "own");
        setPolicy(MODEL, policy(2)); // the same but for whose it is
        (, ownHash,) = registry.policyOf(MODEL, TARGET);
        vm.assertTrue(ownHash != byDefault, "own");
        setPolicy(MODEL, policy(0));
        (, bytes32 again,) = registry.policyOf(MODEL, TARGET);
        vm.assertEq(again, byDefault, "default again");
        (IModelRegistry.Policy memory others,,) = registry.policyOf(other, TARGET);
        vm.assertEq(others.threshold, 3, "another model's policy stands");
    }

    function test_taking_a_policy_away_twice_leaves_others_in_force() public {
        bytes32 other = keccak256("other model");
        setPolicy(other, policy(3));
        setPolicy(MODEL, policy(0)); // had none
        setPolicy(MODEL, policy(1));
        setPolicy(MODEL, policy(0));
        setPolicy(MODEL, policy(0));
        (IModelRegistry.Policy memory p,, bool isDefault) = registry.policyOf(other, TARGET);
        vm.assertEq(p.threshold, 3, "in force");
        vm.assertFalse(isDefault, "own");
    }

    function test_the_same_policy_again_is_another_one() public {
        (, bytes32 first,) = registry.policyOf(MODEL, TARGET);
        setPolicy(ANY, policy(2));
        (IModelRegistry.Policy memory p, bytes32 second,) = registry.policyOf(MODEL, TARGET);
        vm.assertTrue(second != first, "revision");
        vm.assertEq(p.revision, 2, "revision");
        setPolicy(ANY, policy(0));
        (p, second,) = registry.policyOf(MODEL, TARGET);
        vm.assertEq(second, bytes32(0), "no policy");
        vm.assertEq(p.threshold, 0, "no policy");
        vm.assertEq(p.group, bytes32(0), "no policy");
        setPolicy(ANY, policy(2));
        (p, second,) = registry.policyOf(MODEL, TARGET);
        vm.assertTrue(second != first, "revision");
        vm.assertEq(p.revision, 4, "counts on");
    }

    function test_policies_of_other_targets_are_others() public {
        bytes32 target = keccak256("other target");
        (IModelRegistry.Policy memory p, bytes32 policyHash, bool isDefault) =
            registry.policyOf(MODEL, target);
        vm.assertEq(p.threshold, 0, "no policy");
        vm.assertEq(policyHash, bytes32(0), "no policy");
        vm.assertTrue(isDefault, "none of its own");
        vm.prank(admin);
        registry.setPolicy(ANY, target, policy(2));
        (, policyHash,) = registry.policyOf(MODEL, target);
        (, bytes32 first,) = registry.policyOf(MODEL, TARGET);
        vm.assertTrue(policyHash != first, "the target is in the hash");
    }

    function test_a_policy_that_nobody_could_meet_is_refused() public {
        IModelRegistry.Policy memory p = policy(4);
        refusedPolicy(p, abi.encodeWithSelector(IModelRegistry.ThresholdUnreachable.selector, 4, 3));
        p = policy(1);
        p.group = OTHER_GROUP;
        refusedPolicy(p, abi.encodeWithSelector(IModelRegistry.ThresholdUnreachable.selector, 1, 0));
        p.group = 0;
        refusedPolicy(p, abi.encodeWithSelector(IModelRegistry.InvalidPolicy.selector));
        p = policy(1);
        p.expiry = 0;
        refusedPolicy(p, abi.encodeWithSelector(IModelRegistry.InvalidPolicy.selector));
        p.expiry = p.minDelay;
        refusedPolicy(p, abi.encodeWithSelector(IModelRegistry.InvalidPolicy.selector));
        p.expiry = p.minDelay + 1;
        setPolicy(MODEL, p);
        removeApprover(carol);
        refusedPolicy(
            policy(3), abi.encodeWithSelector(IModelRegistry.ThresholdUnreachable.selector, 3, 2)
        );
    }

    function test_a_policy_needs_a_target() public {
        vm.prank(admin);
        refused(abi.encodeWithSelector(IModelRegistry.ZeroValue.selector));
        registry.setPolicy(ANY, 0, policy(1));
    }

    function refusedPolicy(IModelRegistry.Policy memory p, bytes memory reason) private {
        vm.prank(admin);
        refused(reason);
        registry.setPolicy(MODEL, TARGET, p);
    }

    // --- pause

    function test_an_admin_and_a_breaker_can_pause_and_only_an_admin_ends_it() public {
        vm.prank(breaker);
        registry.pause();
        vm.assertTrue(registry.paused(), "by the breaker");
        vm.prank(breaker);
        refused(notRole(breaker, ADMIN_ROLE));
        registry.unpause();
        vm.startPrank(admin);
        registry.unpause();
        vm.assertFalse(registry.paused(), "ended");
        registry.pause();
        vm.stopPrank();
        vm.assertTrue(registry.paused(), "by the admin");
    }

    function test_nobody_else_can_pause() public {
        bytes memory reason = notRole(alice, registry.BREAKER_ROLE());
        vm.prank(alice);
        refused(reason);
        registry.pause();
    }

    function test_a_pause_stops_what_changes_something() public {
        Proposal memory p = promoted(1);
        Proposal memory ready = approved(2);
        Proposal memory next = request(3);
        Proposal memory glass = request(3);
        glass.requester = breaker;
        vm.warp(block.timestamp + DELAY);
        pause();
        bytes memory reason = abi.encodeWithSignature("EnforcedPause()");
        vm.prank(registrar);
        refused(reason);
        registry.registerVersion(MODEL, 9, digestOf(9), 0);
        vm.prank(rita);
        refused(reason);
        registry.propose(next, "");
        (bool promotable, bytes memory why) = registry.isPromotable(ready);
        vm.assertFalse(promotable, "promotable");
        vm.assertEq(why, reason, "reason");
        refused(reason);
        registry.promote(ready);
        vm.prank(breaker);
        refused(reason);
        registry.breakGlass(glass, REASON);
        address[] memory nobody;
        bytes[] memory nothing;
        refused(reason);
        registry.rollback(p, 1, p.deadline, SUMMARY, nobody, nothing);
        refused(reason);
        registry.remove(MODEL, TARGET, 1, p.deadline, SUMMARY, nobody, nothing);
        vm.prank(breaker);
        refused(reason);
        registry.pause();
    }

    function test_a_pause_hides_nothing_and_lets_people_mend() public {
        Proposal memory p = promoted(1);
        Proposal memory open = proposed(2);
        Proposal memory rejected = proposed(2);
        Proposal memory withdrawn = proposed(2);
        pause();
        assertCurrent(1, 1, IModelRegistry.Cause.Promoted);
        assertStatus(p, IModelRegistry.Status.Promoted);
        vm.assertEq(registry.versionOf(MODEL, 1).digest, digestOf(1), "version");
        approve(open, carol);
        vm.prank(alice);
        registry.review(open, alice, "");
        vm.prank(alice);
        registry.reject(rejected, REASON, alice, "");
        vm.prank(rita);
        registry.withdraw(withdrawn, "");
        vm.prank(breaker);
        registry.revokeVersion(MODEL, 3, REASON);
        removeApprover(alice);
        addApprover(dave);
        setPolicy(MODEL, policy(3));
        vm.prank(admin);
        registry.unpause();
        assertStatus(open, IModelRegistry.Status.Open);
    }

    // --- succession

    function test_a_successor_is_named_once_for_ever() public {
        vm.expectEmit(address(registry));
        emit IModelRegistry.RegistrySucceeded(stranger, REASON);
        succeed();
        vm.assertEq(registry.successor(), stranger, "successor");
        vm.prank(admin);
        refused(abi.encodeWithSelector(IModelRegistry.Succeeded.selector, stranger));
        registry.succeed(dave, REASON);
    }

    function test_a_successor_is_another_contract() public {
        vm.startPrank(admin);
        refused(abi.encodeWithSelector(IModelRegistry.ZeroValue.selector));
        registry.succeed(address(0), REASON);
        refused(abi.encodeWithSelector(IModelRegistry.ZeroValue.selector));
        registry.succeed(address(registry), REASON);
        vm.stopPrank();
    }

    function test_after_succession_nothing_changes_and_everything_is_readable() public {
        Proposal memory p = promoted(1);
        Proposal memory ready = approved(2);
        Proposal memory next = request(3);
        Proposal memory glass = request(3);
        glass.requester = breaker;
        vm.warp(block.timestamp + DELAY);
        succeed();
        bytes memory reason = abi.encodeWithSelector(IModelRegistry.Succeeded.selector, stranger);
        vm.prank(registrar);
        refused(reason);
        registry.registerVersion(MODEL, 9, digestOf(9), 0);
        vm.prank(rita);
        refused(reason);
        registry.propose(next, "");
        (, bytes memory why) = registry.isPromotable(ready);
        vm.assertEq(why, reason, "reason");
        refused(reason);
        registry.promote(ready);
        vm.prank(breaker);
        refused(reason);
        registry.breakGlass(glass, REASON);
        address[] memory nobody;
        bytes[] memory nothing;
        refused(reason);
        registry.rollback(p, 1, p.deadline, SUMMARY, nobody, nothing);
        refused(reason);
        registry.remove(MODEL, TARGET, 1, p.deadline, SUMMARY, nobody, nothing);
        vm.startPrank(admin);
        refused(reason);
        registry.setPolicy(ANY, TARGET, policy(1));
        refused(reason);
        registry.addApprover(GROUP, dave);
        registry.removeApprover(GROUP, alice);
        vm.stopPrank();
        vm.prank(breaker);
        registry.revokeVersion(MODEL, 3, REASON);
        (uint64 version,,,,,) = registry.current(MODEL, TARGET);
        vm.assertEq(version, 1, "history");
        assertStatus(p, IModelRegistry.Status.Promoted);
    }
}
