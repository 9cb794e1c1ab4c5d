// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {StoredPolicy} from "./Policies.sol";
import {Proposal, Proposals} from "./Proposals.sol";
import {RegistryControl} from "./RegistryControl.sol";

/// @title What may be promoted, who approved it, and what is current
/// @notice A version of a model becomes current for a target (an alias or a stage) only when enough
/// members of an approver group approved exactly its bytes, or when somebody broke the glass, which
/// is flagged for ever.
/// @dev Nothing readable is stored: models are 32 bytes per incarnation, targets and digests are
/// salted. Whoever acts on a proposal passes all its fields; the contract keeps one slot under
/// their hash. Nothing is ever overwritten or removed, and events tell the whole history.
contract ModelRegistry is RegistryControl {
    using Proposals for Proposal;

    /// @dev A proposal in one slot, with the group that decides by number.
    struct StoredProposal {
        Status status;
        uint48 madeAt;
        uint48 deadline;
        uint64 approvals;
        uint64 reviews;
        uint24 group;
    }

    /// @dev What a rollback and a removal have in common; never stored.
    struct Return {
        bytes32 model;
        bytes32 target;
        uint64 sequence;
        uint48 deadline;
        bytes32 summaryHash;
    }

    /// @dev One slot.
    struct Current {
        uint64 version; // zero: none
        uint64 sequence; // counts every change of this target
        uint48 since;
        Cause cause;
    }

    /// @notice keccak-256 of the salt of this deployment, under which targets and models are hashed.
    bytes32 public immutable SALT_HASH;

    mapping(bytes32 model => mapping(uint64 version => Version)) private _versions;
    mapping(bytes32 proposalId => StoredProposal) private _proposals;
    mapping(bytes32 model => mapping(bytes32 target => Current)) private _current;

    /// @notice Deploys a registry without versions, policies or approvers.
    /// @param admin Who sets policies, members and roles; in production a timelock.
    /// @param saltHash keccak-256 of the salt that hides names and digests.
    constructor(address admin, bytes32 saltHash) RegistryControl(admin) {
        if (saltHash == 0) revert ZeroValue();
        SALT_HASH = saltHash;
    }

    // --- versions

    /// @notice Registers a version with its digest, for ever. Only a registrar can.
    /// @param model The model's incarnation.
    /// @param version The version, from one.
    /// @param digest Salted digest of its files.
    /// @param leafIndex Index of the leaf that attests to the digest.
    function registerVersion(bytes32 model, uint64 version, bytes32 digest, uint48 leafIndex)
        external
        onlyRole(REGISTRAR_ROLE)
        whenInUse
    {
        if (model == ANY_MODEL || version == 0 || digest == 0) revert ZeroValue();
        Version storage stored = _versions[model][version];
        if (stored.digest != 0) revert VersionExists(model, version);
        stored.digest = digest;
        stored.registrant = msg.sender;
        stored.leafIndex = leafIndex;
        stored.registeredAt = uint40(block.timestamp);
        emit VersionRegistered(model, version, digest, leafIndex, msg.sender);
    }

    /// @notice Declares a version unfit for use, for ever. Only a breaker can, always.
    /// @dev It stays what is current where it is, and `current` says that it is revoked.
    /// @param model The model's incarnation.
    /// @param version The version.
    /// @param reason Salted hash of the reason.
    function revokeVersion(bytes32 model, uint64 version, bytes32 reason)
        external
        onlyRole(BREAKER_ROLE)
    {
        Version storage stored = _knownVersion(model, version);
        if (stored.revoked) revert VersionIsRevoked(model, version);
        stored.revoked = true;
        emit VersionRevoked(model, version, msg.sender, reason);
    }

    // --- proposals

    /// @notice Asks for a promotion, in the name of the requester who signed it. Anybody may bring it.
    /// @param p The proposal.
    /// @param signature Of the requester over the typed data; empty if the requester is the caller.
    function propose(Proposal calldata p, bytes calldata signature) external whenInUse {
        _checkRole(REQUESTER_ROLE, p.requester);
        bytes32 id = p.hash();
        _checkSigned(p.requester, id, signature);
        if (_proposals[id].status != Status.None) revert ProposalExists(id);
        _checkDigest(p);
        (bytes32 inForce, StoredPolicy policy) = _policyInForce(p.model, p.target);
        if (policy.threshold() == 0) revert NoPolicy(p.model, p.target);
        if (p.policyHash != inForce) revert PolicyChanged(p.policyHash, inForce);
        uint32 missing = policy.evidenceKinds() & ~p.evidenceKinds;
        if (missing != 0) revert EvidenceMissing(missing);
        _checkDeadline(p.deadline);
        uint256 latest = block.timestamp + policy.expiry();
        if (p.deadline > latest) revert DeadlineTooFar(p.deadline, latest);
        if (p.supersedes != 0 && !_isClosed(p.supersedes)) {
            revert SupersededNotClosed(p.supersedes);
        }
        StoredProposal storage state = _proposals[id];
        state.status = Status.Open;
        state.madeAt = uint48(block.timestamp);
        state.deadline = p.deadline;
        state.group = policy.group();
        emit ProposalMade(id, p.model, p.target, p);
    }

    /// @notice Approves a proposal, as a member of the group that decides about it.
    /// @dev Approving notes who approved, and `promote` decides: an approval comes to nothing while
    /// the registry is paused, or another policy is in force than the proposal names.
    /// @param p The proposal.
    function approve(Proposal calldata p) external {
        (bytes32 id, StoredProposal storage state) = _decidable(p);
        address registrant = _registrantOf(p.model, p.version);
        (uint64 seat,) = _memberOf(state.group, msg.sender);
        state.approvals = _approved(p, id, registrant, state.approvals, seat, msg.sender);
    }

    /// @notice Counts approvals that members signed. Anybody may bring them; one that doesn't count
    /// makes all of them fail.
    /// @param p The proposal.
    /// @param approvers The members.
    /// @param signatures Of each over the typed data, with the meaning "approval"; empty for the
    /// caller.
    function approveBySignatures(
        Proposal calldata p,
        address[] calldata approvers,
        bytes[] calldata signatures
    ) external {
        (bytes32 id, StoredProposal storage state) = _decidable(p);
        _checkLengths(approvers.length, signatures.length);
        bytes32 signed = Proposals.hashApproval(id, Proposals.APPROVAL, p.summaryHash);
        Statement memory statement = Statement(signed, state.group, state.madeAt);
        address registrant = _registrantOf(p.model, p.version);
        uint64 approvals = state.approvals;
        for (uint256 i = 0; i < approvers.length; ++i) {
            address approver = approvers[i];
            uint64 seat = _signingSeat(statement, approver, signatures[i]);
            approvals = _approved(p, id, registrant, approvals, seat, approver);
        }
        state.approvals = approvals;
    }

    /// @notice Records that a member has reviewed a proposal; it counts towards no quorum.
    /// @param p The proposal.
    /// @param reviewer The member.
    /// @param signature Of the reviewer over the typed data, with the meaning "review"; empty if the
    /// reviewer is the caller.
    function review(Proposal calldata p, address reviewer, bytes calldata signature) external {
        (bytes32 id, StoredProposal storage state) = _decidable(p);
        bytes32 signed = Proposals.hashApproval(id, Proposals.REVIEW, p.summaryHash);
        uint64 seat =
            _signingSeat(Statement(signed, state.group, state.madeAt), reviewer, signature);
        if (state.reviews & seat != 0) revert AlreadyApproved(id, reviewer);
        state.reviews |= seat;
        emit ProposalReviewed(id, reviewer);
    }

    /// @notice Closes a proposal for ever. One member of the group that decides about it can, always.
    /// @param p The proposal.
    /// @param reason Salted hash of the reason.
    /// @param approver The member.
    /// @param signature Of the member over the typed data; empty if the member is the caller.
    function reject(Proposal calldata p, bytes32 reason, address approver, bytes calldata signature)
        external
    {
        bytes32 id = p.hash();
        StoredProposal storage state = _openProposal(id);
        bytes32 signed = Proposals.hashRejection(id, reason, p.summaryHash);
        _signingSeat(Statement(signed, state.group, state.madeAt), approver, signature);
        state.status = Status.Rejected;
        emit ProposalRejected(id, approver, reason);
    }

    /// @notice Closes a proposal for ever. Its requester can, always.
    /// @param p The proposal.
    /// @param signature Of the requester; empty if the requester is the caller.
    function withdraw(Proposal calldata p, bytes calldata signature) external {
        bytes32 id = p.hash();
        StoredProposal storage state = _openProposal(id);
        _checkSigned(p.requester, Proposals.hashWithdrawal(id, p.summaryHash), signature);
        state.status = Status.Withdrawn;
        emit ProposalWithdrawn(id, p.requester);
    }

    // --- what is current

    /// @notice Makes an approved version current. Anybody can, once nothing is missing.
    /// @param p The proposal.
    function promote(Proposal calldata p) external {
        bytes32 id = p.hash();
        bytes memory reason = _refusal(p, id);
        if (reason.length != 0) _revertWith(reason);
        _proposals[id].status = Status.Promoted;
        _change(p.model, p.target, p.version, Cause.Promoted, id);
    }

    /// @notice Returns to a version that was current before, by enough approvers and at once.
    /// @param former The proposal by which it was promoted.
    /// @param sequence Of the target now; so no approval counts twice.
    /// @param deadline Last second in which the approvals count.
    /// @param summaryHash Of the text that the approvers read.
    /// @param approvers Distinct members of the group.
    /// @param signatures Of each; empty for the caller.
    function rollback(
        Proposal calldata former,
        uint64 sequence,
        uint48 deadline,
        bytes32 summaryHash,
        address[] calldata approvers,
        bytes[] calldata signatures
    ) external whenInUse {
        bytes32 id = former.hash();
        if (_proposals[id].status != Status.Promoted) revert NotFormerlyCurrent(id);
        _registrantOf(former.model, former.version);
        bytes32 signed = Proposals.hashRollback(id, sequence, deadline, summaryHash);
        Return memory r = Return(former.model, former.target, sequence, deadline, summaryHash);
        _checkReturn(r, signed, approvers, signatures);
        _change(former.model, former.target, former.version, Cause.RolledBack, id);
    }

    /// @notice Leaves a target without a current version, by enough approvers and at once.
    /// @param model The model's incarnation.
    /// @param target The target.
    /// @param sequence Of the target now; so no approval counts twice.
    /// @param deadline Last second in which the approvals count.
    /// @param summaryHash Of the text that the approvers read.
    /// @param approvers Distinct members of the group.
    /// @param signatures Of each; empty for the caller.
    function remove(
        bytes32 model,
        bytes32 target,
        uint64 sequence,
        uint48 deadline,
        bytes32 summaryHash,
        address[] calldata approvers,
        bytes[] calldata signatures
    ) external whenInUse {
        if (_current[model][target].version == 0) {
            revert NothingCurrent(model, target);
        }
        bytes32 signed = Proposals.hashRemoval(model, target, sequence, deadline, summaryHash);
        Return memory r = Return(model, target, sequence, deadline, summaryHash);
        _checkReturn(r, signed, approvers, signatures);
        _change(model, target, 0, Cause.Removed, 0);
    }

    /// @notice Promotes without a quorum, and at once; flagged for ever. Only a breaker can.
    /// @dev Neither policy nor evidence counts. Version and bytes are checked all the same.
    /// @param p An open proposal, or a new one whose requester is the caller.
    /// @param reason Salted hash of the reason.
    function breakGlass(Proposal calldata p, bytes32 reason)
        external
        onlyRole(BREAKER_ROLE)
        whenInUse
    {
        bytes32 id = p.hash();
        StoredProposal storage state = _proposals[id];
        Status status = state.status;
        if (status == Status.None) {
            if (p.requester != msg.sender) revert NotRequester(msg.sender);
            state.madeAt = uint48(block.timestamp);
            state.deadline = p.deadline;
            emit ProposalMade(id, p.model, p.target, p);
        } else if (status != Status.Open) {
            revert ProposalNotOpen(id, status);
        }
        _checkDeadline(p.deadline);
        if (p.target == 0) revert ZeroValue();
        _checkDigest(p);
        _registrantOf(p.model, p.version);
        state.status = Status.Promoted;
        emit GlassBroken(id, msg.sender, reason);
        _change(p.model, p.target, p.version, Cause.BrokeGlass, id);
    }

    // --- views

    /// @notice What is current for a target, and since when.
    /// @param model The model's incarnation.
    /// @param target The target.
    /// @return version The version; zero for none.
    /// @return digest Its digest.
    /// @return sequence How often this target has changed.
    /// @return since When it last changed, in seconds.
    /// @return cause Why it last changed.
    /// @return revoked Whether the version was revoked; nobody should use it then.
    function current(bytes32 model, bytes32 target)
        external
        view
        returns (
            uint64 version,
            bytes32 digest,
            uint64 sequence,
            uint48 since,
            Cause cause,
            bool revoked
        )
    {
        Current storage c = _current[model][target];
        Version storage v = _versions[model][c.version];
        return (c.version, v.digest, c.sequence, c.since, c.cause, v.revoked);
    }

    /// @notice Whether promote would succeed now.
    /// @param p The proposal.
    /// @return promotable True if it would.
    /// @return reason The error that it would revert with; empty if it would succeed.
    function isPromotable(Proposal calldata p)
        external
        view
        returns (bool promotable, bytes memory reason)
    {
        reason = _refusal(p, p.hash());
        return (reason.length == 0, reason);
    }

    /// @notice Where a proposal stands.
    /// @param proposalId The proposal's EIP-712 struct hash.
    /// @return Its state; all zero if it was never made.
    function proposal(bytes32 proposalId) external view returns (ProposalState memory) {
        StoredProposal storage s = _proposals[proposalId];
        return ProposalState(s.status, s.madeAt, s.deadline, s.approvals, s.reviews);
    }

    /// @notice What is registered of a version.
    /// @param model The model's incarnation.
    /// @param version The version.
    /// @return The version; all zero if it isn't registered.
    function versionOf(bytes32 model, uint64 version) external view returns (Version memory) {
        return _versions[model][version];
    }

    /// @notice The id of a proposal: its EIP-712 struct hash.
    /// @param p The proposal.
    /// @return The id.
    function idOf(Proposal calldata p) external pure returns (bytes32) {
        return p.hash();
    }

    // --- within

    /// @dev Why promote can't pass now, as the error it reverts with; empty if it can.
    function _refusal(Proposal calldata p, bytes32 id) private view returns (bytes memory) {
        if (successor != address(0)) return abi.encodeWithSelector(Succeeded.selector, successor);
        if (paused()) return abi.encodeWithSelector(EnforcedPause.selector);
        StoredProposal storage state = _proposals[id];
        if (state.status != Status.Open) {
            return abi.encodeWithSelector(ProposalNotOpen.selector, id, state.status);
        }
        if (block.timestamp > p.deadline) {
            return abi.encodeWithSelector(DeadlinePassed.selector, p.deadline);
        }
        (bytes32 inForce, StoredPolicy policy) = _policyInForce(p.model, p.target);
        if (p.policyHash != inForce) {
            return abi.encodeWithSelector(PolicyChanged.selector, p.policyHash, inForce);
        }
        if (_versions[p.model][p.version].revoked) {
            return abi.encodeWithSelector(VersionIsRevoked.selector, p.model, p.version);
        }
        uint256 approvals = _countMembers(policy.group(), state.approvals);
        if (approvals < policy.threshold()) {
            return abi.encodeWithSelector(QuorumMissing.selector, approvals, policy.threshold());
        }
        uint256 earliest = uint256(state.madeAt) + policy.minDelay();
        if (block.timestamp < earliest) {
            return abi.encodeWithSelector(TooEarly.selector, earliest);
        }
        return "";
    }

    /// @dev Checks who approves, and gives the approvals with theirs among them.
    function _approved(
        Proposal calldata p,
        bytes32 id,
        address registrant,
        uint64 approvals,
        uint64 seat,
        address approver
    ) private returns (uint64) {
        if (approver == p.requester) revert ApproverIsRequester(approver);
        if (approver == registrant) revert ApproverIsRegistrant(approver);
        if (approvals & seat != 0) revert AlreadyApproved(id, approver);
        emit ProposalApproved(id, approver);
        return approvals | seat;
    }

    /// @dev Checks that enough distinct members signed a rollback or a removal.
    function _checkReturn(
        Return memory r,
        bytes32 signed,
        address[] calldata approvers,
        bytes[] calldata signatures
    ) private {
        _checkDeadline(r.deadline);
        uint64 found = _current[r.model][r.target].sequence;
        if (found != r.sequence) revert SequenceMoved(r.sequence, found);
        (, StoredPolicy policy) = _policyInForce(r.model, r.target);
        if (policy.threshold() == 0) revert NoPolicy(r.model, r.target);
        _checkLengths(approvers.length, signatures.length);
        if (approvers.length < policy.threshold()) {
            revert QuorumMissing(approvers.length, policy.threshold());
        }
        uint48 since = _current[r.model][r.target].since;
        Statement memory statement = Statement(signed, policy.group(), since);
        uint64 approvals = 0;
        for (uint256 i = 0; i < approvers.length; ++i) {
            address approver = approvers[i];
            uint64 seat = _signingSeat(statement, approver, signatures[i]);
            if (approvals & seat != 0) revert AlreadyApproved(signed, approver);
            approvals |= seat;
            _noteReturn(r, approver);
        }
    }

    function _noteReturn(Return memory r, address approver) private {
        emit ReturnApproved(r.model, r.target, r.sequence, approver, r.summaryHash);
    }

    function _change(bytes32 model, bytes32 target, uint64 version, Cause cause, bytes32 id)
        private
    {
        Current storage c = _current[model][target];
        uint64 sequence = c.sequence + 1;
        c.version = version;
        c.sequence = sequence;
        c.since = uint48(block.timestamp);
        c.cause = cause;
        emit CurrentChanged(model, target, version, sequence, cause, id);
    }

    /// @dev A proposal that is open and not too old. Whether its policy is still in force, only
    /// promoting it asks.
    function _decidable(Proposal calldata p)
        private
        view
        returns (bytes32 id, StoredProposal storage state)
    {
        id = p.hash();
        state = _openProposal(id);
        _checkDeadline(p.deadline);
    }

    function _openProposal(bytes32 id) private view returns (StoredProposal storage state) {
        state = _proposals[id];
        if (state.status != Status.Open) revert ProposalNotOpen(id, state.status);
    }

    /// @dev Whether a proposal can't be promoted any more, or was.
    function _isClosed(bytes32 id) private view returns (bool) {
        StoredProposal storage state = _proposals[id];
        if (state.status == Status.None) return false;
        return state.status != Status.Open || block.timestamp > state.deadline;
    }

    function _knownVersion(bytes32 model, uint64 version)
        private
        view
        returns (Version storage stored)
    {
        stored = _versions[model][version];
        if (stored.digest == 0) revert UnknownVersion(model, version);
    }

    function _checkDigest(Proposal calldata p) private view {
        bytes32 digest = _knownVersion(p.model, p.version).digest;
        if (digest != p.digest) revert DigestMismatch(digest, p.digest);
    }

    /// @dev Who registered a version, which wasn't revoked.
    function _registrantOf(bytes32 model, uint64 version) private view returns (address) {
        Version storage v = _versions[model][version];
        if (v.revoked) revert VersionIsRevoked(model, version);
        return v.registrant;
    }

    function _checkDeadline(uint48 deadline) private view {
        if (block.timestamp > deadline) revert DeadlinePassed(deadline);
    }

    function _revertWith(bytes memory reason) private pure {
        assembly ("memory-safe") {
            revert(add(reason, 0x20), mload(reason))
        }
    }
}
