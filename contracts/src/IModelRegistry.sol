// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Proposal} from "./Proposals.sol";

/// @title What a model registry keeps, tells and refuses
/// @notice The structs, events and errors of `ModelRegistry`. The events tell the whole history.
interface IModelRegistry {
    /// @dev How a version became current, or what ended it.
    enum Cause {
        None,
        Promoted,
        RolledBack,
        BrokeGlass,
        Removed
    }

    /// @dev Where a proposal stands. One that is open but past its deadline is closed all the same.
    enum Status {
        None,
        Open,
        Promoted,
        Rejected,
        Withdrawn
    }

    /// @dev Who may decide about a target, and how.
    struct Policy {
        bytes32 group; // whose members approve
        uint8 threshold; // of how many approvals
        uint32 minDelay; // seconds from the proposal to the earliest promotion
        uint32 expiry; // seconds a proposal may stay open at most
        uint32 evidenceKinds; // a bit for each kind that a proposal has to bring
        uint64 revision; // counts what was ever applied for this model and target
    }

    /// @dev A version of a model. Only `revoked` ever changes, and only once.
    struct Version {
        bytes32 digest;
        address registrant;
        uint48 leafIndex;
        uint40 registeredAt;
        bool revoked;
    }

    /// @dev One slot. The bits of `approvals` and `reviews` are seats of the policy's group.
    struct ProposalState {
        Status status;
        uint48 madeAt;
        uint48 deadline;
        uint64 approvals;
        uint64 reviews;
    }

    /// @notice A version stands in the registry, with its digest for ever.
    /// @param model The model's incarnation.
    /// @param version The version, from one.
    /// @param digest Salted digest of its files.
    /// @param leafIndex Index of the leaf that attests to the digest.
    /// @param registrant Who registered it.
    event VersionRegistered(
        bytes32 indexed model,
        uint64 indexed version,
        bytes32 digest,
        uint48 leafIndex,
        address indexed registrant
    );

    /// @notice A version can't become current any more, and must not be used where it is.
    /// @param model The model's incarnation.
    /// @param version The version.
    /// @param revoker Who revoked it.
    /// @param reason Salted hash of the reason.
    event VersionRevoked(
        bytes32 indexed model, uint64 indexed version, address indexed revoker, bytes32 reason
    );

    /// @notice A target has another policy, or none.
    /// @param model The model, or zero for the default of all models.
    /// @param target The target.
    /// @param policyHash What proposals have to name from now on; zero if the policy was taken away.
    /// @param policy The policy; its threshold is zero if it was taken away.
    event PolicySet(
        bytes32 indexed model, bytes32 indexed target, bytes32 policyHash, Policy policy
    );

    /// @notice Somebody asked for a promotion.
    /// @param proposalId The proposal's EIP-712 struct hash.
    /// @param model The model's incarnation.
    /// @param target The target.
    /// @param proposal All its fields.
    event ProposalMade(
        bytes32 indexed proposalId, bytes32 indexed model, bytes32 indexed target, Proposal proposal
    );

    /// @notice A member approved a proposal.
    /// @param proposalId The proposal.
    /// @param approver The member.
    event ProposalApproved(bytes32 indexed proposalId, address indexed approver);

    /// @notice A member reviewed a proposal, which counts towards no quorum.
    /// @param proposalId The proposal.
    /// @param reviewer The member.
    event ProposalReviewed(bytes32 indexed proposalId, address indexed reviewer);

    /// @notice A member closed a proposal for ever.
    /// @param proposalId The proposal.
    /// @param approver The member.
    /// @param reason Salted hash of the reason.
    event ProposalRejected(bytes32 indexed proposalId, address indexed approver, bytes32 reason);

    /// @notice The requester closed a proposal for ever.
    /// @param proposalId The proposal.
    /// @param requester The requester.
    event ProposalWithdrawn(bytes32 indexed proposalId, address indexed requester);

    /// @notice A target has another current version, or none.
    /// @param model The model's incarnation.
    /// @param target The target.
    /// @param version What is current now; zero for none.
    /// @param sequence One more than before, for this model and target.
    /// @param cause Why.
    /// @param proposalId The proposal by which the version is or was promoted; zero for a removal.
    event CurrentChanged(
        bytes32 indexed model,
        bytes32 indexed target,
        uint64 version,
        uint64 sequence,
        Cause cause,
        bytes32 indexed proposalId
    );

    /// @notice A member approved the rollback or removal that follows in this transaction.
    /// @param model The model's incarnation.
    /// @param target The target.
    /// @param sequence Of the target before the change.
    /// @param approver The member.
    /// @param summaryHash Hash of the text that was signed.
    event ReturnApproved(
        bytes32 indexed model,
        bytes32 indexed target,
        uint64 sequence,
        address indexed approver,
        bytes32 summaryHash
    );

