// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ApproverGroups} from "../src/ApproverGroups.sol";
import {IModelRegistry} from "../src/IModelRegistry.sol";
import {Proposal} from "../src/Proposals.sol";
import {RegistryBase} from "./RegistryBase.sol";
import {Typed} from "./Typed.sol";

/// @dev Rollback, removal, and the broken glass.
contract RegistryReturnsTest is RegistryBase {
    Proposal private former;
    uint48 private deadline;

    function setUp() public override {
        super.setUp();
        former = promoted(1);
        promoted(2);
        vm.warp(block.timestamp + 1);
        deadline = uint48(block.timestamp + 1 hours);
    }

    // --- rollback

    function test_enough_members_return_to_what_was_current() public {
        bytes32 signature = rollbackOf(2);
        vm.expectEmit(address(registry));
        emit IModelRegistry.ReturnApproved(MODEL, TARGET, 2, alice, SUMMARY);
        vm.expectEmit(address(registry));
        emit IModelRegistry.ReturnApproved(MODEL, TARGET, 2, bob, SUMMARY);
        vm.expectEmit(address(registry));
        emit IModelRegistry.CurrentChanged(
            MODEL, TARGET, 1, 3, IModelRegistry.Cause.RolledBack, idOf(former)
        );
        vm.prank(stranger);
        registry.rollback(
            former,
            2,
            deadline,
            SUMMARY,
            list(alice, bob),
            list(signed("alice", signature), signed("bob", signature))
        );
        assertCurrent(1, 3, IModelRegistry.Cause.RolledBack);
    }

    function test_a_member_rolls_back_with_the_signature_of_another() public {
        bytes[] memory signatures = list(bytes(""), signed("bob", rollbackOf(2)));
        vm.prank(alice);
        registry.rollback(former, 2, deadline, SUMMARY, list(alice, bob), signatures);
        assertCurrent(1, 3, IModelRegistry.Cause.RolledBack);
    }

    function test_a_rollbacks_signatures_count_once() public {
        bytes32 h = rollbackOf(2);
        bytes[] memory signatures = list(signed("alice", h), signed("bob", h));
        registry.rollback(former, 2, deadline, SUMMARY, list(alice, bob), signatures);
        refused(abi.encodeWithSelector(IModelRegistry.SequenceMoved.selector, uint64(2), uint64(3)));
        registry.rollback(former, 2, deadline, SUMMARY, list(alice, bob), signatures);
        refused(abi.encodeWithSelector(IModelRegistry.BadSignature.selector, alice));
        registry.rollback(former, 3, deadline, SUMMARY, list(alice, bob), signatures);
    }

    function test_a_rollback_needs_a_quorum_of_distinct_members() public {
        bytes32 h = rollbackOf(2);
        bytes memory a = signed("alice", h);
        refusedRollback(
            list(alice),
            list(a),
            abi.encodeWithSelector(IModelRegistry.QuorumMissing.selector, uint256(1), uint256(2))
        );
        refusedRollback(
            list(alice, alice),
            list(a, a),
            abi.encodeWithSelector(IModelRegistry.AlreadyApproved.selector, h, alice)
        );
        refusedRollback(
            list(alice, dave),
            list(a, signed("dave", h)),
            abi.encodeWithSelector(ApproverGroups.NotApprover.selector, GROUP, dave)
        );
        refusedRollback(
            list(alice, bob),
            list(a, a),
            abi.encodeWithSelector(IModelRegistry.BadSignature.selector, bob)
        );
        refusedRollback(
            list(alice, bob),
            list(a),
            abi.encodeWithSelector(IModelRegistry.LengthMismatch.selector, uint256(2), uint256(1))
        );
        refusedRollback(
            new address[](65),
            new bytes[](65),
            abi.encodeWithSelector(IModelRegistry.TooManySignatures.selector, uint256(65))
        );
    }

    function test_a_rollback_ends_with_its_deadline() public {
        bytes32 h = rollbackOf(2);
        bytes[] memory signatures = list(signed("alice", h), signed("bob", h));
        vm.warp(deadline + 1);
        refusedRollback(
            list(alice, bob),
            signatures,
            abi.encodeWithSelector(IModelRegistry.DeadlinePassed.selector, deadline)
        );
        vm.warp(deadline);
        registry.rollback(former, 2, deadline, SUMMARY, list(alice, bob), signatures);
    }

    function test_an_approval_of_the_proposal_is_none_of_its_rollback() public {
        bytes32 h = approvalOf(former);
        refusedRollback(
            list(alice, bob),
            list(signed("alice", h), signed("bob", h)),
            abi.encodeWithSelector(IModelRegistry.BadSignature.selector, alice)
        );
        h = Typed.removal(MODEL, TARGET, 2, deadline, SUMMARY);
        refusedRollback(
            list(alice, bob),
            list(signed("alice", h), signed("bob", h)),
            abi.encodeWithSelector(IModelRegistry.BadSignature.selector, alice)
        );
    }

    function test_what_was_never_current_is_no_aim_of_a_rollback() public {
        Proposal memory p = approved(3);
        (former, p) = (p, former);
        bytes32 h = rollbackOf(2);
        refusedRollback(
            list(alice, bob),
            list(signed("alice", h), signed("bob", h)),
            abi.encodeWithSelector(IModelRegistry.NotFormerlyCurrent.selector, idOf(former))
        );
    }

    /// @dev The values of halmos's counterexample; see AUDIT.md.
    function test_fields_that_nobody_proposed_are_no_aim_of_a_rollback() public {
        Proposal memory none;
        (none.model, none.target, none.version) = (MODEL, TARGET, 0x8000000000000001);
        former = none;
        refusedRollback(
            list(alice),
            list(new bytes(65)),
            abi.encodeWithSelector(IModelRegistry.NotFormerlyCurrent.selector, idOf(none))
        );
    }

    function test_a_revoked_version_is_no_aim_of_a_rollback() public {
        vm.prank(breaker);
        registry.revokeVersion(MODEL, 1, REASON);
        bytes32 h = rollbackOf(2);
        refusedRollback(
            list(alice, bob),
            list(signed("alice", h), signed("bob", h)),
            abi.encodeWithSelector(IModelRegistry.VersionIsRevoked.selector, MODEL, uint64(1))
        );
    }

    function test_a_rollback_needs_a_policy_in_force() public {
        setPolicy(ANY, policy(0));
        bytes32 h = rollbackOf(2);
        refusedRollback(
            list(alice, bob),
            list(signed("alice", h), signed("bob", h)),
            abi.encodeWithSelector(IModelRegistry.NoPolicy.selector, MODEL, TARGET)
        );
    }

    function test_a_rollback_is_decided_by_the_policy_in_force() public {
        setPolicy(ANY, policy(3));
        bytes32 h = rollbackOf(2);
        refusedRollback(
            list(alice, bob),
            list(signed("alice", h), signed("bob", h)),
            abi.encodeWithSelector(IModelRegistry.QuorumMissing.selector, uint256(2), uint256(3))
        );
    }

    function test_what_was_signed_before_leaving_is_no_part_of_a_rollback() public {
        bytes32 h = rollbackOf(2);
        bytes[] memory signatures = list(signed("alice", h), signed("bob", h));
        removeApprover(alice);
        addApprover(alice);
        refusedRollback(
            list(alice, bob),
            signatures,
            abi.encodeWithSelector(ApproverGroups.StaleSignature.selector, GROUP, alice)
        );
        signatures[0] = "";
        vm.prank(alice);
        registry.rollback(former, 2, deadline, SUMMARY, list(alice, bob), signatures);
    }

    function test_what_broke_the_glass_is_formerly_current_too() public {
        Proposal memory broken = proposed(3);
        vm.prank(breaker);
        registry.breakGlass(broken, REASON);
        former = broken;
        promoted(2);
        deadline = uint48(block.timestamp + 1 hours);
        bytes32 h = rollbackOf(4);
        registry.rollback(
            broken,
            4,
            deadline,
            SUMMARY,
            list(alice, bob),
            list(signed("alice", h), signed("bob", h))
        );
        assertCurrent(3, 5, IModelRegistry.Cause.RolledBack);
    }

    // --- removal

    function test_enough_members_leave_a_target_without_a_version() public {
        bytes32 h = Typed.removal(MODEL, TARGET, 2, deadline, SUMMARY);
        vm.expectEmit(address(registry));
        emit IModelRegistry.ReturnApproved(MODEL, TARGET, 2, carol, SUMMARY);
        vm.expectEmit(address(registry));
        emit IModelRegistry.ReturnApproved(MODEL, TARGET, 2, bob, SUMMARY);
        vm.expectEmit(address(registry));
        emit IModelRegistry.CurrentChanged(
            MODEL, TARGET, 0, 3, IModelRegistry.Cause.Removed, bytes32(0)
        );
        registry.remove(
            MODEL,
            TARGET,
            2,
            deadline,
            SUMMARY,
            list(carol, bob),
            list(signed("carol", h), signed("bob", h))
        );
        assertCurrent(0, 3, IModelRegistry.Cause.Removed);
    }

    function test_after_a_removal_one_can_return() public {
        test_enough_members_leave_a_target_without_a_version();
        bytes32 h = rollbackOf(3);
        registry.rollback(
            former,
            3,
            deadline,
            SUMMARY,
            list(alice, bob),
            list(signed("alice", h), signed("bob", h))
        );
        assertCurrent(1, 4, IModelRegistry.Cause.RolledBack);
    }

    function test_a_removal_is_refused_like_a_rollback() public {
        bytes32 h = Typed.removal(MODEL, TARGET, 2, deadline, SUMMARY);
        bytes[] memory signatures = list(signed("alice", h), signed("bob", h));
        refused(abi.encodeWithSelector(IModelRegistry.SequenceMoved.selector, uint64(1), uint64(2)));
        registry.remove(MODEL, TARGET, 1, deadline, SUMMARY, list(alice, bob), signatures);
        refused(abi.encodeWithSelector(IModelRegistry.BadSignature.selector, alice));
        registry.remove(MODEL, TARGET, 2, deadline + 1, SUMMARY, list(alice, bob), signatures);
        refused(abi.encodeWithSelector(IModelRegistry.BadSignature.selector, alice));
        registry.remove(MODEL, TARGET, 2, deadline, REASON, list(alice, bob), signatures);
        bytes[] memory one = list(signatures[0]);
        refused(
            abi.encodeWithSelector(IModelRegistry.QuorumMissing.selector, uint256(1), uint256(2))
        );
        registry.remove(MODEL, TARGET, 2, deadline, SUMMARY, list(alice), one);
        vm.warp(deadline + 1);
        refused(abi.encodeWithSelector(IModelRegistry.DeadlinePassed.selector, deadline));
        registry.remove(MODEL, TARGET, 2, deadline, SUMMARY, list(alice, bob), signatures);
    }

    function test_where_nothing_is_current_nothing_is_removed() public {
        bytes32 target = keccak256("other target");
        bytes32 h = Typed.removal(MODEL, target, 0, deadline, SUMMARY);
        bytes[] memory signatures = list(signed("alice", h), signed("bob", h));
        refused(abi.encodeWithSelector(IModelRegistry.NothingCurrent.selector, MODEL, target));
        registry.remove(MODEL, target, 0, deadline, SUMMARY, list(alice, bob), signatures);
    }

    // --- broken glass

    function test_a_breaker_promotes_an_open_proposal_at_once() public {
        Proposal memory p = proposed(3);
        vm.expectEmit(address(registry));
        emit IModelRegistry.GlassBroken(idOf(p), breaker, REASON);
        vm.expectEmit(address(registry));
        emit IModelRegistry.CurrentChanged(
            MODEL, TARGET, 3, 3, IModelRegistry.Cause.BrokeGlass, idOf(p)
        );
        vm.prank(breaker);
        registry.breakGlass(p, REASON);
        assertCurrent(3, 3, IModelRegistry.Cause.BrokeGlass);
        assertStatus(p, IModelRegistry.Status.Promoted);
    }

    function test_a_breaker_promotes_what_nobody_asked_for() public {
        Proposal memory p = glass();
        p.policyHash = 0;
        p.evidenceKinds = 0;
        p.target = keccak256("target without a policy");
        vm.expectEmit(address(registry));
        emit IModelRegistry.ProposalMade(idOf(p), MODEL, p.target, p);
        vm.prank(breaker);
        registry.breakGlass(p, REASON);
        IModelRegistry.ProposalState memory state = registry.proposal(idOf(p));
        vm.assertEq(state.madeAt, block.timestamp, "made");
        vm.assertEq(state.deadline, p.deadline, "deadline");
        vm.assertEq(state.approvals, 0, "approvals");
        (uint64 version,,,, IModelRegistry.Cause cause,) = registry.current(MODEL, p.target);
        vm.assertEq(version, 3, "version");
        vm.assertEq(uint256(cause), uint256(IModelRegistry.Cause.BrokeGlass), "cause");
    }

    function test_nobody_but_a_breaker_breaks_the_glass() public {
        Proposal memory p = proposed(3);
        address[4] memory others = [admin, registrar, rita, alice];
        bytes32 role = registry.BREAKER_ROLE();
        for (uint256 i = 0; i < others.length; ++i) {
            vm.prank(others[i]);
            refused(notRole(others[i], role));
            registry.breakGlass(p, REASON);
        }
    }

    function test_a_breaker_asks_in_no_other_name() public {
        Proposal memory p = request(3);
        vm.prank(breaker);
        refused(abi.encodeWithSelector(IModelRegistry.NotRequester.selector, breaker));
        registry.breakGlass(p, REASON);
    }

    function test_the_glass_is_broken_for_registered_unrevoked_bytes_alone() public {
        Proposal memory p = glass();
        p.version = 9;
        refusedGlass(
            p, abi.encodeWithSelector(IModelRegistry.UnknownVersion.selector, MODEL, uint64(9))
        );
        p = glass();
        p.digest = digestOf(2);
        refusedGlass(
            p,
            abi.encodeWithSelector(IModelRegistry.DigestMismatch.selector, digestOf(3), digestOf(2))
        );
        p = glass();
        p.target = 0;
        refusedGlass(p, abi.encodeWithSelector(IModelRegistry.ZeroValue.selector));
        p = glass();
        p.deadline = uint48(block.timestamp - 1);
        refusedGlass(p, abi.encodeWithSelector(IModelRegistry.DeadlinePassed.selector, p.deadline));
        p = glass();
        vm.prank(breaker);
        registry.revokeVersion(MODEL, 3, REASON);
        refusedGlass(
            p, abi.encodeWithSelector(IModelRegistry.VersionIsRevoked.selector, MODEL, uint64(3))
        );
    }

    function test_the_glass_is_broken_once_for_a_proposal() public {
        Proposal memory p = glass();
        vm.prank(breaker);
        registry.breakGlass(p, REASON);
        refusedGlass(
            p,
            abi.encodeWithSelector(
                IModelRegistry.ProposalNotOpen.selector, idOf(p), IModelRegistry.Status.Promoted
            )
        );
    }

    // --- within

    function glass() private returns (Proposal memory p) {
        p = request(3);
        p.requester = breaker;
    }

    function refusedGlass(Proposal memory p, bytes memory reason) private {
        vm.prank(breaker);
        refused(reason);
        registry.breakGlass(p, REASON);
    }

    function rollbackOf(uint64 sequence) private view returns (bytes32) {
        return Typed.rollback(idOf(former), sequence, deadline, SUMMARY);
    }

    function refusedRollback(
        address[] memory approvers,
        bytes[] memory signatures,
        bytes memory reason
    ) private {
        Proposal memory p = former;
        vm.prank(stranger);
        refused(reason);
        registry.rollback(p, 2, deadline, SUMMARY, approvers, signatures);
        (uint64 version,, uint64 sequence,,,) = registry.current(MODEL, TARGET);
        vm.assertEq(version, 2, "unchanged");
        vm.assertEq(sequence, 2, "unchanged");
    }
}
