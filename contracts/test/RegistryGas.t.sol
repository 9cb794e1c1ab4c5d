// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Proposal} from "../src/Proposals.sol";
import {Print} from "./Print.sol";
import {RegistryBase} from "./RegistryBase.sol";

/// @dev What deciding costs: isolated tests, so every call is a whole transaction, with its calldata
/// and nothing warm.
contract RegistryGasTest is RegistryBase {
    /// forge-config: default.isolate = true
    /// forge-config: deep.isolate = true
    function test_gas_of_registering_a_version_is_at_most_76000() public {
        bytes32 model = keccak256("another model");
        vm.prank(registrar);
        registry.registerVersion(model, 7, keccak256("digest"), 123_456_789);
        vm.assertTrue(spent("registerVersion, gas:") <= 76_000, "gas budget");
    }

    /// forge-config: default.isolate = true
    /// forge-config: deep.isolate = true
    function test_gas_of_a_first_promotion_by_two_signatures_is_at_most_200000() public {
        vm.assertTrue(promotion(1) <= 200_000, "gas budget");
    }

    /// forge-config: default.isolate = true
    /// forge-config: deep.isolate = true
    function test_gas_of_a_later_promotion_is_less() public {
        uint256 first = promotion(1);
        vm.assertTrue(promotion(2) < first, "the target's slot was written before");
    }

    /// forge-config: default.isolate = true
    /// forge-config: deep.isolate = true
    function test_gas_of_other_decisions_is_printed() public {
        Proposal memory first = proposed(1);
        approve(first, alice);
        spent("approve by a transaction, gas:");
        approve(first, bob);
        vm.warp(block.timestamp + DELAY);
        registry.promote(first);
        vm.prank(breaker);
        registry.revokeVersion(MODEL, 3, REASON);
        spent("revokeVersion, gas:");
        Proposal memory second = proposed(2);
        vm.prank(breaker);
        registry.breakGlass(second, REASON);
        spent("breakGlass, gas:");
        Proposal memory third = proposed(2);
        vm.prank(alice);
        registry.review(third, alice, "");
        spent("review, gas:");
    }

    /// @dev A proposal signed by rita, approvals signed by alice and bob, and the promotion: three
    /// transactions of somebody else.
    function promotion(uint64 version) private returns (uint256 total) {
        Proposal memory p = request(version);
        // Hashes and a salted nonce have no zero bytes to speak of, which calldata charges less for.
        p.nonce = keccak256(abi.encode(p.nonce));
        bytes memory authorship = signed("rita", idOf(p));
        bytes[] memory signatures =
            list(signed("alice", approvalOf(p)), signed("bob", approvalOf(p)));
        address[] memory members = list(alice, bob);
        vm.prank(stranger);
        registry.propose(p, authorship);
        total += spent("propose, gas:");
        vm.prank(stranger);
        registry.approveBySignatures(p, members, signatures);
        total += spent("approve by two signatures, gas:");
        vm.warp(block.timestamp + DELAY);
        vm.prank(stranger);
        registry.promote(p);
        total += spent("promote, gas:");
        Print.line("propose + approve 2 of 3 + promote, gas:", total);
    }

    function spent(string memory what) private view returns (uint256 gas) {
        gas = vm.lastCallGas().gasTotalUsed;
        vm.assertTrue(gas > 21_000, "a whole transaction was measured");
        Print.line(what, gas);
    }
}
