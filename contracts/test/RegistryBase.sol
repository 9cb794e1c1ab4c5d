// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IModelRegistry} from "../src/IModelRegistry.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {Proposal} from "../src/Proposals.sol";
import {Typed} from "./Typed.sol";
import {TestBase} from "./Vm.sol";

/// @dev A registry in which `rita` may ask, two of `alice`, `bob` and `carol` decide after an hour,
/// and three versions of a model are registered.
abstract contract RegistryBase is TestBase {
    bytes32 internal constant MODEL = keccak256("model");
    bytes32 internal constant TARGET = keccak256("target");
    bytes32 internal constant GROUP = keccak256("group");
    bytes32 internal constant OTHER_GROUP = keccak256("other group");
    bytes32 internal constant REASON = keccak256("salted reason");
    bytes32 internal constant SUMMARY = keccak256("make version 1 current; salt 5f3a");
    bytes32 internal constant SALT_HASH = keccak256("salt");
    bytes32 internal constant ANY = 0;
    uint48 internal constant START = 1_800_000_000;
    uint32 internal constant DELAY = 1 hours;
    uint32 internal constant EXPIRY = 7 days;
    uint32 internal constant EVIDENCE = 5; // two kinds

    address internal immutable admin = account("admin");
    address internal immutable registrar = account("registrar");
    address internal immutable breaker = account("breaker");
    address internal immutable stranger = account("stranger");
    address internal immutable rita = person("rita");
    address internal immutable alice = person("alice");
    address internal immutable bob = person("bob");
    address internal immutable carol = person("carol");
    address internal immutable dave = person("dave"); // a member of no group

    ModelRegistry internal registry;
    uint256 private _nonces;

    function setUp() public virtual {
        vm.warp(START);
        registry = deploy();
        vm.startPrank(admin);
        registry.addApprover(GROUP, alice);
        registry.addApprover(GROUP, bob);
        registry.addApprover(GROUP, carol);
        registry.setPolicy(ANY, TARGET, policy(2));
        vm.stopPrank();
        for (uint64 version = 1; version <= 3; ++version) {
            register(version);
        }
    }

    function deploy() internal returns (ModelRegistry deployed) {
        deployed = new ModelRegistry(admin, SALT_HASH);
        bytes32 registrarRole = deployed.REGISTRAR_ROLE();
        bytes32 requesterRole = deployed.REQUESTER_ROLE();
        bytes32 breakerRole = deployed.BREAKER_ROLE();
        vm.startPrank(admin);
        deployed.grantRole(registrarRole, registrar);
        deployed.grantRole(requesterRole, rita);
        deployed.grantRole(breakerRole, breaker);
        vm.stopPrank();
    }

    // --- what people do

    function register(uint64 version) internal {
        vm.prank(registrar);
        registry.registerVersion(MODEL, version, digestOf(version), uint48(100 + version));
    }

    function setPolicy(bytes32 model, IModelRegistry.Policy memory p) internal {
        vm.prank(admin);
        registry.setPolicy(model, TARGET, p);
    }

    function removeApprover(address member) internal {
        vm.prank(admin);
        registry.removeApprover(GROUP, member);
    }

    function addApprover(address member) internal {
        vm.prank(admin);
        registry.addApprover(GROUP, member);
    }

    /// @dev Rita asks for a version, by a transaction of her own.
    function proposed(uint64 version) internal returns (Proposal memory p) {
        p = request(version);
        propose(p);
    }

    function propose(Proposal memory p) internal {
        vm.prank(p.requester);
        registry.propose(p, "");
    }

    function approve(Proposal memory p, address member) internal {
        vm.prank(member);
        registry.approve(p);
    }

    /// @dev Asked for and approved by alice and bob; its delay isn't over.
    function approved(uint64 version) internal returns (Proposal memory p) {
        p = proposed(version);
        approve(p, alice);
        approve(p, bob);
    }

    function promoted(uint64 version) internal returns (Proposal memory p) {
        p = approved(version);
        vm.warp(block.timestamp + DELAY);
        registry.promote(p);
    }

    function pause() internal {
        vm.prank(breaker);
        registry.pause();
    }

    function succeed() internal {
        vm.prank(admin);
        registry.succeed(stranger, REASON);
    }

    // --- what they write

    function policy(uint8 threshold) internal pure returns (IModelRegistry.Policy memory) {
        return IModelRegistry.Policy(GROUP, threshold, DELAY, EXPIRY, EVIDENCE, 0);
    }

    /// @dev A new proposal that nothing speaks against.
    function request(uint64 version) internal returns (Proposal memory p) {
        (, bytes32 policyHash,) = registry.policyOf(MODEL, TARGET);
        p.model = MODEL;
        p.target = TARGET;
        p.version = version;
        p.digest = digestOf(version);
        p.policyHash = policyHash;
        p.summaryHash = SUMMARY;
        p.evidenceHash = keccak256("evidence");
        p.evidenceKinds = EVIDENCE;
        p.deadline = uint48(block.timestamp + 3 days);
        p.requester = rita;
        p.nonce = bytes32(++_nonces);
    }

    function digestOf(uint64 version) internal pure returns (bytes32) {
        return keccak256(abi.encode("digest", version));
    }

    function idOf(Proposal memory p) internal pure returns (bytes32) {
        return Typed.proposal(p);
    }

    function approvalOf(Proposal memory p) internal pure returns (bytes32) {
        return Typed.approval(idOf(p), "approval", p.summaryHash);
    }

    function keyOf(string memory name) internal pure returns (uint256) {
        return uint256(keccak256(bytes(name)));
    }

    /// @dev An account that signs.
    function person(string memory name) internal pure returns (address) {
        return vm.addr(keyOf(name));
    }

    /// @dev Somebody's signature under typed data for this registry on this chain.
    function signed(string memory name, bytes32 structHash) internal view returns (bytes memory) {
        return signedFor(name, structHash, address(registry), block.chainid);
    }

    function signedFor(
        string memory name,
        bytes32 structHash,
        address contractAddress,
        uint256 chain
    ) internal pure returns (bytes memory) {
        bytes32 digest = Typed.digest(Typed.domain(contractAddress, chain), structHash);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf(name), digest);
        return abi.encodePacked(r, s, v);
    }

    function list(address a) internal pure returns (address[] memory all) {
        all = new address[](1);
        all[0] = a;
    }

    function list(address a, address b) internal pure returns (address[] memory all) {
        all = new address[](2);
        (all[0], all[1]) = (a, b);
    }

    function list(bytes memory a) internal pure returns (bytes[] memory all) {
        all = new bytes[](1);
        all[0] = a;
    }

    function list(bytes memory a, bytes memory b) internal pure returns (bytes[] memory all) {
        all = new bytes[](2);
        (all[0], all[1]) = (a, b);
    }

    // --- what they see

    function statusOf(Proposal memory p) internal view returns (IModelRegistry.Status) {
        return registry.proposal(idOf(p)).status;
    }

    function assertStatus(Proposal memory p, IModelRegistry.Status expected) internal view {
        vm.assertEq(uint256(statusOf(p)), uint256(expected), "status");
    }

    function assertCurrent(uint64 version, uint64 sequence, IModelRegistry.Cause cause)
        internal
        view
    {
        (uint64 v, bytes32 d, uint64 q, uint48 since, IModelRegistry.Cause c, bool revoked) =
            registry.current(MODEL, TARGET);
        vm.assertEq(v, version, "version");
        vm.assertEq(d, version == 0 ? bytes32(0) : digestOf(version), "digest");
        vm.assertEq(q, sequence, "sequence");
        vm.assertEq(since, sequence == 0 ? 0 : block.timestamp, "since");
        vm.assertEq(uint256(c), uint256(cause), "cause");
        vm.assertFalse(revoked, "revoked");
    }

    function notRole(address who, bytes32 role) internal pure returns (bytes memory) {
        return
            abi.encodeWithSignature("AccessControlUnauthorizedAccount(address,bytes32)", who, role);
    }
}
