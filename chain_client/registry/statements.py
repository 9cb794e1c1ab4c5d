"""The file that goes from hand to hand: typed data for any wallet, who signed, and the document.

Anyone can write it, any wallet that knows ``eth_signTypedData_v4`` can sign what stands under
``typedData``, and anyone can submit it. The format is in ``docs/reference/approval-files.md``.
Signatures here are stable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from chain_client.errors import InvalidInput, SignatureRefused, SummaryMismatch
from chain_client.events import Json
from chain_client.registry.identity import Salt
from chain_client.registry.members import Members
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.returns import ReturnDocument
from chain_client.registry.summaries import check_return_summary, check_summary
from chain_client.registry.typed_data import (
    APPROVAL,
    MEANING_APPROVAL,
    PROPOSAL,
    REJECTION,
    Statement,
    state_approval,
    state_rejection,
    state_withdrawal,
)
from chain_client.signing import Signer
from chain_client.types import Address, Digest, from_hex, to_hex

FORMAT = "mlops-chain statement 1"
_MAX_CHARACTERS = 1_000_000
_MAX_SIGNATURE_BYTES = 8192

Document: TypeAlias = ProposalDocument | ReturnDocument


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A statement, the document it is about, and its signature once there is one.

    Args:
        statement: what is signed.
        document: the proposal, rollback or removal.
        signer: who signed, or is to sign; None while nobody has.
        signature: 65 bytes of a key, or whatever a contract's wallet takes (ERC-1271); None
            while nobody has signed.
    """

    statement: Statement
    document: Document
    signer: Address | None = None
    signature: bytes | None = None

    @property
    def meaning(self) -> str:
        """``authorship``, ``approval``, ``review``, ``rejection``, ``withdrawal``, ``rollback`` or
        ``removal``."""
        return self.statement.meaning

    @property
    def reason(self) -> Digest | None:
        """Hash of the reason of a rejection."""
        if self.statement.struct is not REJECTION:
            return None
        value = self.statement.values["reason"]
        assert isinstance(value, bytes)
        return Digest(value)

    def sign(
        self, signer: Signer, salt: Salt | None, bindings: Mapping[str, Address] | None = None
    ) -> SignedStatement:
        """The statement with a key's signature, after the text was compared with the fields.

        Args:
            signer: the key.
            salt: the deployment's; without it the names are not checked (`check_summary`).
            bindings: addresses by name.

        Raises:
            SummaryMismatch: the text lies; nothing was signed.
            ConfigurationError: the key can't be read or unlocked.
        """
        self.check_text(salt, bindings)
        return replace(self, signer=signer.address(), signature=self.statement.sign(signer))

    def with_signature(self, signature: bytes, signer: Address | None = None) -> SignedStatement:
        """The statement with a signature that a wallet gave.

        Args:
            signature: as the wallet gave it.
            signer: whose it is; by default whose key it was, which a contract's wallet has not.

        Raises:
            SignatureRefused: no key made it, and no signer is named.
        """
        found = signer or self.statement.find_signer(signature)
        if found is None:
            raise SignatureRefused(
                "the signature is of no key; if a contract's wallet made it (ERC-1271), name the "
                "wallet's address as the signer"
            )
        return replace(self, signer=found, signature=signature)

    def check_text(self, salt: Salt | None, bindings: Mapping[str, Address] | None = None) -> None:
        """See that what would be signed is about the document, and that its text is true.

        Raises:
            SummaryMismatch: it is not.
        """
        document = self.document
        if self.statement != _expected(self.statement, document):
            raise SummaryMismatch("the typed data are not about the document beside them")
        if isinstance(document, ProposalDocument):
            check_summary(document, salt, bindings)
        else:
            check_return_summary(document, salt)

    def check_signature(self) -> None:
        """See that the named key signed.

        Raises:
            SignatureRefused: nobody signed, or another key, or something was changed since. What a
                contract's wallet signed only the chain can check.
        """
        if self.signer is None or self.signature is None:
            raise SignatureRefused("nobody has signed this yet")
        self.statement.check_signed(self.signer, self.signature)

    def to_json(self) -> dict[str, Json]:
        """The file's JSON."""
        key = "proposal" if isinstance(self.document, ProposalDocument) else "return"
        return {
            "format": FORMAT,
            "typedData": self.statement.to_typed_data(),
            "signer": None if self.signer is None else to_hex(self.signer),
            "signature": None if self.signature is None else to_hex(self.signature),
            key: self.document.to_json(),
        }

    def to_text(self) -> str:
        """The file's text."""
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, data: object) -> SignedStatement:
        """The inverse of `to_json`.

        Guarantee: the typed data are about the document. Whether the text is true and the
        signature good, `check_text` and `check_signature` tell.

        Raises:
            InvalidInput: it is no such file.
            SummaryMismatch: the typed data are about another document.
        """
        value = Members(data, "statement")
        if value.text("format") != FORMAT:
            raise InvalidInput(f"statement.format: expected {FORMAT!r}")
        document: Document
        if not value.is_null("return"):
            document = ReturnDocument.from_json(value.raw("return"))
        else:
            document = ProposalDocument.from_json(value.raw("proposal"))
        statement = Statement.from_typed_data(value.raw("typedData"))
        if statement != _expected(statement, document):
            raise SummaryMismatch("the typed data are not about the document beside them")
        signer = None if value.is_null("signer") else Address(value.bytes("signer", 20))
        signature = None
        if not value.is_null("signature"):
            signature = from_hex(value.text("signature"))
            if len(signature) > _MAX_SIGNATURE_BYTES:
                raise InvalidInput("statement.signature: it is too long")
        return cls(statement, document, signer, signature)

    @classmethod
    def from_text(cls, text: str) -> SignedStatement:
        """The inverse of `to_text`.

        Raises:
            InvalidInput, SummaryMismatch: as `from_json`.
        """
        if len(text) > _MAX_CHARACTERS:
            raise InvalidInput("the file is too long for a statement")
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            raise InvalidInput("the file is no JSON; expected a statement") from None
        return cls.from_json(data)


