// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IModelRegistry} from "../src/IModelRegistry.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {Proposal} from "../src/Proposals.sol";
import {Prove} from "./Prove.sol";

/// @dev One call of any function with any arguments by anybody, in a registry in which a proposal was
/// promoted and another one rejected: a version's digest stays. Lists in the call have up to two
/// members.
contract ProveRegistry is Prove {
    bytes32 private constant MODEL = keccak256("model");
    bytes32 private constant TARGET = keccak256("target");

    ModelRegistry private registry;

    function setUp() public {
        vm.warp(1_800_000_000);
        registry = new ModelRegistry(address(this), keccak256("salt"));
        registry.grantRole(registry.REGISTRAR_ROLE(), address(0x101));
        registry.grantRole(registry.REQUESTER_ROLE(), address(0x102));
        registry.addApprover(keccak256("group"), address(0x103));
        registry.setPolicy(0, TARGET, IModelRegistry.Policy(keccak256("group"), 1, 0, 1000, 0, 0));
        vm.prank(address(0x101));
        registry.registerVersion(MODEL, 1, keccak256("digest"), 1);
        Proposal memory p;
        (p.model, p.target, p.version, p.digest) = (MODEL, TARGET, 1, keccak256("digest"));
        (, p.policyHash,) = registry.policyOf(MODEL, TARGET);
        (p.deadline, p.requester, p.nonce) = (1_800_000_100, address(0x102), bytes32(uint256(1)));
        vm.prank(address(0x102));
        registry.propose(p, "");
        vm.prank(address(0x103));
        registry.approve(p);
        registry.promote(p);
        p.nonce = bytes32(uint256(2));
        vm.prank(address(0x102));
        registry.propose(p, "");
        vm.prank(address(0x103));
        registry.reject(p, 0, address(0x103), "");
    }

    function check_a_digest_stays(address caller) external {
        act(caller);
        IModelRegistry.Version memory v = registry.versionOf(MODEL, 1);
        assert(v.digest == keccak256("digest"));
        assert(v.registrant == address(0x101));
    }

    function act(address caller) private {
        bytes memory data = svm.createCalldata("ModelRegistry");
        vm.prank(caller);
        (bool done,) = address(registry).call(data);
        vm.assume(done);
    }
}
