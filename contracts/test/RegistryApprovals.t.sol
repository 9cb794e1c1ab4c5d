// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ApproverGroups} from "../src/ApproverGroups.sol";
import {IModelRegistry} from "../src/IModelRegistry.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {Proposal} from "../src/Proposals.sol";
import {RegistryBase} from "./RegistryBase.sol";
import {Typed} from "./Typed.sol";
import {AngryWallet, DirtyWallet, ReenteringWallet, ShortWallet, Wallet} from "./Wallets.sol";

/// @dev Approvals and reviews, by transactions and by signatures.
contract RegistryApprovalsTest is RegistryBase {
    /// @dev Order of the curve; a signature (r, s, v) has the twin (r, n - s, 55 - v).
    uint256 private constant N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    Proposal private p;

    function setUp() public override {
        super.setUp();
        p = proposed(1);
    }

    // --- by a transaction

    function test_a_member_approves_once() public {
        vm.expectEmit(address(registry));
        emit IModelRegistry.ProposalApproved(idOf(p), bob);
        approve(p, bob);
        assertApprovals(2);
        approve(p, alice);
        assertApprovals(3);
        vm.prank(bob);
        refused(abi.encodeWithSelector(IModelRegistry.AlreadyApproved.selector, idOf(p), bob));
        registry.approve(p);
        assertApprovals(3);
    }

    function test_who_is_no_member_approves_nothing() public {
        vm.prank(dave);
        refused(abi.encodeWithSelector(ApproverGroups.NotApprover.selector, GROUP, dave));
        registry.approve(p);
        vm.prank(admin);
        registry.addApprover(OTHER_GROUP, dave);
        vm.prank(dave);
        refused(abi.encodeWithSelector(ApproverGroups.NotApprover.selector, GROUP, dave));
        registry.approve(p);
    }

    function test_a_requester_approves_not_even_as_a_member() public {
        addApprover(rita);
        bytes memory reason =
            abi.encodeWithSelector(IModelRegistry.ApproverIsRequester.selector, rita);
        vm.prank(rita);
        refused(reason);
        registry.approve(p);
        refusedBySignature(rita, signed("rita", approvalOf(p)), reason);
    }

    function test_a_registrant_approves_not_even_as_a_member() public {
        bytes32 role = registry.REGISTRAR_ROLE();
        vm.prank(admin);
        registry.grantRole(role, dave);
        addApprover(dave);
        vm.prank(dave);
        registry.registerVersion(MODEL, 9, digestOf(9), 0);
        vm.prank(admin);
        registry.revokeRole(role, dave); // what he did stays
        p = proposed(9);
        bytes memory reason =
            abi.encodeWithSelector(IModelRegistry.ApproverIsRegistrant.selector, dave);
        vm.prank(dave);
        refused(reason);
        registry.approve(p);
        refusedBySignature(dave, signed("dave", approvalOf(p)), reason);
        approve(proposed(1), dave); // somebody else registered this one
    }

    function test_approvals_end_with_the_deadline() public {
        bytes memory signature = signed("bob", approvalOf(p));
        vm.warp(p.deadline);
        approve(p, alice);
        vm.warp(p.deadline + 1);
        bytes memory reason =
            abi.encodeWithSelector(IModelRegistry.DeadlinePassed.selector, p.deadline);
        vm.prank(bob);
        refused(reason);
        registry.approve(p);
        refusedBySignature(bob, signature, reason);
        vm.prank(bob);
        refused(reason);
        registry.review(p, bob, "");
    }

    function test_a_revoked_version_is_not_approved() public {
        vm.prank(breaker);
        registry.revokeVersion(MODEL, 1, REASON);
        bytes memory reason =
            abi.encodeWithSelector(IModelRegistry.VersionIsRevoked.selector, MODEL, uint64(1));
        vm.prank(alice);
        refused(reason);
        registry.approve(p);
        refusedBySignature(alice, signed("alice", approvalOf(p)), reason);
    }

    function test_fields_that_were_not_proposed_are_not_approved() public {
        Proposal memory q = abi.decode(abi.encode(p), (Proposal));
        q.version = 2;
        q.digest = digestOf(2);
        vm.prank(alice);
        refused(
            abi.encodeWithSelector(
                IModelRegistry.ProposalNotOpen.selector, idOf(q), IModelRegistry.Status.None
            )
        );
        registry.approve(q);
    }

    // --- by signatures

    function test_anybody_brings_what_members_signed() public {
        vm.expectEmit(address(registry));
        emit IModelRegistry.ProposalApproved(idOf(p), alice);
        vm.expectEmit(address(registry));
        emit IModelRegistry.ProposalApproved(idOf(p), carol);
        vm.prank(stranger);
        registry.approveBySignatures(
            p,
            list(alice, carol),
            list(signed("alice", approvalOf(p)), signed("carol", approvalOf(p)))
        );
        assertApprovals(5);
    }

    function test_a_member_brings_a_signature_and_approves_at_once() public {
        bytes[] memory signatures = list(bytes(""), signed("bob", approvalOf(p)));
        vm.prank(alice);
        registry.approveBySignatures(p, list(alice, bob), signatures);
        assertApprovals(3);
    }

    function test_no_signature_is_nobodys_but_the_callers() public {
        vm.prank(alice);
        refused(abi.encodeWithSelector(IModelRegistry.BadSignature.selector, bob));
        registry.approveBySignatures(p, list(bob), list(bytes("")));
    }

    function test_a_signature_counts_once() public {
        bytes memory signature = signed("alice", approvalOf(p));
        registry.approveBySignatures(p, list(alice), list(signature));
        bytes memory reason =
            abi.encodeWithSelector(IModelRegistry.AlreadyApproved.selector, idOf(p), alice);
        refusedBySignature(alice, signature, reason);
        approve(p, bob);
        refusedBySignature(
            bob,
            signed("bob", approvalOf(p)),
            abi.encodeWithSelector(IModelRegistry.AlreadyApproved.selector, idOf(p), bob)
        );
        assertApprovals(3);
    }

    function test_a_duplicate_in_one_call_is_refused() public {
        bytes memory signature = signed("alice", approvalOf(p));
        refused(abi.encodeWithSelector(IModelRegistry.AlreadyApproved.selector, idOf(p), alice));
        registry.approveBySignatures(p, list(alice, alice), list(signature, signature));
        assertApprovals(0);
    }

    function test_a_signature_for_one_proposal_is_none_for_another() public {
        bytes memory signature = signed("alice", approvalOf(p));
        p = proposed(1); // differs in its nonce alone
        refusedSignature(signature);
        p = proposed(2);
        refusedSignature(signature);
    }

    function test_a_malleable_twin_is_no_signature() public {
        bytes memory signature = signed("alice", approvalOf(p));
        (bytes32 r, bytes32 s) = abi.decode(signature, (bytes32, bytes32));
        uint8 v = uint8(signature[64]);
        bytes memory twin = abi.encodePacked(r, bytes32(N - uint256(s)), uint8(55 - v));
        vm.assertEq(
            ecrecover(
                Typed.digest(Typed.domain(address(registry), block.chainid), approvalOf(p)),
                55 - v,
                r,
                bytes32(N - uint256(s))
            ),
            alice,
            "the curve takes the twin"
        );
        refusedSignature(twin);
    }

    function test_other_lengths_and_dirt_are_no_signatures() public {
        bytes memory signature = signed("alice", approvalOf(p));
        (bytes32 r, bytes32 s) = abi.decode(signature, (bytes32, bytes32));
        uint8 v = uint8(signature[64]);
        refusedSignature(abi.encodePacked(signature, uint8(0)));
        refusedSignature(abi.encodePacked(r, s));
        uint256 compact = uint256(s) | (uint256(v - 27) << 255);
        refusedSignature(abi.encodePacked(r, compact)); // EIP-2098
        refusedSignature(abi.encodePacked(r, s, uint8(v - 27)));
        refusedSignature(abi.encodePacked(r, s, uint8(29)));
        refusedSignature(abi.encodePacked(bytes32(0), s, v));
        refusedSignature(new bytes(65));
    }

    function test_a_foreign_domain_is_refused() public {
        bytes32 h = approvalOf(p);
        ModelRegistry other = deploy();
        refusedSignature(signedFor("alice", h, address(other), block.chainid));
        refusedSignature(signedFor("alice", h, address(registry), block.chainid + 1));
        bytes32 noVersion = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)"),
                keccak256("mlops-chain"),
                block.chainid,
                address(registry)
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf("alice"), Typed.digest(noVersion, h));
        refusedSignature(abi.encodePacked(r, s, v));
    }

    function test_a_fork_of_the_chain_is_a_foreign_domain() public {
        bytes memory signature = signed("alice", approvalOf(p));
        uint256 chain = block.chainid;
        vm.chainId(chain + 1);
        refusedSignature(signature);
        bytes memory there = signedFor("alice", approvalOf(p), address(registry), chain + 1);
        registry.approveBySignatures(p, list(alice), list(there));
        vm.chainId(chain);
    }

    function test_another_meaning_is_no_approval() public {
        bytes32 id = idOf(p);
        refusedSignature(signed("alice", Typed.approval(id, "review", p.summaryHash)));
        refusedSignature(signed("alice", Typed.approval(id, "Approval", p.summaryHash)));
        refusedSignature(signed("alice", Typed.approval(id, "", p.summaryHash)));
        refusedSignature(signed("alice", id)); // authorship
        refusedSignature(signed("alice", Typed.withdrawal(id, p.summaryHash)));
        refusedSignature(signed("alice", Typed.rejection(id, 0, p.summaryHash)));
    }

    function test_an_approval_of_another_text_is_refused() public {
        refusedSignature(signed("alice", Typed.approval(idOf(p), "approval", keccak256("other"))));
    }

    function test_one_bad_signature_makes_all_fail() public {
        bytes[] memory signatures =
            list(signed("alice", approvalOf(p)), signed("carol", approvalOf(p)));
        refused(abi.encodeWithSelector(IModelRegistry.BadSignature.selector, bob));
        registry.approveBySignatures(p, list(alice, bob), signatures);
        assertApprovals(0);
    }

    function test_signers_and_signatures_go_together() public {
        bytes[] memory signatures = list(signed("alice", approvalOf(p)));
        refused(
            abi.encodeWithSelector(IModelRegistry.LengthMismatch.selector, uint256(2), uint256(1))
        );
        registry.approveBySignatures(p, list(alice, bob), signatures);
        registry.approveBySignatures(p, new address[](0), new bytes[](0));
        assertApprovals(0);
    }

    function test_more_signatures_than_seats_are_refused() public {
        refused(abi.encodeWithSelector(IModelRegistry.TooManySignatures.selector, uint256(65)));
        registry.approveBySignatures(p, new address[](65), new bytes[](65));
        refused(abi.encodeWithSelector(ApproverGroups.NotApprover.selector, GROUP, address(0)));
        registry.approveBySignatures(p, new address[](64), new bytes[](64));
    }

    // --- by contracts

    function test_a_contract_approves_by_its_own_word() public {
        Wallet wallet = new Wallet();
        addApprover(address(wallet));
        bytes memory reason =
            abi.encodeWithSelector(IModelRegistry.BadSignature.selector, address(wallet));
        refusedBySignature(address(wallet), "owners' signatures", reason);
        wallet.accept(
            Typed.digest(Typed.domain(address(registry), block.chainid), approvalOf(p)),
            "owners' signatures"
        );
        refusedBySignature(address(wallet), "other signatures", reason);
        registry.approveBySignatures(p, list(address(wallet)), list(bytes("owners' signatures")));
        assertApprovals(8);
    }

    function test_a_contract_that_was_told_before_needs_no_bytes() public {
        Wallet wallet = new Wallet();
        addApprover(address(wallet));
        wallet.accept(
            Typed.digest(Typed.domain(address(registry), block.chainid), approvalOf(p)), ""
        );
        registry.approveBySignatures(p, list(address(wallet)), list(bytes("")));
        assertApprovals(8);
    }

    function test_a_contract_approves_by_a_transaction() public {
        Wallet wallet = new Wallet();
        addApprover(address(wallet));
        wallet.approve(registry, p);
        assertApprovals(8);
    }

    function test_a_contract_that_answers_wrongly_approves_nothing() public {
        address[4] memory wallets = [
            address(new DirtyWallet()),
            address(new ShortWallet()),
            address(new AngryWallet()),
            address(registry) // a contract without that function
        ];
        for (uint256 i = 0; i < wallets.length; ++i) {
            addApprover(wallets[i]);
            refusedBySignature(
                wallets[i],
                "signature",
                abi.encodeWithSelector(IModelRegistry.BadSignature.selector, wallets[i])
            );
        }
    }

    function test_precompiled_contracts_approve_nothing() public {
        bytes32 digest = Typed.digest(Typed.domain(address(registry), block.chainid), approvalOf(p));
        // Those from 5 on take all the gas they get for such input.
        for (uint160 i = 1; i <= 4; ++i) {
            addApprover(address(i));
            bytes memory reason =
                abi.encodeWithSelector(IModelRegistry.BadSignature.selector, address(i));
            refusedBySignature(address(i), "", reason);
            refusedBySignature(address(i), new bytes(65), reason);
            refusedBySignature(address(i), abi.encode(digest), reason);
        }
    }

    function test_a_contract_can_not_act_while_it_is_asked() public {
        ReenteringWallet wallet = new ReenteringWallet();
        addApprover(address(wallet));
        wallet.prepare(registry, abi.encodeCall(ModelRegistry.approve, (p)));
        // It may only look, so its own attempt fails, and its yes is a yes.
        registry.approveBySignatures(p, list(address(wallet)), list(bytes("signature")));
        assertApprovals(8);
    }

    // --- who left, and who came back

    function test_a_removed_member_approves_nothing_more() public {
        bytes memory signature = signed("alice", approvalOf(p));
        removeApprover(alice);
        bytes memory reason =
            abi.encodeWithSelector(ApproverGroups.NotApprover.selector, GROUP, alice);
        vm.prank(alice);
        refused(reason);
        registry.approve(p);
        refusedBySignature(alice, signature, reason);
    }

    function test_a_new_member_approves_what_was_there_before() public {
        addApprover(dave);
        registry.approveBySignatures(p, list(dave), list(signed("dave", approvalOf(p))));
        assertApprovals(8);
    }

    function test_what_was_signed_before_leaving_counts_no_more_after_coming_back() public {
        bytes memory signature = signed("alice", approvalOf(p));
        registry.approveBySignatures(p, list(alice), list(signature));
        vm.warp(block.timestamp + 1);
        removeApprover(alice);
        addApprover(alice);
        bytes memory reason =
            abi.encodeWithSelector(ApproverGroups.StaleSignature.selector, GROUP, alice);
        refusedBySignature(alice, signature, reason);
        vm.prank(alice);
        refused(reason);
        registry.review(p, alice, signed("alice", Typed.approval(idOf(p), "review", SUMMARY)));
        vm.prank(alice);
        refused(reason);
        registry.reject(
            p, REASON, alice, signed("alice", Typed.rejection(idOf(p), REASON, SUMMARY))
        );
        approve(p, alice); // by a transaction she can
        assertApprovals(1 | 8);
        approve(p, bob);
        vm.warp(block.timestamp + DELAY);
        registry.promote(p);
    }

    function test_who_came_back_in_the_second_of_the_proposal_has_no_fresh_signature() public {
        removeApprover(alice);
        addApprover(alice);
        refusedBySignature(
            alice,
            signed("alice", approvalOf(p)),
            abi.encodeWithSelector(ApproverGroups.StaleSignature.selector, GROUP, alice)
        );
        vm.warp(block.timestamp + 1);
        p = proposed(2);
        registry.approveBySignatures(p, list(alice), list(signed("alice", approvalOf(p))));
        assertApprovals(8);
    }

    function test_a_contract_that_came_back_and_was_told_before_counts_no_more() public {
        Wallet wallet = new Wallet();
        addApprover(address(wallet));
        wallet.accept(
            Typed.digest(Typed.domain(address(registry), block.chainid), approvalOf(p)), ""
        );
        removeApprover(address(wallet));
        addApprover(address(wallet));
        refusedBySignature(
            address(wallet),
            "",
            abi.encodeWithSelector(ApproverGroups.StaleSignature.selector, GROUP, address(wallet))
        );
    }

    // --- reviews

    function test_a_review_is_noted_and_counts_towards_no_quorum() public {
        vm.expectEmit(address(registry));
        emit IModelRegistry.ProposalReviewed(idOf(p), alice);
        vm.prank(alice);
        registry.review(p, alice, "");
        bytes memory signature = signed("bob", Typed.approval(idOf(p), "review", p.summaryHash));
        vm.prank(stranger);
        registry.review(p, bob, signature);
        IModelRegistry.ProposalState memory state = registry.proposal(idOf(p));
        vm.assertEq(state.reviews, 3, "reviews");
        vm.assertEq(state.approvals, 0, "approvals");
        vm.warp(block.timestamp + DELAY);
        refused(
            abi.encodeWithSelector(IModelRegistry.QuorumMissing.selector, uint256(0), uint256(2))
        );
        registry.promote(p);
        approve(p, alice); // who reviewed may approve
    }

    function test_a_review_is_noted_once_of_members_who_said_review() public {
        vm.startPrank(alice);
        registry.review(p, alice, "");
        refused(abi.encodeWithSelector(IModelRegistry.AlreadyApproved.selector, idOf(p), alice));
        registry.review(p, alice, "");
        refused(abi.encodeWithSelector(ApproverGroups.NotApprover.selector, GROUP, dave));
        registry.review(p, dave, "");
        bytes memory approval = signed("bob", approvalOf(p));
        refused(abi.encodeWithSelector(IModelRegistry.BadSignature.selector, bob));
        registry.review(p, bob, approval);
        vm.stopPrank();
    }

    // --- fuzz

    function testFuzz_a_changed_signature_is_refused(uint256 place, uint8 mask) public {
        bytes memory signature = signed("alice", approvalOf(p));
        place %= 65;
        if (mask == 0) mask = 1;
        signature[place] = bytes1(uint8(signature[place]) ^ mask);
        refusedSignature(signature);
    }

    function testFuzz_any_bytes_are_refused(bytes calldata signature) public {
        refusedSignature(signature);
    }

    function testFuzz_each_set_of_members_is_counted(uint256 which) public {
        vm.startPrank(admin);
        for (uint160 i = 0; i < 61; ++i) {
            registry.addApprover(GROUP, address(0x10000 + i));
        }
        vm.stopPrank();
        uint256 count;
        for (uint160 i = 0; i < 61; ++i) {
            if (which & (1 << i) == 0) continue;
            approve(p, address(0x10000 + i));
            ++count;
        }
        vm.assertEq(registry.proposal(idOf(p)).approvals, (which % (1 << 61)) << 3, "seats");
        vm.warp(block.timestamp + DELAY);
        (bool promotable, bytes memory reason) = registry.isPromotable(p);
        vm.assertTrue(promotable == (count >= 2), "quorum");
        if (promotable) return;
        vm.assertEq(
            reason,
            abi.encodeWithSelector(IModelRegistry.QuorumMissing.selector, count, uint256(2)),
            "count"
        );
    }

    // --- within

    function assertApprovals(uint256 seats) private view {
        vm.assertEq(registry.proposal(idOf(p)).approvals, seats, "approvals");
    }

    function refusedSignature(bytes memory signature) private {
        refusedBySignature(
            alice, signature, abi.encodeWithSelector(IModelRegistry.BadSignature.selector, alice)
        );
    }

    function refusedBySignature(address approver, bytes memory signature, bytes memory reason)
        private
    {
        uint256 before = registry.proposal(idOf(p)).approvals;
        Proposal memory q = p;
        vm.prank(stranger);
        refused(reason);
        registry.approveBySignatures(q, list(approver), list(signature));
        assertApprovals(before);
    }
}
