"""What to send to a `ModelRegistry`: pure builders, one for each of its functions."""

from __future__ import annotations

from collections.abc import Sequence

from chain_client.ledger.abi import load_abi
from chain_client.ledger.artifacts import load_artifact
from chain_client.ledger.base import Call
from chain_client.ledger.model_registry_refusals import CONTRACT
from chain_client.ledger.model_registry_values import Policy, ProposalFields
from chain_client.types import Address


def deploy_call(admin: Address, salt_hash: bytes) -> Call:
    """Deploys the contract.

    Args:
        admin: has the admin role at first.
        salt_hash: keccak-256 of the deployment's salt.
    """
    arguments = load_abi(CONTRACT).encode_constructor(admin, salt_hash)
    return Call(None, load_artifact(CONTRACT).bytecode + arguments)


class ModelRegistryCalls:
    """Builds the calls of the contract at an address; sends nothing.

    Args:
        address: where the contract is.
    """

    def __init__(self, address: Address) -> None:
        self.address = address

    def set_policy_call(self, model: bytes, target: bytes, policy: Policy) -> Call:
        """Sets the policy of a target; an admin sends it. Threshold zero takes it away."""
        return self._call("setPolicy", model, target, policy.to_tuple())

    def add_approver_call(self, group: bytes, account: Address) -> Call:
        """Gives an account a seat in a group; an admin sends it."""
        return self._call("addApprover", group, account)

    def remove_approver_call(self, group: bytes, account: Address) -> Call:
        """Empties an account's seat for ever; an admin sends it."""
        return self._call("removeApprover", group, account)

    def grant_role_call(self, role: bytes, account: Address) -> Call:
        """Gives a role; an admin sends it."""
        return self._call("grantRole", role, account)

    def revoke_role_call(self, role: bytes, account: Address) -> Call:
        """Takes a role away; an admin sends it."""
        return self._call("revokeRole", role, account)

    def renounce_role_call(self, role: bytes, account: Address) -> Call:
        """Gives a role back; the account itself sends it."""
        return self._call("renounceRole", role, account)

    def succeed_call(self, new_registry: Address, reason_hash: bytes) -> Call:
        """Names the registry that takes this one's place; an admin sends it."""
        return self._call("succeed", new_registry, reason_hash)

    def pause_call(self) -> Call:
        """Stops everything but closing proposals; an admin or a breaker sends it."""
        return self._call("pause")

    def unpause_call(self) -> Call:
        """Ends a pause; an admin sends it."""
        return self._call("unpause")

    def register_version_call(
        self, model: bytes, version: int, digest: bytes, leaf_index: int
    ) -> Call:
        """Registers a version with its salted digest, for ever; a registrar sends it."""
        return self._call("registerVersion", model, version, digest, leaf_index)

    def revoke_version_call(self, model: bytes, version: int, reason_hash: bytes) -> Call:
        """Bars a version from promotion, for ever; a breaker sends it."""
        return self._call("revokeVersion", model, version, reason_hash)

    def propose_call(self, fields: ProposalFields, signature: bytes = b"") -> Call:
        """Makes a proposal; the requester sends it, or anybody with the requester's signature."""
        return self._call("propose", fields.to_tuple(), signature)

    def approve_call(self, fields: ProposalFields) -> Call:
        """Approves; a member of the group sends it."""
        return self._call("approve", fields.to_tuple())

    def approve_by_signatures_call(
        self, fields: ProposalFields, approvers: Sequence[Address], signatures: Sequence[bytes]
    ) -> Call:
        """Brings approvals that others signed; anybody sends it."""
        return self._call(
            "approveBySignatures", fields.to_tuple(), list(approvers), list(signatures)
        )

    def review_call(
        self, fields: ProposalFields, reviewer: Address, signature: bytes = b""
    ) -> Call:
        """Records a review; the reviewer sends it, or anybody with their signature."""
        return self._call("review", fields.to_tuple(), reviewer, signature)

    def reject_call(
        self,
        fields: ProposalFields,
        reason_hash: bytes,
        approver: Address,
        signature: bytes = b"",
    ) -> Call:
        """Closes a proposal; the approver sends it, or anybody with their signature."""
        return self._call("reject", fields.to_tuple(), reason_hash, approver, signature)

    def withdraw_call(self, fields: ProposalFields, signature: bytes = b"") -> Call:
        """Closes a proposal; the requester sends it, or anybody with their signature."""
        return self._call("withdraw", fields.to_tuple(), signature)

    def promote_call(self, fields: ProposalFields) -> Call:
        """Makes an approved version current; anybody sends it."""
        return self._call("promote", fields.to_tuple())

    def rollback_call(
        self,
        former: ProposalFields,
        sequence: int,
        deadline_s: int,
        summary_hash: bytes,
        approvers: Sequence[Address],
        signatures: Sequence[bytes],
    ) -> Call:
        """Returns to a version that was current; anybody sends it.

        Args:
            former: the proposal by which that version was promoted.
            sequence: of the target now.
            deadline_s: last second in which the signatures count.
            summary_hash: of the text that the approvers read.
            approvers: distinct members of the group.
            signatures: of each; empty for the sender.
        """
        return self._call(
            "rollback",
            former.to_tuple(),
            sequence,
            deadline_s,
            summary_hash,
            list(approvers),
            list(signatures),
        )

    def remove_call(
        self,
        model: bytes,
        target: bytes,
        sequence: int,
        deadline_s: int,
        summary_hash: bytes,
        approvers: Sequence[Address],
        signatures: Sequence[bytes],
    ) -> Call:
        """Leaves a target without a current version; arguments as in `rollback_call`."""
        return self._call(
            "remove",
            model,
            target,
            sequence,
            deadline_s,
            summary_hash,
            list(approvers),
            list(signatures),
        )

    def break_glass_call(self, fields: ProposalFields, reason_hash: bytes) -> Call:
        """Promotes without a quorum, flagged for ever; a breaker sends it."""
        return self._call("breakGlass", fields.to_tuple(), reason_hash)

    def _call(self, function: str, *args: object) -> Call:
        return Call(self.address, load_abi(CONTRACT).encode_call(function, *args))