def request_authorship(document: ProposalDocument) -> SignedStatement:
    """What the requester is to sign."""
    return SignedStatement(document.statement(), document, document.fields.requester)


def request_approval(
    document: ProposalDocument, meaning: str = MEANING_APPROVAL
) -> SignedStatement:
    """What an approver is to sign; ``meaning`` is ``approval`` or ``review``.

    Raises:
        InvalidInput: another meaning.
    """
    statement = state_approval(document.domain, document.id, document.summary, meaning)
    return SignedStatement(statement, document)


def request_rejection(document: ProposalDocument, reason: bytes) -> SignedStatement:
    """What a member is to sign to close a proposal.

    Args:
        document: the proposal.
        reason: hash of a salted text, as `documents.hash_reason` gives it.
    """
    statement = state_rejection(document.domain, document.id, reason, document.summary)
    return SignedStatement(statement, document)


def request_withdrawal(document: ProposalDocument) -> SignedStatement:
    """What the requester is to sign to close the own proposal."""
    statement = state_withdrawal(document.domain, document.id, document.summary)
    return SignedStatement(statement, document, document.fields.requester)


def request_return(document: ReturnDocument) -> SignedStatement:
    """What an approver of a rollback or removal is to sign."""
    return SignedStatement(document.statement(), document)


def _expected(statement: Statement, document: Document) -> Statement | None:
    """The statement of that kind about the document; None if there is none."""
    if isinstance(document, ReturnDocument):
        return document.statement()
    try:
        if statement.struct is PROPOSAL:
            return document.statement()
        if statement.struct is APPROVAL:
            meaning = str(statement.values["meaning"])
            return state_approval(document.domain, document.id, document.summary, meaning)
    except InvalidInput:
        return None
    if statement.struct is REJECTION:
        reason = statement.values["reason"]
        assert isinstance(reason, bytes)
        return state_rejection(document.domain, document.id, reason, document.summary)
    return state_withdrawal(document.domain, document.id, document.summary)
