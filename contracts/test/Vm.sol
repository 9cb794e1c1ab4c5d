// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @dev The cheatcodes of forge that these tests use.
interface Vm {
    /// @dev What the last call cost in an isolated test: a whole transaction.
    struct Gas {
        uint64 gasLimit;
        uint64 gasTotalUsed;
        uint64 gasMemoryUsed;
        int64 gasRefunded;
        uint64 gasRemaining;
    }

    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function addr(uint256 key) external pure returns (address account);
    function assertEq(address left, address right, string calldata text) external pure;
    function assertEq(uint256 left, uint256 right, string calldata text) external pure;
    function assertEq(bytes32 left, bytes32 right, string calldata text) external pure;
    function assertEq(bytes calldata left, bytes calldata right, string calldata text) external pure;
    function assertFalse(bool condition, string calldata text) external pure;
    function assertTrue(bool condition, string calldata text) external pure;
    function chainId(uint256 newChainId) external;
    function clearMockedCalls() external;
    function expectEmit(address emitter) external;
    function expectRevert() external;
    function expectRevert(bytes calldata data) external;
    function lastCallGas() external view returns (Gas memory gas);
    function mockCall(address callee, bytes calldata data, bytes calldata result) external;
    function prank(address sender) external;
    function getRecordedLogs() external returns (Log[] memory logs);
    function recordLogs() external;
    function roll(uint256 blockNumber) external;
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function startPrank(address sender) external;
    function stopPrank() external;
    function warp(uint256 timestamp) external;
}

/// @dev What every test contract has.
abstract contract TestBase {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @dev A number from low to high, both included, made from any number.
    function within(uint256 any, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + any % (high - low + 1);
    }

    /// @dev An account that signs nothing and is nobody else here.
    function account(string memory name) internal pure returns (address) {
        return address(uint160(uint256(keccak256(bytes(name)))));
    }

    /// @dev The next call must revert with exactly this error.
    function refused(bytes memory data) internal {
        vm.expectRevert(data);
    }
}
