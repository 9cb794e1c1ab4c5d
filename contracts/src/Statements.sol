// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {ApproverGroups} from "./ApproverGroups.sol";
import {IModelRegistry} from "./IModelRegistry.sol";

/// @title What people say, by a transaction or by a signature
/// @notice Signatures are EIP-712, of a key or (ERC-1271) of a contract. Who sends the transaction
/// needs none.
abstract contract Statements is IModelRegistry, EIP712, ApproverGroups {
    /// @dev What members sign, about a matter that is there since `madeAt`; never stored.
    struct Statement {
        bytes32 structHash;
        uint24 group;
        uint48 madeAt;
    }

    constructor() EIP712("mlops-chain", "1") {}

    /// @dev That the signer is the caller, or signed these typed data.
    function _checkSigned(address signer, bytes32 structHash, bytes calldata signature)
        internal
        view
    {
        if (!_isCaller(signer, signature)) _checkSignature(signer, structHash, signature);
    }

    /// @dev The seat of a member who is the caller, or signed these typed data; not before it left
    /// the group and joined again, which it may have if the matter is from before.
    function _signingSeat(Statement memory s, address member, bytes calldata signature)
        internal
        view
        returns (uint64 seat)
    {
        uint48 movedAt;
        (seat, movedAt) = _memberOf(s.group, member);
        if (_isCaller(member, signature)) return seat;
        if (movedAt != 0 && movedAt >= s.madeAt) revert StaleSignature(_idOf(s.group), member);
        _checkSignature(member, s.structHash, signature);
    }

    function _checkSignature(address signer, bytes32 structHash, bytes calldata signature)
        private
        view
    {
        bytes32 digest = _hashTypedDataV4(structHash);
        // The key of an account is asked first, and the code of the account only if that says no.
        (address recovered,,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (recovered == signer && signer != address(0)) return;
        if (!SignatureChecker.isValidERC1271SignatureNowCalldata(signer, digest, signature)) {
            revert BadSignature(signer);
        }
    }

    /// @dev Whether the signer sends the transaction itself, and so needs no signature.
    function _isCaller(address signer, bytes calldata signature) private view returns (bool) {
        return signer == msg.sender && signature.length == 0;
    }

    /// @dev One signature for each signer, and no more of them than a group has seats.
    function _checkLengths(uint256 signers, uint256 signatures) internal pure {
        if (signers != signatures) revert LengthMismatch(signers, signatures);
        if (signers > MAX_SEATS) revert TooManySignatures(signers);
    }
}
