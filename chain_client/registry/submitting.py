"""How what people decide gets to the chain: checked, and by whose key."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chain_client.errors import ContractReverted, InvalidInput, PromotionDenied, SignatureRefused
from chain_client.ledger.base import Call
from chain_client.ledger.model_registry import ProposalStatus
from chain_client.registry.administration import Administration, Done
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.statements import Document, SignedStatement
from chain_client.signing import Signer
from chain_client.types import Address, to_hex

_STALE = "StaleSignature"
"""The contract's word for a signature of who left the group and joined it again since."""


class Submitting(Administration):
    """Sends what was signed, by the submitter's key where no other is needed."""

    def _approve(
        self,
        document: ProposalDocument,
        approvers: Sequence[Address],
        signatures: Sequence[bytes],
        signer: Signer | None,
    ) -> Done:
        """Bring approvals; the one of the key here by itself, where its signature is stale."""

        def stand() -> bool:
            return set(approvers) <= set(self.standing(document).approved_by)

        call = self.contract.approve_by_signatures_call(document.fields, approvers, signatures)
        try:
            return self._once("approve", call, stand, self._submitter())
        except ContractReverted as exc:
            if exc.name != _STALE or signer is None or signer.address() not in approvers:
                raise
        own = signer.address()
        others = [pair for pair in zip(approvers, signatures) if pair[0] != own]
        if others:
            self._approve(document, [who for who, _ in others], [by for _, by in others], None)
        return self._once("approve", self.contract.approve_call(document.fields), stand, signer)

    def _bring(
        self,
        action: str,
        call: Callable[[bytes], Call],
        statement: SignedStatement,
        stands: Callable[[], bool],
        signer: Signer | None,
    ) -> Done:
        """Bring a statement of one member.

        Args:
            action: for the transaction's purpose.
            call: with a signature; an empty one is that of who sends it.
            statement: what was signed.
            stands: whether it is so already.
            signer: the member's key, if it is here; sends it where its signature is stale.
        """
        try:
            return self._once(action, call(statement.signature or b""), stands, self._submitter())
        except ContractReverted as exc:
            if exc.name != _STALE or signer is None or signer.address() != statement.signer:
                raise
        return self._once(action, call(b""), stands, signer)

    def _signed(
        self, request: SignedStatement, signer: Signer | None, signed: SignedStatement | None
    ) -> SignedStatement:
        """What a key signs now, or what was signed elsewhere, checked."""
        if signed is not None:
            if signed.statement != request.statement:
                raise SignatureRefused(
                    f"expected a signed {request.meaning} of this very document, got "
                    f"{signed.meaning}"
                )
            self._check(signed, request.document)
            return signed
        if signer is None:
            raise InvalidInput("expected a key, or what was signed elsewhere")
        if request.signer is not None and signer.address() != request.signer:
            raise SignatureRefused(
                f"{to_hex(request.signer)} has to sign this, and {signer.uri} is the key of "
                f"{to_hex(signer.address())}"
            )
        return request.sign(signer, self.salt, self.users())

    def _check(self, statement: SignedStatement, document: Document) -> None:
        self.check_document(document)
        statement.check_text(self.salt, self.users())
        if statement.signer is not None and self._ledger.code(statement.signer):
            return  # a contract's wallet (ERC-1271): the registry asks it
        statement.check_signature()

    def _check_policy(self, document: ProposalDocument) -> None:
        fields = document.fields
        in_force = self.contract.policy(fields.model, fields.target)
        if in_force.policy_hash != fields.policy_hash:
            raise PromotionDenied(
                "the policy was changed since this was proposed, so it can be promoted no more; "
                "propose it again"
            )

    def _submit(
        self, action: str, call: Call, document: ProposalDocument, wanted: ProposalStatus
    ) -> Done | None:
        """Send what moves a proposal on; None if it stood there, or beyond, already."""

        def stands() -> bool:
            status = self.contract.proposal(document.id).status
            return status is wanted or (wanted is ProposalStatus.OPEN and status > wanted)

        if stands():
            return None
        return self._once(action, call, stands, self._submitter())

    def _is(self, document: ProposalDocument, status: ProposalStatus) -> bool:
        return self.contract.proposal(document.id).status is status

    def _submitter(self) -> Signer:
        return self._key(self._settings.registry_submitter)
