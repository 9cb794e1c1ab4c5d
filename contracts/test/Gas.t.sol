// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {EventLogBase} from "./EventLogBase.sol";
import {Print} from "./Print.sol";
import {Tree} from "./Tree.sol";

/// @dev What anchoring costs: isolated tests, so every call is a whole transaction, with its calldata
/// and nothing warm.
contract GasTest is EventLogBase {
    uint256 private constant BUDGET = 72_000;
    uint256 private constant MILLION = 1_000_000;

    /// forge-config: default.isolate = true
    /// forge-config: deep.isolate = true
    function test_gas_of_an_anchor_in_a_log_of_a_million_is_at_most_72000() public {
        uint256 gas =
            measured("anchor of 4,000 leaves in a log of 10^6, gas:", MILLION, MILLION + 4000);
        vm.assertTrue(gas <= BUDGET, "gas budget");
        Print.line("  gas per 1,000 events:", gas / 4);
    }

    /// forge-config: default.isolate = true
    /// forge-config: deep.isolate = true
    function test_gas_of_the_dearest_anchor_near_a_million_is_at_most_72000() public {
        // The longest proofs climb all 20 levels one by one: they start at a last leaf whose left
        // neighbours are many, and the new leaves open one more level.
        uint256 oldSize = 2 ** 20 - 1;
        uint256 gas =
            measured("dearest anchor of 4,000 leaves near 10^6, gas:", oldSize, oldSize + 4000);
        vm.assertTrue(gas <= BUDGET, "gas budget");
    }

    /// forge-config: default.isolate = true
    /// forge-config: deep.isolate = true
    /// forge-config: default.fuzz.runs = 100
    function testFuzz_gas_of_an_anchor_near_a_million_is_at_most_72000(uint64 oldSize) public {
        oldSize = uint64(within(oldSize, MILLION - 50_000, MILLION + 50_000));
        vm.assertTrue(cost(oldSize, oldSize + 4000) <= BUDGET, "gas budget");
    }

    /// forge-config: default.isolate = true
    /// forge-config: deep.isolate = true
    function test_gas_of_other_anchors_is_printed() public {
        vm.prank(writer);
        eventLog.anchor(LOG, 4000, keccak256("root"), none());
        Print.line("first anchor of a log, gas:", spent());
        open(OTHER, writer);
        measured("anchor of 4,000 leaves in a log of 5,000, gas:", 5000, 9000);
        measured("anchor of 1 leaf in a log of 10^6, gas:", MILLION, MILLION + 1);
    }

    function measured(string memory name, uint256 oldSize, uint256 newSize)
        private
        returns (uint256 gas)
    {
        (,, bytes32[] memory proof) = Tree.sketch(oldSize, newSize);
        gas = cost(oldSize, newSize);
        Print.line(name, gas);
        Print.line("  nodes in the proof:", proof.length);
    }

    /// @dev Opens a log of its own for each pair of sizes.
    function cost(uint256 oldSize, uint256 newSize) private returns (uint256) {
        bytes32 logId = keccak256(abi.encode(oldSize, newSize));
        open(logId, writer);
        (bytes32 oldRoot, bytes32 newRoot, bytes32[] memory proof) = Tree.sketch(oldSize, newSize);
        vm.prank(writer);
        eventLog.anchor(logId, uint64(oldSize), oldRoot, none());
        vm.roll(2);
        vm.prank(writer);
        eventLog.anchor(logId, uint64(newSize), newRoot, proof);
        return spent();
    }

    function spent() private view returns (uint256 gas) {
        gas = vm.lastCallGas().gasTotalUsed;
        vm.assertTrue(gas > 21_000, "a whole transaction was measured");
    }
}
