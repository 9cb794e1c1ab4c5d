// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IModelRegistry} from "./IModelRegistry.sol";

/// @dev A policy in one slot: its group by number. Zero if there never was one.
type StoredPolicy is uint256;

using Policies for StoredPolicy global;

/// @title Policies as the registry stores them
/// @notice From the low end: group 24 bits, 8 free, threshold 8, delay 32, expiry 32, evidence 32, revision 64.
library Policies {
    /// @notice A policy with this group and revision, for one slot.
    function pack(IModelRegistry.Policy calldata policy, uint24 groupNumber, uint64 revisionNumber)
        internal
        pure
        returns (StoredPolicy)
    {
        return StoredPolicy.wrap(
            uint256(groupNumber) | (uint256(policy.threshold) << 32)
                | (uint256(policy.minDelay) << 40) | (uint256(policy.expiry) << 72)
                | (uint256(policy.evidenceKinds) << 104) | (uint256(revisionNumber) << 136)
        );
    }

    /// @notice No policy, at this revision.
    function none(uint64 revisionNumber) internal pure returns (StoredPolicy) {
        return StoredPolicy.wrap(uint256(revisionNumber) << 136);
    }

    /// @notice The policy as others read it.
    function unpack(StoredPolicy policy, bytes32 groupId)
        internal
        pure
        returns (IModelRegistry.Policy memory)
    {
        return IModelRegistry.Policy(
            groupId,
            uint8(threshold(policy)),
            uint32(minDelay(policy)),
            uint32(expiry(policy)),
            evidenceKinds(policy),
            revision(policy)
        );
    }

    /// @notice Number of the group whose members approve.
    function group(StoredPolicy policy) internal pure returns (uint24) {
        return uint24(StoredPolicy.unwrap(policy));
    }

    /// @notice How many of them have to; zero if there is no policy.
    function threshold(StoredPolicy policy) internal pure returns (uint256) {
        return uint8(StoredPolicy.unwrap(policy) >> 32);
    }

    /// @notice Seconds from a proposal to its earliest promotion.
    function minDelay(StoredPolicy policy) internal pure returns (uint256) {
        return uint32(StoredPolicy.unwrap(policy) >> 40);
    }

    /// @notice Seconds that a proposal may stay open at most.
    function expiry(StoredPolicy policy) internal pure returns (uint256) {
        return uint32(StoredPolicy.unwrap(policy) >> 72);
    }

    /// @notice A bit for each kind of evidence that a proposal has to bring.
    function evidenceKinds(StoredPolicy policy) internal pure returns (uint32) {
        return uint32(StoredPolicy.unwrap(policy) >> 104);
    }

    /// @notice Counts what was ever applied for the model and target.
    function revision(StoredPolicy policy) internal pure returns (uint64) {
        return uint64(StoredPolicy.unwrap(policy) >> 136);
    }
}
