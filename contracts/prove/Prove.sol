// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @dev What halmos gives besides forge's cheatcodes.
interface Svm {
    function createBytes(uint256 size, string calldata name) external returns (bytes memory);
    function createCalldata(string calldata contractName) external returns (bytes memory);
}

interface VmOfHalmos {
    function assume(bool condition) external;
    function prank(address sender) external;
    function warp(uint256 timestamp) external;
}

/// @dev For what is proved here halmos tries all values, not some: whatever a `check_` function's
/// arguments are, its assertions hold.
abstract contract Prove {
    Svm internal constant svm = Svm(address(uint160(uint256(keccak256("svm cheat code")))));
    VmOfHalmos internal constant vm =
        VmOfHalmos(address(uint160(uint256(keccak256("hevm cheat code")))));
}
