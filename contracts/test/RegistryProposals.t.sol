// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ApproverGroups} from "../src/ApproverGroups.sol";
import {IModelRegistry} from "../src/IModelRegistry.sol";
import {Proposal} from "../src/Proposals.sol";
import {RegistryBase} from "./RegistryBase.sol";
import {Typed} from "./Typed.sol";
import {Wallet} from "./Wallets.sol";

/// @dev Versions, proposals, and how they are closed.
contract RegistryProposalsTest is RegistryBase {
    // --- versions

    function test_a_version_is_registered_with_its_digest() public {
        vm.warp(START + 5);
        vm.expectEmit(address(registry));
        emit IModelRegistry.VersionRegistered(MODEL, 9, digestOf(9), 109, registrar);
        register(9);
        IModelRegistry.Version memory v = registry.versionOf(MODEL, 9);
        vm.assertEq(v.digest, digestOf(9), "digest");
        vm.assertEq(v.registrant, registrar, "registrant");
        vm.assertEq(v.leafIndex, 109, "leaf");
        vm.assertEq(v.registeredAt, START + 5, "time");
        vm.assertFalse(v.revoked, "revoked");
        vm.assertEq(registry.versionOf(MODEL, 10).digest, bytes32(0), "unknown");
    }

    function test_a_version_is_registered_once_for_ever() public {
        bytes memory reason =
            abi.encodeWithSelector(IModelRegistry.VersionExists.selector, MODEL, uint64(1));
        vm.startPrank(registrar);
        refused(reason);
        registry.registerVersion(MODEL, 1, keccak256("other bytes"), 0);
        refused(reason);
        registry.registerVersion(MODEL, 1, digestOf(1), 101);
        vm.stopPrank();
        vm.prank(breaker);
        registry.revokeVersion(MODEL, 1, REASON);
        vm.prank(registrar);
        refused(reason);
        registry.registerVersion(MODEL, 1, keccak256("other bytes"), 0);
    }

    function test_a_version_needs_a_model_a_number_and_a_digest() public {
        bytes memory reason = abi.encodeWithSelector(IModelRegistry.ZeroValue.selector);
        vm.startPrank(registrar);
        refused(reason);
        registry.registerVersion(ANY, 9, digestOf(9), 0);
        refused(reason);
        registry.registerVersion(MODEL, 0, digestOf(9), 0);
        refused(reason);
        registry.registerVersion(MODEL, 9, 0, 0);
        vm.stopPrank();
    }

    function test_nobody_but_a_registrar_registers() public {
        bytes memory reason = notRole(rita, registry.REGISTRAR_ROLE());
        vm.prank(rita);
        refused(reason);
        registry.registerVersion(MODEL, 9, digestOf(9), 0);
    }

    function test_a_version_is_revoked_once_by_a_breaker() public {
        promoted(1);
        bytes32 role = registry.BREAKER_ROLE();
        vm.prank(registrar);
        refused(notRole(registrar, role));
        registry.revokeVersion(MODEL, 1, REASON);
        vm.startPrank(breaker);
        refused(abi.encodeWithSelector(IModelRegistry.UnknownVersion.selector, MODEL, uint64(9)));
        registry.revokeVersion(MODEL, 9, REASON);
        vm.expectEmit(address(registry));
        emit IModelRegistry.VersionRevoked(MODEL, 1, breaker, REASON);
        registry.revokeVersion(MODEL, 1, REASON);
        refused(abi.encodeWithSelector(IModelRegistry.VersionIsRevoked.selector, MODEL, uint64(1)));
        registry.revokeVersion(MODEL, 1, REASON);
        vm.stopPrank();
        vm.assertTrue(registry.versionOf(MODEL, 1).revoked, "revoked");
        vm.assertEq(registry.versionOf(MODEL, 1).digest, digestOf(1), "the digest stays");
        (uint64 version,,,,, bool revoked) = registry.current(MODEL, TARGET);
        vm.assertEq(version, 1, "it stays current");
        vm.assertTrue(revoked, "and says so");
    }

    // --- proposals

    function test_a_requester_asks_by_a_transaction() public {
        Proposal memory p = request(1);
        bytes32 id = idOf(p);
        vm.expectEmit(address(registry));
        emit IModelRegistry.ProposalMade(id, MODEL, TARGET, p);
        propose(p);
        IModelRegistry.ProposalState memory state = registry.proposal(id);
        vm.assertEq(uint256(state.status), uint256(IModelRegistry.Status.Open), "status");
        vm.assertEq(state.madeAt, START, "made");
        vm.assertEq(state.deadline, p.deadline, "deadline");
        vm.assertEq(state.approvals, 0, "approvals");
        vm.assertEq(state.reviews, 0, "reviews");
        vm.assertEq(registry.idOf(p), id, "id");
    }

    function test_anybody_brings_what_a_requester_signed() public {
        Proposal memory p = request(1);
        bytes memory signature = signed("rita", idOf(p));
        vm.prank(stranger);
        registry.propose(p, signature);
        assertStatus(p, IModelRegistry.Status.Open);
    }

    function test_a_contract_can_be_the_requester() public {
        Wallet wallet = new Wallet();
        bytes32 role = registry.REQUESTER_ROLE();
        vm.prank(admin);
        registry.grantRole(role, address(wallet));
        Proposal memory p = request(1);
        p.requester = address(wallet);
        refused(abi.encodeWithSelector(IModelRegistry.BadSignature.selector, address(wallet)));
        registry.propose(p, "yes");
        wallet.accept(Typed.digest(Typed.domain(address(registry), block.chainid), idOf(p)), "yes");
        registry.propose(p, "yes");
        assertStatus(p, IModelRegistry.Status.Open);
    }

    function test_nobody_asks_in_the_name_of_another() public {
        Proposal memory p = request(1);
        bytes memory reason = abi.encodeWithSelector(IModelRegistry.BadSignature.selector, rita);
        bytes memory byAlice = signed("alice", idOf(p));
        Proposal memory other = request(2);
        bytes memory forOther = signed("rita", idOf(other));
        vm.startPrank(stranger);
        refused(reason);
        registry.propose(p, "");
        refused(reason);
        registry.propose(p, byAlice);
        refused(reason);
        registry.propose(p, forOther);
        vm.stopPrank();
    }

    function test_every_field_is_signed() public {
        Proposal memory p = request(1);
        bytes memory signature = signed("rita", idOf(p));
        bytes32 id = idOf(p);
        for (uint256 i = 0; i < 12; ++i) {
            Proposal memory q = abi.decode(abi.encode(p), (Proposal));
            if (i == 0) q.model = keccak256("m");
            if (i == 1) q.target = keccak256("t");
            if (i == 2) q.version = 2;
            if (i == 3) q.digest = digestOf(2);
            if (i == 4) q.policyHash = keccak256("p");
            if (i == 5) q.summaryHash = keccak256("s");
            if (i == 6) q.evidenceHash = keccak256("e");
            if (i == 7) q.evidenceKinds = 7;
            if (i == 8) q.deadline = p.deadline - 1;
            if (i == 9) q.requester = dave;
            if (i == 10) q.supersedes = keccak256("x");
            if (i == 11) q.nonce = keccak256("n");
            vm.assertTrue(registry.idOf(q) != id, "another id");
            vm.assertEq(registry.idOf(q), idOf(q), "the id that EIP-712 gives");
            vm.expectRevert();
            registry.propose(q, signature);
        }
        registry.propose(p, signature);
    }

    function test_who_has_no_role_asks_for_nothing() public {
        Proposal memory p = request(1);
        p.requester = dave;
        bytes memory signature = signed("dave", idOf(p));
        bytes memory reason = notRole(dave, registry.REQUESTER_ROLE());
        vm.prank(dave);
        refused(reason);
        registry.propose(p, "");
        refused(reason);
        registry.propose(p, signature);
    }

    function test_a_role_granted_to_nobody_lets_nobody_ask() public {
        bytes32 role = registry.REQUESTER_ROLE();
        vm.prank(admin);
        registry.grantRole(role, address(0));
        Proposal memory p = request(1);
        p.requester = address(0);
        bytes memory reason =
            abi.encodeWithSelector(IModelRegistry.BadSignature.selector, address(0));
        refused(reason);
        registry.propose(p, "");
        refused(reason);
        registry.propose(p, new bytes(65));
    }

    function test_the_same_proposal_is_made_once() public {
        Proposal memory p = request(1);
        bytes memory signature = signed("rita", idOf(p));
        registry.propose(p, signature);
        bytes memory reason =
            abi.encodeWithSelector(IModelRegistry.ProposalExists.selector, idOf(p));
        refused(reason);
        registry.propose(p, signature);
        vm.prank(rita);
        registry.withdraw(p, "");
        refused(reason);
        registry.propose(p, signature);
    }

    function test_an_unknown_version_and_other_bytes_are_refused() public {
        Proposal memory p = request(9);
        vm.startPrank(rita);
        refused(abi.encodeWithSelector(IModelRegistry.UnknownVersion.selector, MODEL, uint64(9)));
        registry.propose(p, "");
        p = request(1);
        p.digest = digestOf(2);
        refused(
            abi.encodeWithSelector(IModelRegistry.DigestMismatch.selector, digestOf(1), digestOf(2))
        );
        registry.propose(p, "");
        p = request(1);
        p.model = keccak256("other model");
        refused(abi.encodeWithSelector(IModelRegistry.UnknownVersion.selector, p.model, uint64(1)));
        registry.propose(p, "");
        vm.stopPrank();
    }

    function test_a_proposal_names_the_policy_in_force() public {
        Proposal memory p = request(1);
        (, bytes32 old,) = registry.policyOf(MODEL, TARGET);
        setPolicy(ANY, policy(2));
        (, bytes32 inForce,) = registry.policyOf(MODEL, TARGET);
        vm.prank(rita);
        refused(abi.encodeWithSelector(IModelRegistry.PolicyChanged.selector, old, inForce));
        registry.propose(p, "");
        p = request(1);
        p.target = keccak256("other target");
        vm.prank(rita);
        refused(abi.encodeWithSelector(IModelRegistry.NoPolicy.selector, MODEL, p.target));
        registry.propose(p, "");
        p.policyHash = 0;
        vm.prank(rita);
        refused(abi.encodeWithSelector(IModelRegistry.NoPolicy.selector, MODEL, p.target));
        registry.propose(p, "");
    }

    function test_the_evidence_that_the_policy_demands_must_be_there() public {
        Proposal memory p = request(1);
        p.evidenceKinds = 2 | 4;
        vm.prank(rita);
        refused(abi.encodeWithSelector(IModelRegistry.EvidenceMissing.selector, uint32(1)));
        registry.propose(p, "");
        p.evidenceKinds = 0;
        vm.prank(rita);
        refused(abi.encodeWithSelector(IModelRegistry.EvidenceMissing.selector, uint32(5)));
        registry.propose(p, "");
        p.evidenceKinds = 7; // more than enough
        propose(p);
    }

    function test_a_deadline_lies_between_now_and_the_policys_expiry() public {
        Proposal memory p = request(1);
        p.deadline = START - 1;
        vm.prank(rita);
        refused(abi.encodeWithSelector(IModelRegistry.DeadlinePassed.selector, p.deadline));
        registry.propose(p, "");
        p.deadline = START + EXPIRY + 1;
        vm.prank(rita);
        refused(
            abi.encodeWithSelector(
                IModelRegistry.DeadlineTooFar.selector, p.deadline, uint256(START + EXPIRY)
            )
        );
        registry.propose(p, "");
        p.deadline = START + EXPIRY;
        propose(p);
        p.deadline = START;
        propose(p);
    }

    function test_only_closed_proposals_are_taken_up_again() public {
        Proposal memory old = proposed(1);
        Proposal memory p = request(1);
        p.supersedes = idOf(old);
        bytes memory reason =
            abi.encodeWithSelector(IModelRegistry.SupersededNotClosed.selector, p.supersedes);
        vm.prank(rita);
        refused(reason);
        registry.propose(p, "");
        vm.warp(old.deadline);
        p.deadline = uint48(block.timestamp + 1 days);
        vm.prank(rita);
        refused(reason);
        registry.propose(p, "");
        vm.warp(old.deadline + 1); // expired
        propose(p);
        p = request(1);
        p.supersedes = keccak256("never made");
        vm.prank(rita);
        refused(abi.encodeWithSelector(IModelRegistry.SupersededNotClosed.selector, p.supersedes));
        registry.propose(p, "");
    }

    function test_rejected_withdrawn_and_promoted_proposals_are_taken_up_again() public {
        Proposal memory rejected = proposed(1);
        vm.prank(alice);
        registry.reject(rejected, REASON, alice, "");
        Proposal memory withdrawn = proposed(1);
        vm.prank(rita);
        registry.withdraw(withdrawn, "");
        Proposal memory done = promoted(1);
        Proposal memory p = request(1);
        p.supersedes = idOf(rejected);
        propose(p);
        p = request(1);
        p.supersedes = idOf(withdrawn);
        propose(p);
        p = request(1);
        p.supersedes = idOf(done);
        propose(p);
    }

    // --- closed

    function test_one_member_rejects_for_ever() public {
        Proposal memory p = approved(1);
        vm.expectEmit(address(registry));
        emit IModelRegistry.ProposalRejected(idOf(p), carol, REASON);
        vm.prank(carol);
        registry.reject(p, REASON, carol, "");
        assertClosed(p, IModelRegistry.Status.Rejected);
    }

    function test_a_signed_rejection_is_brought_by_anybody() public {
        Proposal memory p = proposed(1);
        bytes memory signature = signed("alice", Typed.rejection(idOf(p), REASON, p.summaryHash));
        vm.startPrank(stranger);
        refused(abi.encodeWithSelector(IModelRegistry.BadSignature.selector, alice));
        registry.reject(p, keccak256("other reason"), alice, signature);
        refused(abi.encodeWithSelector(IModelRegistry.BadSignature.selector, bob));
        registry.reject(p, REASON, bob, signature);
        refused(abi.encodeWithSelector(IModelRegistry.BadSignature.selector, alice));
        registry.reject(p, REASON, alice, "");
        registry.reject(p, REASON, alice, signature);
        vm.stopPrank();
        assertClosed(p, IModelRegistry.Status.Rejected);
    }

    function test_who_is_no_member_rejects_nothing() public {
        Proposal memory p = proposed(1);
        bytes memory reason =
            abi.encodeWithSelector(ApproverGroups.NotApprover.selector, GROUP, rita);
        vm.prank(rita);
        refused(reason);
        registry.reject(p, REASON, rita, "");
    }

    function test_a_proposal_is_rejected_even_when_its_policy_is_gone() public {
        Proposal memory p = proposed(1);
        setPolicy(ANY, policy(0));
        vm.prank(alice);
        registry.reject(p, REASON, alice, "");
        assertStatus(p, IModelRegistry.Status.Rejected);
    }

    function test_a_requester_withdraws_for_ever() public {
        Proposal memory p = approved(1);
        vm.prank(alice);
        refused(abi.encodeWithSelector(IModelRegistry.BadSignature.selector, rita));
        registry.withdraw(p, "");
        vm.expectEmit(address(registry));
        emit IModelRegistry.ProposalWithdrawn(idOf(p), rita);
        vm.prank(rita);
        registry.withdraw(p, "");
        assertClosed(p, IModelRegistry.Status.Withdrawn);
    }

    function test_a_signed_withdrawal_is_brought_by_anybody() public {
        Proposal memory p = proposed(1);
        bytes memory authorship = signed("rita", idOf(p));
        bytes memory signature = signed("rita", Typed.withdrawal(idOf(p), p.summaryHash));
        vm.startPrank(stranger);
        refused(abi.encodeWithSelector(IModelRegistry.BadSignature.selector, rita));
        registry.withdraw(p, authorship);
        registry.withdraw(p, signature);
        vm.stopPrank();
        assertClosed(p, IModelRegistry.Status.Withdrawn);
    }

    function test_nothing_happens_to_a_proposal_that_was_never_made() public {
        Proposal memory p = request(1);
        assertClosed(p, IModelRegistry.Status.None);
    }

    /// @dev Whatever one tries with it fails because of its status.
    function assertClosed(Proposal memory p, IModelRegistry.Status status) private {
        assertStatus(p, status);
        bytes memory reason =
            abi.encodeWithSelector(IModelRegistry.ProposalNotOpen.selector, idOf(p), status);
        vm.startPrank(alice);
        refused(reason);
        registry.approve(p);
        refused(reason);
        registry.approveBySignatures(p, list(alice), list(bytes("")));
        refused(reason);
        registry.review(p, alice, "");
        refused(reason);
        registry.reject(p, REASON, alice, "");
        vm.stopPrank();
        vm.prank(rita);
        refused(reason);
        registry.withdraw(p, "");
        vm.warp(block.timestamp + DELAY);
        refused(reason);
        registry.promote(p);
        if (status == IModelRegistry.Status.None) return;
        vm.prank(breaker);
        refused(reason);
        registry.breakGlass(p, REASON);
    }
}
