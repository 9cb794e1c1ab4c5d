// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ModelRegistry} from "../src/ModelRegistry.sol";
import {Proposal} from "../src/Proposals.sol";

/// @dev A contract that says yes (ERC-1271) to exactly one hash and signature.
contract Wallet {
    bytes32 private _digest;
    bytes32 private _signature;

    function accept(bytes32 digest, bytes calldata signature) external {
        (_digest, _signature) = (digest, keccak256(signature));
    }

    function isValidSignature(bytes32 digest, bytes calldata signature)
        external
        view
        returns (bytes4)
    {
        bool accepted = digest == _digest && keccak256(signature) == _signature;
        return accepted ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }

    function approve(ModelRegistry registry, Proposal calldata p) external {
        registry.approve(p);
    }
}

/// @dev Answers with the right four bytes and dirt behind them.
contract DirtyWallet {
    fallback() external {
        assembly {
            mstore(0, 0x1626ba7e00000000000000000000000000000000000000000000000000000001)
            return(0, 32)
        }
    }
}

/// @dev Answers with fewer bytes than an answer has.
contract ShortWallet {
    fallback() external {
        assembly {
            mstore(0, 0x1626ba7e00000000000000000000000000000000000000000000000000000000)
            return(0, 4)
        }
    }
}

/// @dev Reverts.
contract AngryWallet {
    fallback() external {
        revert("no");
    }
}

/// @dev While it is asked, approves once more; then says yes.
contract ReenteringWallet {
    bytes private _call;
    ModelRegistry private _registry;

    function prepare(ModelRegistry registry, bytes calldata call) external {
        (_registry, _call) = (registry, call);
    }

    function isValidSignature(bytes32, bytes calldata) external returns (bytes4) {
        (bool done,) = address(_registry).call(_call);
        return done ? bytes4(0xffffffff) : bytes4(0x1626ba7e);
    }
}
