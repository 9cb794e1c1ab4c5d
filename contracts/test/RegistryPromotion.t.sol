// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IModelRegistry} from "../src/IModelRegistry.sol";
import {Proposal} from "../src/Proposals.sol";
import {RegistryBase} from "./RegistryBase.sol";

/// @dev What may become current by approvals, and when.
contract RegistryPromotionTest is RegistryBase {
    function test_anybody_promotes_what_enough_members_approved() public {
        Proposal memory p = approved(1);
        vm.warp(block.timestamp + DELAY);
        assertPromotable(p);
        vm.expectEmit(address(registry));
        emit IModelRegistry.CurrentChanged(
            MODEL, TARGET, 1, 1, IModelRegistry.Cause.Promoted, idOf(p)
        );
        vm.prank(stranger);
        registry.promote(p);
        assertStatus(p, IModelRegistry.Status.Promoted);
        assertCurrent(1, 1, IModelRegistry.Cause.Promoted);
    }

    function test_nothing_is_current_at_first() public view {
        assertCurrent(0, 0, IModelRegistry.Cause.None);
    }

    function test_another_version_takes_its_place() public {
        promoted(1);
        promoted(2);
        assertCurrent(2, 2, IModelRegistry.Cause.Promoted);
        promoted(1); // asked for and approved again
        assertCurrent(1, 3, IModelRegistry.Cause.Promoted);
    }

    function test_a_promotion_is_for_its_target_and_model_alone() public {
        promoted(1);
        (uint64 version,, uint64 sequence,,,) = registry.current(MODEL, keccak256("other target"));
        vm.assertEq(version + sequence, 0, "another target");
        (version,, sequence,,,) = registry.current(keccak256("other model"), TARGET);
        vm.assertEq(version + sequence, 0, "another model");
    }

    function test_a_proposal_is_promoted_once() public {
        Proposal memory p = promoted(1);
        refusedPromotion(
            p,
            abi.encodeWithSelector(
                IModelRegistry.ProposalNotOpen.selector, idOf(p), IModelRegistry.Status.Promoted
            )
        );
    }

    function test_too_few_approvals_are_refused() public {
        Proposal memory p = proposed(1);
        vm.warp(block.timestamp + DELAY);
        refusedPromotion(p, quorumMissing(0, 2));
        approve(p, alice);
        refusedPromotion(p, quorumMissing(1, 2));
        approve(p, bob);
        assertPromotable(p);
    }

    function test_more_approvals_than_enough_do_no_harm() public {
        Proposal memory p = approved(1);
        approve(p, carol);
        vm.warp(block.timestamp + DELAY);
        registry.promote(p);
    }

    function test_the_delay_ends_in_its_last_second() public {
        Proposal memory p = approved(1);
        vm.warp(START + DELAY - 1);
        refusedPromotion(
            p, abi.encodeWithSelector(IModelRegistry.TooEarly.selector, uint256(START + DELAY))
        );
        vm.warp(START + DELAY);
        registry.promote(p);
    }

    function test_the_deadline_is_the_last_second() public {
        Proposal memory p = approved(1);
        Proposal memory q = approved(2);
        vm.warp(p.deadline);
        registry.promote(p);
        vm.warp(q.deadline + 1);
        refusedPromotion(
            q, abi.encodeWithSelector(IModelRegistry.DeadlinePassed.selector, q.deadline)
        );
        assertStatus(q, IModelRegistry.Status.Open); // and yet closed
    }

    function test_a_policy_without_delay_lets_promote_at_once() public {
        IModelRegistry.Policy memory quick = policy(1);
        quick.minDelay = 0;
        setPolicy(MODEL, quick);
        Proposal memory p = proposed(1);
        approve(p, alice);
        registry.promote(p);
        assertCurrent(1, 1, IModelRegistry.Cause.Promoted);
    }

    function test_a_changed_policy_ends_what_was_approved_under_the_old_one() public {
        Proposal memory p = approved(1);
        vm.warp(block.timestamp + DELAY);
        setPolicy(ANY, policy(1)); // even a milder one
        (, bytes32 inForce,) = registry.policyOf(MODEL, TARGET);
        bytes memory reason =
            abi.encodeWithSelector(IModelRegistry.PolicyChanged.selector, p.policyHash, inForce);
        refusedPromotion(p, reason);
        setPolicy(ANY, policy(2)); // the same again is another one
        (, inForce,) = registry.policyOf(MODEL, TARGET);
        reason =
            abi.encodeWithSelector(IModelRegistry.PolicyChanged.selector, p.policyHash, inForce);
        refusedPromotion(p, reason);
        setPolicy(ANY, policy(0));
        reason =
            abi.encodeWithSelector(IModelRegistry.PolicyChanged.selector, p.policyHash, bytes32(0));
        refusedPromotion(p, reason);
    }

    function test_a_policy_of_the_models_own_ends_what_was_approved_under_the_default() public {
        Proposal memory p = approved(1);
        vm.warp(block.timestamp + DELAY);
        setPolicy(MODEL, policy(2));
        (, bytes32 inForce,) = registry.policyOf(MODEL, TARGET);
        refusedPromotion(
            p, abi.encodeWithSelector(IModelRegistry.PolicyChanged.selector, p.policyHash, inForce)
        );
        // Once the default is in force again, what was approved under it counts again.
        setPolicy(MODEL, policy(0));
        registry.promote(p);
    }

    function test_an_own_policy_decides() public {
        setPolicy(MODEL, policy(3));
        Proposal memory p = approved(1);
        vm.warp(block.timestamp + DELAY);
        refusedPromotion(p, quorumMissing(2, 3));
        approve(p, carol);
        registry.promote(p);
        assertCurrent(1, 1, IModelRegistry.Cause.Promoted);
    }

    function test_a_default_policy_that_changes_leaves_own_ones_alone() public {
        setPolicy(MODEL, policy(2));
        Proposal memory p = approved(1);
        setPolicy(ANY, policy(3));
        vm.warp(block.timestamp + DELAY);
        registry.promote(p);
    }

    function test_what_a_removed_member_approved_counts_no_more() public {
        Proposal memory p = approved(1);
        vm.warp(block.timestamp + DELAY);
        removeApprover(bob);
        refusedPromotion(p, quorumMissing(1, 2));
        addApprover(bob); // back, on another seat
        refusedPromotion(p, quorumMissing(1, 2));
        addApprover(dave); // in bob's place
        approve(p, dave);
        registry.promote(p);
    }

    function test_a_revoked_version_is_refused() public {
        Proposal memory p = approved(1);
        vm.warp(block.timestamp + DELAY);
        vm.prank(breaker);
        registry.revokeVersion(MODEL, 1, REASON);
        refusedPromotion(
            p, abi.encodeWithSelector(IModelRegistry.VersionIsRevoked.selector, MODEL, uint64(1))
        );
    }

    function test_other_fields_than_were_approved_are_refused() public {
        Proposal memory p = approved(1);
        vm.warp(block.timestamp + DELAY);
        for (uint256 i = 0; i < 4; ++i) {
            Proposal memory q = abi.decode(abi.encode(p), (Proposal));
            if (i == 0) q.version = 2;
            if (i == 1) q.digest = digestOf(2);
            if (i == 2) q.target = keccak256("other target");
            if (i == 3) q.deadline = p.deadline + 1;
            refusedPromotion(
                q,
                abi.encodeWithSelector(
                    IModelRegistry.ProposalNotOpen.selector, idOf(q), IModelRegistry.Status.None
                )
            );
        }
    }

    function test_a_role_that_the_requester_lost_since_does_not_matter() public {
        Proposal memory p = approved(1);
        bytes32 role = registry.REQUESTER_ROLE();
        vm.prank(admin);
        registry.revokeRole(role, rita);
        vm.warp(block.timestamp + DELAY);
        registry.promote(p);
    }

    /// @dev Members of the proposal have fewer bits than a word of calldata; those bits must not let
    /// one proposal pass for another.
    function testFuzz_bits_that_a_field_has_too_many_are_refused(uint256 field, uint256 bit)
        public
    {
        Proposal memory p = approved(1);
        vm.warp(block.timestamp + DELAY);
        uint256[4] memory places = [uint256(2), 7, 8, 9];
        uint256[4] memory widths = [uint256(64), 32, 48, 160];
        field %= 4;
        bit = within(bit, widths[field], 255);
        bytes4[5] memory selectors = [
            registry.promote.selector,
            registry.approve.selector,
            registry.isPromotable.selector,
            registry.breakGlass.selector,
            registry.propose.selector
        ];
        for (uint256 i = 0; i < selectors.length; ++i) {
            bytes memory data = abi.encodePacked(
                selectors[i], abi.encode(p), i == 3 ? abi.encode(REASON) : abi.encode(13 * 32, 0)
            );
            uint256 at_ = 4 + places[field] * 32 + 31 - bit / 8;
            data[at_] = bytes1(uint8(data[at_]) | uint8(1 << (bit % 8)));
            vm.prank(i == 3 ? breaker : i == 4 ? rita : alice);
            (bool done, bytes memory answer) = address(registry).call(data);
            if (i == 2 && done) (done,) = abi.decode(answer, (bool, bytes));
            vm.assertFalse(done, "accepted");
        }
        registry.promote(p); // without them it passes
    }

    /// @dev `promote` passes exactly when `isPromotable` says so, and else gives its reason.
    function testFuzz_is_promotable_tells_what_promote_does(uint256 seed) public {
        Proposal memory p = proposed(1);
        if (seed & 1 != 0) approve(p, alice);
        if (seed & 2 != 0) approve(p, bob);
        if (seed & 4 != 0) approve(p, carol);
        if (seed & 8 != 0) removeApprover(bob);
        if (seed & 0x30 == 0x30) setPolicy(ANY, policy(1));
        if (seed & 0xc0 == 0xc0) pause();
        if (seed & 0x300 == 0x300) {
            vm.prank(breaker);
            registry.revokeVersion(MODEL, 1, REASON);
        }
        if (seed & 0xc00 == 0xc00) {
            vm.prank(alice);
            (bool did,) =
                address(registry).call(abi.encodeCall(registry.reject, (p, REASON, alice, "")));
            did;
        }
        vm.warp(START + (seed >> 16) % (4 days));
        (bool promotable, bytes memory reason) = registry.isPromotable(p);
        (bool done, bytes memory answer) =
            address(registry).call(abi.encodeCall(registry.promote, (p)));
        vm.assertTrue(promotable == done, "promoted");
        vm.assertEq(done ? bytes("") : answer, reason, "reason");
    }

    function quorumMissing(uint256 approvals, uint256 threshold)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(IModelRegistry.QuorumMissing.selector, approvals, threshold);
    }

    function assertPromotable(Proposal memory p) private view {
        (bool promotable, bytes memory reason) = registry.isPromotable(p);
        vm.assertTrue(promotable, "promotable");
        vm.assertEq(reason, "", "reason");
    }

    function refusedPromotion(Proposal memory p, bytes memory expected) private {
        (bool promotable, bytes memory reason) = registry.isPromotable(p);
        vm.assertFalse(promotable, "promotable");
        vm.assertEq(reason, expected, "reason");
        refused(expected);
        registry.promote(p);
    }
}
