// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {Policies, StoredPolicy} from "./Policies.sol";
import {Statements} from "./Statements.sol";

/// @title Who may do what, and which policy is in force
/// @notice Roles, approver groups, policies, pause and succession. An admin has no say in what becomes
/// current but through these.
abstract contract RegistryControl is AccessControl, Statements, Pausable {
    /// @notice Registers versions with their digests.
    bytes32 public constant REGISTRAR_ROLE = keccak256("REGISTRAR_ROLE");
    /// @notice Asks for promotions.
    bytes32 public constant REQUESTER_ROLE = keccak256("REQUESTER_ROLE");
    /// @notice Promotes without a quorum, revokes versions, pauses.
    bytes32 public constant BREAKER_ROLE = keccak256("BREAKER_ROLE");
    /// @notice The model under which default policies stand.
    bytes32 public constant ANY_MODEL = 0;

    /// @notice The registry that took this one's place; zero while this one is in use.
    /// @dev Shares a slot with `_paused` and the count below: most calls read all three.
    address public successor;

    /// @dev How many models have a policy of their own for some target, counted by target. While
    /// there is none, nobody has to look for one.
    uint32 private _ownPolicies;

    mapping(bytes32 model => mapping(bytes32 target => StoredPolicy)) private _policies;

    /// @dev Refuses when another registry took this one's place, or this one is paused.
    modifier whenInUse() {
        _requireInUse();
        _;
    }

    /// @dev Refuses when another registry took this one's place. What mends or restricts works while
    /// this one is paused.
    modifier whenNotSucceeded() {
        _requireNotSucceeded();
        _;
    }

    /// @param admin Who sets policies, members and roles; in production a timelock.
    constructor(address admin) {
        if (admin == address(0)) revert ZeroValue();
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Sets the policy of a target; threshold zero takes it away. Only an admin can.
    /// @dev Proposals made under the policy before it can't be promoted any more. A
    /// model's own policy stands before the default one, which counts again once it is taken away.
    /// @param model The model's incarnation, or zero (`ANY_MODEL`) for the default of all models.
    /// @param target The target.
    /// @param policy The policy; its `revision` is ignored, for the registry counts.
    function setPolicy(bytes32 model, bytes32 target, Policy calldata policy)
        external
        onlyRole(DEFAULT_ADMIN_ROLE)
        whenNotSucceeded
    {
        if (target == 0) revert ZeroValue();
        StoredPolicy former = _policies[model][target];
        uint64 revision = former.revision() + 1; // goes on when a policy is taken away
        StoredPolicy next = Policies.none(revision);
        if (policy.threshold != 0) {
            if (policy.group == 0 || policy.minDelay >= policy.expiry) revert InvalidPolicy();
            uint24 group = _numberOf(policy.group);
            uint256 members = _countMembers(group, type(uint64).max);
            if (policy.threshold > members) revert ThresholdUnreachable(policy.threshold, members);
            next = Policies.pack(policy, group, revision);
        }
        if (model != ANY_MODEL) {
            if (former.threshold() == 0 && next.threshold() != 0) ++_ownPolicies;
            if (former.threshold() != 0 && next.threshold() == 0) --_ownPolicies;
        }
        _policies[model][target] = next;
        bytes32 policyHash = _hashOf(model, target, next);
        emit PolicySet(model, target, policyHash, next.unpack(_idOf(next.group())));
    }

    /// @notice Gives a group one more member. Only an admin can.
    /// @param group The group.
    /// @param account The member.
    function addApprover(bytes32 group, address account)
        external
        onlyRole(DEFAULT_ADMIN_ROLE)
        whenNotSucceeded
    {
        _addApprover(group, account);
    }

    /// @notice Takes a member out of a group. What they approved counts no more where it wasn't
    /// promoted yet. Only an admin can, always.
    /// @param group The group.
    /// @param account The member.
    function removeApprover(bytes32 group, address account) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _removeApprover(group, account);
    }

    /// @notice Names the registry that goes on instead, for ever: from here on nothing becomes
    /// current here, and everything stays readable. Only an admin can.
    /// @param newRegistry The other registry.
    /// @param reason Salted hash of the reason.
    function succeed(address newRegistry, bytes32 reason)
        external
        onlyRole(DEFAULT_ADMIN_ROLE)
        whenNotSucceeded
    {
        if (newRegistry == address(0) || newRegistry == address(this)) {
            revert ZeroValue();
        }
        successor = newRegistry;
        emit RegistrySucceeded(newRegistry, reason);
    }

    /// @notice Stops registrations, new proposals and every change of what is current. Open proposals
    /// can still be approved, which comes to nothing until the pause ends, rejected and withdrawn;
    /// versions can be revoked; every view answers. An admin or a breaker can.
    function pause() external {
        if (!hasRole(DEFAULT_ADMIN_ROLE, msg.sender)) _checkRole(BREAKER_ROLE);
        _pause();
    }

    /// @notice Ends a pause. Only an admin can.
    function unpause() external onlyRole(DEFAULT_ADMIN_ROLE) {
        _unpause();
    }

    /// @notice The policy in force for a target: the model's own, else the default.
    /// @param model The model's incarnation, or zero (`ANY_MODEL`) for the default of all models.
    /// @param target The target.
    /// @return policy The policy; its threshold is zero if there is none.
    /// @return policyHash What proposals have to name; zero if there is no policy.
    /// @return isDefault True if the model has no policy of its own.
    function policyOf(bytes32 model, bytes32 target)
        external
        view
        returns (Policy memory policy, bytes32 policyHash, bool isDefault)
    {
        StoredPolicy stored;
        (policyHash, stored) = _policyInForce(model, target);
        isDefault = _policies[model][target].threshold() == 0;
        return (stored.unpack(_idOf(stored.group())), policyHash, isDefault);
    }

    /// @dev The policy in force, and its hash: zero if there is none.
    function _policyInForce(bytes32 model, bytes32 target)
        internal
        view
        returns (bytes32 policyHash, StoredPolicy policy)
    {
        if (_ownPolicies != 0) policy = _policies[model][target];
        if (policy.threshold() == 0) {
            model = ANY_MODEL;
            policy = _policies[model][target];
        }
        policyHash = _hashOf(model, target, policy);
    }

    /// @dev Zero where there is no policy. Its revision makes it another hash for each one applied.
    function _hashOf(bytes32 model, bytes32 target, StoredPolicy policy)
        private
        pure
        returns (bytes32)
    {
        return policy.threshold() == 0 ? bytes32(0) : keccak256(abi.encode(model, target, policy));
    }

    function _requireInUse() private view {
        _requireNotSucceeded();
        _requireNotPaused();
    }

    function _requireNotSucceeded() private view {
        if (successor != address(0)) revert Succeeded(successor);
    }
}
