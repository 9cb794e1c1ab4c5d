"""`RegistryClient`: everything that people decide about models, sent to the contract.

Signatures here are stable. What reads only lives in `reading`, what only admins, registrars and
breakers do in `administration`.
"""

from __future__ import annotations

from collections.abc import Sequence

from chain_client.errors import InvalidInput
from chain_client.ledger.model_registry import Cause, ProposalStatus
from chain_client.registry import documents
from chain_client.registry.administration import AdminResult, Done, Noted, Scheduled
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.returns import ReturnDocument
from chain_client.registry.statements import (
    SignedStatement,
    request_approval,
    request_authorship,
    request_rejection,
    request_return,
    request_withdrawal,
)
from chain_client.registry.submitting import Submitting
from chain_client.registry.typed_data import MEANING_APPROVAL, MEANING_REVIEW
from chain_client.signing import Signer
from chain_client.types import Address, Digest

__all__ = ["AdminResult", "Done", "Noted", "RegistryClient", "Scheduled"]


class RegistryClient(Submitting):
    """Decides about models: proposes, approves, promotes, returns.

    Whoever decides gives a key (``signer``), which signs typed data that the submitter's key
    brings to the chain, so that approvers need no funds; or statements that were signed elsewhere.
    Whoever left the group and joined it again has to send what they sign about an earlier proposal
    themselves: their key does, where it is given.
    Nothing is signed or sent before the text was compared with the fields.

    Guarantee: what is done on chain already is a success, so every method may be called again
    after a crash. What it says is noted in the log before, what was signed after.

    Every method may raise `SummaryMismatch` and `SignatureRefused` (nothing was sent),
    `ContractReverted` (the contract's own reason), `LedgerUnavailable`, `SpoolUnavailable`,
    `ConfigurationError` (a key) and what `Sender.send` raises.
    """

    def propose(
        self,
        document: ProposalDocument,
        *,
        signer: Signer | None = None,
        signed: SignedStatement | None = None,
    ) -> Digest:
        """Make a proposal, in the name of its requester.

        Args:
            document: as `write_proposal` gave it.
            signer: the requester's key, or
            signed: what the requester signed (`request_authorship`).

        Returns:
            the proposal's id.

        Raises:
            InvalidInput: it was closed before.
            PromotionDenied: it was not checked as the policy demands now.
        """
        self.check_document(document)
        status = self.contract.proposal(document.id).status
        if status in (ProposalStatus.REJECTED, ProposalStatus.WITHDRAWN):
            raise InvalidInput(
                f"this proposal was {status.name.lower()}; write a new one that takes it up"
            )
        if status is not ProposalStatus.NONE:
            if documents.find_proposal(self._log, document.id) is None:
                # It was made past this home, and without its text nothing is promoted.
                documents.note_document(self._recorder(), document)
            return document.id
        self.check_report(document)
        statement = self._signed(request_authorship(document), signer, signed)
        if documents.find_proposal(self._log, document.id) is None:
            documents.note_document(self._recorder(), document)
        call = self.contract.propose_call(document.fields, statement.signature or b"")
        self._submit("propose", call, document, ProposalStatus.OPEN)
        documents.note_statement(self._recorder(), statement)
        return document.id

    def approve(
        self,
        document: ProposalDocument,
        *,
        signer: Signer | None = None,
        signed: Sequence[SignedStatement] = (),
    ) -> Done:
        """Approve a proposal; approvals that the chain has already are left out.

        Args:
            document: the proposal.
            signer: an approver's key, and
            signed: approvals that others signed (`request_approval`).

        Raises:
            PromotionDenied: the policy was changed since it was proposed, and it can be promoted
                no more; or it was not checked as the policy demands now.
        """
        self.check_document(document)
        self._check_policy(document)
        self.check_report(document)
        request = request_approval(document, MEANING_APPROVAL)
        statements = [self._signed(request, None, one) for one in signed]
        if signer is not None and signer.address() not in {one.signer for one in statements}:
            statements.append(self._signed(request, signer, None))
        if not statements:
            raise InvalidInput("expected a key or signed approvals")
        known = set(self.standing(document).approved_by)
        fresh = {one.signer: one for one in statements if one.signer not in known}
        approvers = [address for address in fresh if address is not None]
        if not approvers:
            return Done()
        signatures = [fresh[one].signature or b"" for one in approvers]
        done = self._approve(document, approvers, signatures, signer)
        for one in fresh.values():
            documents.note_statement(self._recorder(), one)
        return done

    def review(
        self,
        document: ProposalDocument,
        *,
        signer: Signer | None = None,
        signed: SignedStatement | None = None,
    ) -> Done:
        """Record that a member looked at a proposal; it counts towards no quorum.

        Args:
            document: the proposal.
            signer: the reviewer's key, or
            signed: what the reviewer signed (`request_approval` with meaning ``review``).
        """
        self.check_document(document)
        one = self._signed(request_approval(document, MEANING_REVIEW), signer, signed)
        assert one.signer is not None
        reviewer = one.signer
        done = self._bring(
            "review",
            lambda signature: self.contract.review_call(document.fields, reviewer, signature),
            one,
            lambda: reviewer in self.standing(document).reviewed_by,
            signer,
        )
        documents.note_statement(self._recorder(), one)
        return done

    def reject(
        self,
        document: ProposalDocument,
        reason: str,
        *,
        signer: Signer,
    ) -> Done:
        """Close a proposal for ever, as a member of the group.

        Args:
            document: the proposal.
            reason: in the member's own words; kept in the log, and salted on chain.
            signer: the member's key.
        """
        if self._is(document, ProposalStatus.REJECTED):
            return Done()
        self.check_document(document)
        salted = documents.salt_reason(reason)
        documents.note_reason(self._recorder(), salted)
        request = request_rejection(document, documents.hash_reason(salted))
        return self.submit(self._signed(request, signer, None), signer=signer)

    def withdraw(
        self,
        document: ProposalDocument,
        *,
        signer: Signer | None = None,
        signed: SignedStatement | None = None,
    ) -> Done:
        """Close a proposal for ever, as its requester.

        Args:
            document: the proposal.
            signer: the requester's key, or
            signed: what the requester signed (`request_withdrawal`).
        """
        if self._is(document, ProposalStatus.WITHDRAWN):
            return Done()
        self.check_document(document)
        return self.submit(self._signed(request_withdrawal(document), signer, signed))

    def submit(self, statement: SignedStatement, *, signer: Signer | None = None) -> Done:
        """Bring a statement about a proposal that was signed elsewhere, whatever it says.

        Args:
            statement: what was signed.
            signer: the key of who signed it, if it is here.

        Raises:
            InvalidInput: it is about a rollback or removal, which need several (`rollback`,
                `remove`).
        """
        document = statement.document
        if isinstance(document, ReturnDocument):
            raise InvalidInput(
                f"a {statement.meaning} needs the signatures of several; bring them together"
            )
        if signer is not None and signer.address() != statement.signer:
            signer = None
        if statement.meaning == "authorship":
            self.propose(document, signed=statement)
            return Done()
        if statement.meaning == MEANING_APPROVAL:
            return self.approve(document, signer=signer, signed=[statement])
        if statement.meaning == MEANING_REVIEW:
            return self.review(document, signer=signer, signed=statement)
        self._check(statement, document)
        assert statement.signer is not None
        member, reason = statement.signer, statement.reason
        if reason is None:
            status = ProposalStatus.WITHDRAWN
            call = self.contract.withdraw_call(document.fields, statement.signature or b"")
            done = self._submit(statement.meaning, call, document, status) or Done()
        else:
            hashed = reason
            done = self._bring(
                statement.meaning,
                lambda signature: self.contract.reject_call(
                    document.fields, hashed, member, signature
                ),
                statement,
                lambda: self._is(document, ProposalStatus.REJECTED),
                signer,
            )
        documents.note_statement(self._recorder(), statement)
        return done

    def promote(self, document: ProposalDocument) -> Done:
        """Make an approved version current, once nothing is missing; anybody can.

        Raises:
            SummaryMismatch: what was signed does not say what would become current.
            PromotionDenied: it was checked by what no admin had applied.
        """
        self.check_text(document)
        if not self._is(document, ProposalStatus.PROMOTED):
            self.check_promoted(document)
        call = self.contract.promote_call(document.fields)
        return self._submit("promote", call, document, ProposalStatus.PROMOTED) or Done()

    def rollback(
        self,
        document: ReturnDocument,
        *,
        signer: Signer | None = None,
        signed: Sequence[SignedStatement] = (),
    ) -> Done:
        """Return to a formerly current version, with the signatures of enough members.

        Args:
            document: as `write_rollback` gave it.
            signer: a member's key, and
            signed: what others signed (`request_return`).
        """
        if document.former is None:
            raise InvalidInput("expected a rollback, got a removal")
        return self._return(document, signer, signed)

    def remove(
        self,
        document: ReturnDocument,
        *,
        signer: Signer | None = None,
        signed: Sequence[SignedStatement] = (),
    ) -> Done:
        """Leave a target without a current version, with the signatures of enough members.

        Args:
            document: as `write_removal` gave it.
            signer: a member's key, and
            signed: what others signed (`request_return`).
        """
        if document.former is not None:
            raise InvalidInput("expected a removal, got a rollback")
        return self._return(document, signer, signed)

    def break_glass(self, document: ProposalDocument, reason: str, *, signer: Signer) -> Done:
        """Promote without a quorum, flagged for ever; a breaker's own key sends it.

        Args:
            document: an open proposal, or a new one whose requester is the breaker.
            reason: in the breaker's own words; kept in the log, and salted on chain.
            signer: the breaker's key.
        """
        if self._is(document, ProposalStatus.PROMOTED):
            return Done()
        self.check_document(document)
        salted = documents.salt_reason(reason)
        documents.note_document(self._recorder(), document)
        documents.note_reason(self._recorder(), salted)
        call = self.contract.break_glass_call(document.fields, documents.hash_reason(salted))
        return self._once(
            "break-glass", call, lambda: self._is(document, ProposalStatus.PROMOTED), signer
        )

    # --- within

    def _return(
        self, document: ReturnDocument, signer: Signer | None, signed: Sequence[SignedStatement]
    ) -> Done:
        self.check_document(document)
        request = request_return(document)
        statements = [self._signed(request, None, one) for one in signed]
        if signer is not None:
            statements.append(self._signed(request, signer, None))
        by_signer: dict[Address, bytes] = {}
        for one in statements:
            assert one.signer is not None
            by_signer[one.signer] = one.signature or b""
        documents.note_document(self._recorder(), document)
        for one in statements:
            documents.note_statement(self._recorder(), one)
        summary_hash = documents.hash_reason(document.summary)
        place = (document.model_id, document.target_id)
        sequence, deadline_s = document.sequence, document.deadline_s
        people = (list(by_signer), list(by_signer.values()))
        if document.former is not None:
            call = self.contract.rollback_call(
                document.former.fields, sequence, deadline_s, summary_hash, *people
            )
        else:
            call = self.contract.remove_call(*place, sequence, deadline_s, summary_hash, *people)
        cause = Cause.REMOVED if document.former is None else Cause.ROLLED_BACK

        def stands() -> bool:
            found = self.contract.current(*place)
            return (found.sequence, found.version, found.cause) == (
                document.sequence + 1,
                document.version,
                cause,
            )

        return self._once(cause.name.lower(), call, stands, self._submitter())
