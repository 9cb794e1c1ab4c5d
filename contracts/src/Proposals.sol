// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice A request to make a version current for a target. Its EIP-712 struct hash is its id.
/// @dev Signed as typed data whose member `summary` is readable text; on chain is only its hash, and
/// the text holds a salt, so that nobody can guess it.
struct Proposal {
    bytes32 model; // the incarnation
    bytes32 target; // salted hash of the alias or stage
    uint64 version;
    bytes32 digest; // salted digest of the version's files
    bytes32 policyHash; // of the policy in force
    bytes32 summaryHash; // keccak-256 of the summary
    bytes32 evidenceHash; // of the list of evidence that the requester brings; zero for none
    uint32 evidenceKinds; // a bit for each kind of evidence in that list
    uint48 deadline; // last second in which it can be approved or promoted
    address requester;
    bytes32 supersedes; // a closed proposal that this one takes up again; zero for none
    bytes32 nonce; // random
}

/// @title Hashes of what people sign (EIP-712 structs)
library Proposals {
    bytes32 private constant PROPOSAL_TYPE = keccak256(
        "Proposal(bytes32 model,bytes32 target,uint64 version,bytes32 digest,bytes32 policyHash,string summary,bytes32 evidenceHash,uint32 evidenceKinds,uint48 deadline,address requester,bytes32 supersedes,bytes32 nonce)"
    );
    bytes32 private constant APPROVAL_TYPE =
        keccak256("Approval(bytes32 proposal,string meaning,string summary)");
    bytes32 private constant REJECTION_TYPE =
        keccak256("Rejection(bytes32 proposal,bytes32 reason,string summary)");
    bytes32 private constant WITHDRAWAL_TYPE =
        keccak256("Withdrawal(bytes32 proposal,string summary)");
    bytes32 private constant ROLLBACK_TYPE =
        keccak256("Rollback(bytes32 former,uint64 sequence,uint48 deadline,string summary)");
    bytes32 private constant REMOVAL_TYPE = keccak256(
        "Removal(bytes32 model,bytes32 target,uint64 sequence,uint48 deadline,string summary)"
    );

    /// @dev What an approver's signature can mean.
    bytes32 internal constant APPROVAL = keccak256("approval");
    bytes32 internal constant REVIEW = keccak256("review");

    /// @notice The proposal's id, which its requester signs (the meaning of that is authorship).
    /// @dev The members lie in calldata as EIP-712 encodes them, the hash of the text included. Bits
    /// that a member has too many make it another id, and whoever reads that member reverts.
    function hash(Proposal calldata p) internal pure returns (bytes32 id) {
        bytes32 kind = PROPOSAL_TYPE;
        assembly ("memory-safe") {
            let start := mload(0x40)
            mstore(start, kind)
            calldatacopy(add(start, 0x20), p, 0x180)
            id := keccak256(start, 0x1a0)
        }
    }

    /// @notice An approver's signature; `meaning` is APPROVAL or REVIEW.
    function hashApproval(bytes32 id, bytes32 meaning, bytes32 summaryHash)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(APPROVAL_TYPE, id, meaning, summaryHash));
    }

    /// @notice An approver's signature under a rejection.
    function hashRejection(bytes32 id, bytes32 reason, bytes32 summaryHash)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(REJECTION_TYPE, id, reason, summaryHash));
    }

    /// @notice The requester's signature under a withdrawal.
    function hashWithdrawal(bytes32 id, bytes32 summaryHash) internal pure returns (bytes32) {
        return keccak256(abi.encode(WITHDRAWAL_TYPE, id, summaryHash));
    }

    /// @notice An approver's signature under a return to what was current before.
    function hashRollback(bytes32 former, uint64 sequence, uint48 deadline, bytes32 summaryHash)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(ROLLBACK_TYPE, former, sequence, deadline, summaryHash));
    }

    /// @notice An approver's signature under leaving a target without a current version.
    function hashRemoval(
        bytes32 model,
        bytes32 target,
        uint64 sequence,
        uint48 deadline,
        bytes32 summaryHash
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode(REMOVAL_TYPE, model, target, sequence, deadline, summaryHash));
    }
}