    /// @notice Somebody promoted without a quorum.
    /// @param proposalId What was promoted.
    /// @param breaker Who did it.
    /// @param reason Salted hash of the reason.
    event GlassBroken(bytes32 indexed proposalId, address indexed breaker, bytes32 reason);

    /// @notice Nothing becomes current here any more; another registry goes on.
    /// @param successor The other registry.
    /// @param reason Salted hash of the reason.
    event RegistrySucceeded(address indexed successor, bytes32 reason);

    /// @notice The member's approval (or review) counts already.
    /// @param signed The proposal, or the hash of the rollback or removal.
    /// @param approver The member.
    error AlreadyApproved(bytes32 signed, address approver);

    /// @notice Who registered a version can't approve it.
    /// @param approver The member.
    error ApproverIsRegistrant(address approver);

    /// @notice Who asks for a promotion can't approve it.
    /// @param approver The member.
    error ApproverIsRequester(address approver);

    /// @notice The signature isn't the signer's under exactly these typed data, here and on this
    /// chain; or it is empty and the signer isn't the caller.
    /// @param signer Who should have signed.
    error BadSignature(address signer);

    /// @notice It is too late.
    /// @param deadline The last second that counted.
    error DeadlinePassed(uint48 deadline);

    /// @notice The policy doesn't let a proposal stay open for so long.
    /// @param deadline The proposal's.
    /// @param latest The latest that the policy allows now.
    error DeadlineTooFar(uint48 deadline, uint256 latest);

    /// @notice The proposal names other bytes than the version has.
    /// @param registered The version's digest.
    /// @param proposed The proposal's.
    error DigestMismatch(bytes32 registered, bytes32 proposed);

    /// @notice The policy demands evidence that the proposal doesn't bring.
    /// @param missingKinds A bit for each kind that is missing.
    error EvidenceMissing(uint32 missingKinds);

    /// @notice A policy needs a group, and time between its delay and its expiry.
    error InvalidPolicy();

    /// @notice There must be one signature for each signer.
    /// @param signers How many signers were given.
    /// @param signatures How many signatures.
    error LengthMismatch(uint256 signers, uint256 signatures);

    /// @notice No policy is in force, so nobody can decide.
    /// @param model The model's incarnation.
    /// @param target The target.
    error NoPolicy(bytes32 model, bytes32 target);

    /// @notice The version was never made current by this proposal.
    /// @param proposalId The proposal.
    error NotFormerlyCurrent(bytes32 proposalId);

    /// @notice Who breaks the glass with a new proposal must be its requester.
    /// @param caller Who called.
    error NotRequester(address caller);

    /// @notice Nothing is current, so nothing can be removed.
    /// @param model The model's incarnation.
    /// @param target The target.
    error NothingCurrent(bytes32 model, bytes32 target);

    /// @notice Another policy is in force than the proposal was made under.
    /// @param proposed Hash of the proposal's policy.
    /// @param inForce Hash of the policy in force; zero for none.
    error PolicyChanged(bytes32 proposed, bytes32 inForce);

    /// @notice This very proposal was made before.
    /// @param proposalId The proposal.
    error ProposalExists(bytes32 proposalId);

    /// @notice The proposal was never made, or is closed.
    /// @param proposalId The proposal.
    /// @param status Where it stands.
    error ProposalNotOpen(bytes32 proposalId, Status status);

    /// @notice Too few members have approved.
    /// @param approvals Of how many present members there are approvals.
    /// @param threshold How many the policy demands.
    error QuorumMissing(uint256 approvals, uint256 threshold);

    /// @notice The target changed since the rollback or removal was signed.
    /// @param expected The sequence that was signed.
    /// @param found The target's sequence.
    error SequenceMoved(uint64 expected, uint64 found);

    /// @notice Another registry took this one's place.
    /// @param successor The other registry.
    error Succeeded(address successor);

    /// @notice Only a closed proposal can be taken up again.
    /// @param proposalId The proposal that is open or unknown.
    error SupersededNotClosed(bytes32 proposalId);

    /// @notice The group has fewer members than the policy would demand approvals.
    /// @param threshold The policy's.
    /// @param members How many members the group has.
    error ThresholdUnreachable(uint256 threshold, uint256 members);

    /// @notice The policy's delay isn't over.
    /// @param earliest The first second in which the promotion can pass.
    error TooEarly(uint256 earliest);

    /// @notice A group has never so many seats.
    /// @param count How many signatures were given.
    error TooManySignatures(uint256 count);

    /// @notice The version isn't registered.
    /// @param model The model's incarnation.
    /// @param version The version.
    error UnknownVersion(bytes32 model, uint64 version);

    /// @notice The version is registered already, and can't be changed.
    /// @param model The model's incarnation.
    /// @param version The version.
    error VersionExists(bytes32 model, uint64 version);

    /// @notice The version was revoked.
    /// @param model The model's incarnation.
    /// @param version The version.
    error VersionIsRevoked(bytes32 model, uint64 version);

    /// @notice A value that must be something is zero.
    error ZeroValue();
}
