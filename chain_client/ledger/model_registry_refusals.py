"""Why the `ModelRegistry` contract refused, in words: one sentence for each of its errors."""

from __future__ import annotations

from datetime import UTC, datetime

from chain_client.errors import CallReverted, ContractReverted
from chain_client.ledger.abi import load_abi
from chain_client.ledger.model_registry_values import ROLE_NAMES, ProposalStatus
from chain_client.ledger.revert import explain_revert
from chain_client.types import Digest

CONTRACT = "ModelRegistry"

_SENTENCES = {
    "AccessControlBadConfirmation": "a role can be renounced only by who has it; send it with "
    "that account's own key",
    "AccessControlUnauthorizedAccount": "{account} has not the role {neededRole}; use a key that "
    "has it, or let an admin grant it",
    "AlreadyApproved": "what {approver} signed counts already ({signed}); somebody else has to",
    "AlreadyApprover": "{account} is a member of the group {group} already; nothing is left to do",
    "ApproverIsRegistrant": "{approver} registered this version and can't approve it; somebody "
    "else has to",
    "ApproverIsRequester": "{approver} asked for this promotion and can't approve it; somebody "
    "else has to",
    "BadSignature": "the signature is not {signer}'s for this chain, registry and text; let it be "
    "signed again",
    "DeadlinePassed": "the deadline was {deadline}; make a new proposal, or collect the signatures "
    "again",
    "DeadlineTooFar": "the deadline {deadline} is later than the policy allows; choose one up to "
    "{latest}",
    "DigestMismatch": "the version is registered with the digest {registered}, and {proposed} was "
    "proposed: its files are not those that were registered; register them as a new version",
    "EnforcedPause": "the registry is paused; nothing passes until an admin ends that",
    "EvidenceMissing": "the policy asks for evidence that the proposal does not bring (kinds "
    "{missingKinds}); propose again with it",
    "ExpectedPause": "the registry is not paused; nothing is left to do",
    "GroupFull": "the group {group} has given all its 64 seats; set up another group and a policy "
    "that names it",
    "InvalidApprover": "neither a group nor a member can be zero (group {group}, member {account})",
    "InvalidPolicy": "a policy needs a group, and a minimum delay shorter than its expiry",
    "InvalidShortString": "the contract's name is damaged; check the deployment",
    "LengthMismatch": "{signers} signers came with {signatures} signatures; bring one for each",
    "NoPolicy": "no policy stands for the target {target} of the model {model}, nor a default: "
    "it is not gated, and whoever may write there sets it",
    "NotApprover": "{account} is no member of the group {group}; somebody of that group has to act",
    "NotFormerlyCurrent": "the proposal {proposalId} was never promoted; name one that was",
    "NotRequester": "{caller} is not the requester whom the proposal names; who breaks the glass "
    "asks in their own name",
    "NothingCurrent": "nothing is current for the target {target} of the model {model}; nothing is "
    "left to do",
    "PolicyChanged": "the proposal names the policy {proposed}, and {inForce} is in force now; "
    "propose again under it",
    "ProposalExists": "the proposal {proposalId} was made already; nothing is left to do",
    "QuorumMissing": "{approvals} of {threshold} approvals are there; more members of the group "
    "have to approve",
    "SequenceMoved": "the target changed meanwhile (it is at change {found}, and the signatures "
    "are for {expected}); look again, and collect signatures for how it stands now",
    "StaleSignature": "the signature of {account} may be from before they last joined the group "
    "{group}, and counts no more; they have to send it themselves",
    "StringTooLong": "the contract's name is damaged; check the deployment",
    "Succeeded": "this registry was succeeded by {successor}; use that one",
    "SupersededNotClosed": "the proposal {proposalId} is not closed and can't be taken up again; "
    "withdraw or reject it first",
    "ThresholdUnreachable": "the group has {members} members and can't give {threshold} approvals; "
    "add members first, or lower the number",
    "TooEarly": "the policy's delay is not over; it can be promoted from {earliest} on",
    "TooManySignatures": "{count} signatures are more than one call takes; bring at most 32",
    "UnknownVersion": "version {version} of the model {model} is not registered; register it first",
    "VersionExists": "version {version} of the model {model} is registered already, for ever",
    "VersionIsRevoked": "version {version} of the model {model} was revoked; it can't be promoted "
    "any more",
    "ZeroValue": "a value that must not be zero is zero; check model, target, version, digest and "
    "addresses",
}
_NOT_OPEN = {
    ProposalStatus.NONE: "the registry knows no proposal {proposalId}; propose it first, and check "
    "that it is of this registry",
    ProposalStatus.PROMOTED: "the proposal {proposalId} was promoted already",
    ProposalStatus.REJECTED: "the proposal {proposalId} was rejected; make a new one, which may "
    "name it as superseded",
    ProposalStatus.WITHDRAWN: "the proposal {proposalId} was withdrawn; make a new one, which may "
    "name it as superseded",
}
_TIMES = ("deadline", "latest", "earliest")
_YEAR_9999_S = 253_402_300_799


def explain(error: CallReverted) -> ContractReverted:
    """The contract's own error for a call that reverted."""
    return explain_data(error.revert_data)


def explain_data(revert_data: bytes) -> ContractReverted:
    """The same for revert data, such as ``isPromotable`` gives."""
    abi = load_abi(CONTRACT)
    sentences = _SENTENCES
    found = abi.decode_error(revert_data)
    if found is not None and found[0] == "ProposalNotOpen":
        sentence = _NOT_OPEN.get(found[1]["status"], "the proposal {proposalId} is not open")
        sentences = {"ProposalNotOpen": sentence}
    return explain_revert(revert_data, abi, sentences, show=_show)


def _show(name: str, value: object) -> object:
    """Times, roles and bits as people read them."""
    if name in _TIMES and isinstance(value, int) and value <= _YEAR_9999_S:
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if name == "neededRole" and isinstance(value, bytes):
        return ROLE_NAMES.get(Digest(value), value)
    return bin(value) if name == "missingKinds" and isinstance(value, int) else value
