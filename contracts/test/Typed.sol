// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Proposal} from "../src/Proposals.sol";

/// @dev EIP-712 as its text says, word by word, without any of our contract's code: what wallets
/// compute from the readable form.
library Typed {
    function domain(address registry, uint256 chain) internal pure returns (bytes32) {
        return keccak256(
            bytes.concat(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256("mlops-chain"),
                keccak256("1"),
                bytes32(chain),
                bytes32(uint256(uint160(registry)))
            )
        );
    }

    function digest(bytes32 separator, bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(bytes.concat(hex"1901", separator, structHash));
    }

    function proposal(Proposal memory p) internal pure returns (bytes32) {
        bytes32 kind = keccak256(
            bytes.concat(
                "Proposal(bytes32 model,bytes32 target,uint64 version,bytes32 digest,",
                "bytes32 policyHash,string summary,bytes32 evidenceHash,uint32 evidenceKinds,",
                "uint48 deadline,address requester,bytes32 supersedes,bytes32 nonce)"
            )
        );
        bytes memory head = bytes.concat(
            kind, p.model, p.target, bytes32(uint256(p.version)), p.digest, p.policyHash
        );
        bytes memory tail = bytes.concat(
            p.summaryHash,
            p.evidenceHash,
            bytes32(uint256(p.evidenceKinds)),
            bytes32(uint256(p.deadline)),
            bytes32(uint256(uint160(p.requester))),
            p.supersedes,
            p.nonce
        );
        return keccak256(bytes.concat(head, tail));
    }

    function approval(bytes32 id, string memory meaning, bytes32 summaryHash)
        internal
        pure
        returns (bytes32)
    {
        bytes32 kind = keccak256("Approval(bytes32 proposal,string meaning,string summary)");
        return keccak256(bytes.concat(kind, id, keccak256(bytes(meaning)), summaryHash));
    }

    function rejection(bytes32 id, bytes32 reason, bytes32 summaryHash)
        internal
        pure
        returns (bytes32)
    {
        bytes32 kind = keccak256("Rejection(bytes32 proposal,bytes32 reason,string summary)");
        return keccak256(bytes.concat(kind, id, reason, summaryHash));
    }

    function withdrawal(bytes32 id, bytes32 summaryHash) internal pure returns (bytes32) {
        bytes32 kind = keccak256("Withdrawal(bytes32 proposal,string summary)");
        return keccak256(bytes.concat(kind, id, summaryHash));
    }

    function rollback(bytes32 former, uint64 sequence, uint48 deadline, bytes32 summaryHash)
        internal
        pure
        returns (bytes32)
    {
        bytes32 kind =
            keccak256("Rollback(bytes32 former,uint64 sequence,uint48 deadline,string summary)");
        return keccak256(
            bytes.concat(
                kind, former, bytes32(uint256(sequence)), bytes32(uint256(deadline)), summaryHash
            )
        );
    }

    function removal(
        bytes32 model,
        bytes32 target,
        uint64 sequence,
        uint48 deadline,
        bytes32 summaryHash
    ) internal pure returns (bytes32) {
        bytes32 kind = keccak256(
            "Removal(bytes32 model,bytes32 target,uint64 sequence,uint48 deadline,string summary)"
        );
        return keccak256(
            bytes.concat(
                kind,
                model,
                target,
                bytes32(uint256(sequence)),
                bytes32(uint256(deadline)),
                summaryHash
            )
        );
    }
}
