"""A rollback or a removal with its readable side, which enough approvers sign.

Signatures here are stable; what the text says is made and checked by `summaries`.
"""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.errors import InvalidInput
from chain_client.events import Json
from chain_client.hosts import ModelIncarnation
from chain_client.registry.members import Members
from chain_client.registry.proposals import (
    ProposalDocument,
    model_from_json,
    model_to_json,
)
from chain_client.registry.targets import Target
from chain_client.registry.typed_data import Statement, state_removal, state_rollback
from chain_client.signing.eip712 import Domain
from chain_client.types import Address, Digest, to_hex

FORMAT = "mlops-chain return 1"


@dataclass(frozen=True, slots=True)
class ReturnDocument:
    """A return to a formerly current version, or to none.

    Args:
        domain: chain and registry.
        model: the incarnation, by name.
        model_id: … and as it stands on chain.
        target: the alias or stage.
        target_id: … and as it stands on chain.
        sequence: of the target when this was written; it counts for no other.
        deadline_s: last second in which the signatures count.
        former: the proposal to whose version it goes back; None for a removal.
        summary: the text that is signed.
    """

    domain: Domain
    model: ModelIncarnation
    model_id: Digest
    target: Target
    target_id: Digest
    sequence: int
    deadline_s: int
    former: ProposalDocument | None
    summary: str

    @property
    def id(self) -> Digest:
        """The hash of what is signed."""
        return self.statement().struct_hash()

    @property
    def version(self) -> int:
        """The version that is current afterwards; 0 for none."""
        return 0 if self.former is None else self.former.version

    def statement(self) -> Statement:
        """What each approver signs."""
        if self.former is not None:
            return state_rollback(
                self.domain, self.former.id, self.sequence, self.deadline_s, self.summary
            )
        return state_removal(
            self.domain,
            self.model_id,
            self.target_id,
            self.sequence,
            self.deadline_s,
            self.summary,
        )

    def to_json(self) -> dict[str, Json]:
        """The document as JSON; `from_json` gives an equal one back."""
        return {
            "format": FORMAT,
            "id": to_hex(self.id),
            "chainId": self.domain.chain_id,
            "registry": to_hex(self.domain.contract),
            "model": model_to_json(self.model),
            "modelId": to_hex(self.model_id),
            "target": str(self.target),
            "targetId": to_hex(self.target_id),
            "sequence": self.sequence,
            "deadline": self.deadline_s,
            "former": None if self.former is None else self.former.to_json(),
            "summary": self.summary,
        }

    @classmethod
    def from_json(cls, data: object) -> ReturnDocument:
        """The inverse of `to_json`.

        Raises:
            InvalidInput: it is no such document, or its parts are of several models or targets.
        """
        value = Members(data, "return")
        if value.text("format") != FORMAT:
            raise InvalidInput(f"return.format: expected {FORMAT!r}")
        former = (
            None if value.is_null("former") else ProposalDocument.from_json(value.raw("former"))
        )
        found = cls(
            domain=Domain(value.number("chainId", 63), Address(value.bytes("registry", 20))),
            model=model_from_json(value.raw("model")),
            model_id=Digest(value.bytes("modelId", 32)),
            target=Target.parse(value.text("target")),
            target_id=Digest(value.bytes("targetId", 32)),
            sequence=value.number("sequence", 63),
            deadline_s=value.number("deadline", 48),
            former=former,
            summary=value.text("summary"),
        )
        if former is not None and (
            (former.domain, former.fields.model, former.fields.target)
            != (found.domain, found.model_id, found.target_id)
        ):
            raise InvalidInput("return.former: it is of another model, target or registry")
        if value.bytes("id", 32) != found.id:
            raise InvalidInput("return.id: it is not the hash of what would be signed")
        return found
