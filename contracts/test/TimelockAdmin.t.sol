// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";

import {RegistryBase} from "./RegistryBase.sol";

/// @dev A registry whose only admin is OpenZeppelin's timelock.
contract TimelockAdminTest is RegistryBase {
    TimelockController private timelock;

    function setUp() public override {
        super.setUp();
        timelock = new TimelockController(1 days, list(alice), list(bob), address(0));
        vm.startPrank(admin);
        registry.grantRole(0, address(timelock));
        registry.renounceRole(0, admin);
        vm.stopPrank();
    }

    function test_a_change_waits_for_its_delay() public {
        bytes memory change = abi.encodeCall(registry.setPolicy, (MODEL, TARGET, policy(3)));
        vm.prank(alice);
        timelock.schedule(address(registry), 0, change, 0, 0, 1 days);
        vm.warp(block.timestamp + 1 days - 1);
        vm.prank(bob);
        vm.expectRevert();
        timelock.execute(address(registry), 0, change, 0, 0);
        vm.warp(block.timestamp + 1);
        vm.prank(bob);
        timelock.execute(address(registry), 0, change, 0, 0);
        (,, bool isDefault) = registry.policyOf(MODEL, TARGET);
        vm.assertFalse(isDefault, "set");
    }

    function test_nobody_gets_around_it() public {
        vm.prank(admin);
        refused(notRole(admin, 0));
        registry.setPolicy(MODEL, TARGET, policy(1));
        vm.prank(alice);
        refused(notRole(alice, 0));
        registry.grantRole(0, alice);
        vm.prank(alice);
        vm.expectRevert();
        timelock.schedule(address(registry), 0, "", 0, 0, 1 days - 1);
    }

    function test_a_breaker_pauses_without_waiting() public {
        pause();
        vm.assertTrue(registry.paused(), "paused");
    }
}
