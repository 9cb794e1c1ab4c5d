"""Which proposal is meant, and how it stands for who waits for it.

A promotion and the wait before it have to choose the same one, or the wait would let something
else go on than what is promoted then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from chain_client.client import ChainClient
from chain_client.errors import SummaryMismatch, UnknownProposal
from chain_client.governing.models import model_now, split_name
from chain_client.ledger.base import BlockTag
from chain_client.ledger.model_registry_values import ProposalStatus
from chain_client.registry import documents
from chain_client.registry.approval import Approval, Verdict, read_approval
from chain_client.registry.checking import CheckedReader
from chain_client.registry.proposals import ProposalDocument, short_id, show_model
from chain_client.registry.targets import Target
from chain_client.types import Digest

_ID_DIGITS = 64


@dataclass(frozen=True, slots=True)
class Meant:
    """What is known of a proposal. Nothing of it may be another proposal's.

    Args:
        name: of the model, ``fraud`` or ``workspace/fraud``; None: any.
        version: its number; None: any.
        target: the alias or stage; None: any.
        proposal_id: hex, of which the beginning is enough; empty: the others name it.
    """

    name: str | None = None
    version: int | None = None
    target: Target | None = None
    proposal_id: str = ""

    def fits(self, document: ProposalDocument) -> bool:
        """Whether a proposal is for that model, version and target."""
        model = document.names.model
        return (
            (self.name is None or split_name(self.name) == (model.workspace, model.name))
            and (self.version is None or self.version == document.version)
            and (self.target is None or self.target == document.names.target)
        )


def written(client: ChainClient, meant: Meant) -> list[ProposalDocument]:
    """Every proposal in the log that may be meant, each once, in the order of writing.

    Of several texts of one proposal the true one counts, whoever else wrote another.

    Raises:
        UnknownProposal: that of the id is another model's, version's or target's, or there are
            several whose ids begin so.
    """
    prefix = meant.proposal_id and "0x" + meant.proposal_id.removeprefix("0x").lower()
    found: dict[Digest, ProposalDocument] = {}
    for document in documents.proposals(client.log, prefix):
        if document.id not in found or _is_true(client.registry, document):
            found[document.id] = document
    if not meant.proposal_id:
        return [document for document in found.values() if meant.fits(document)]
    if len(found) > 1:
        raise UnknownProposal(
            f"{len(found)} proposals have an id that begins with {prefix[:66]!r}: give more of it"
        )
    for document in found.values():
        if not meant.fits(document):
            raise UnknownProposal(
                f"proposal {short_id(document.id)} is for version {document.version} of "
                f"{show_model(document.names.model)!r} and {document.names.target}, not for "
                f"version {meant.version or 'any'} of {meant.name or 'any model'!r} and "
                f"{meant.target or 'any target'}"
            )
    return list(found.values())


def choose(registry: CheckedReader, found: Iterable[ProposalDocument]) -> ProposalDocument | None:
    """The one that counts of several for the same: the latest that can be promoted, or is current.

    Else the latest that was made, then the latest that was written.
    """
    places: dict[tuple[bool, bool, int, int], ProposalDocument] = {}
    for place, document in enumerate(found):
        state = registry.contract.proposal(document.id)
        is_made = state.status is not ProposalStatus.NONE
        is_over = read_approval(registry, document, "latest").verdict is Verdict.CLOSED
        places[is_made, not is_over, state.made_at_s, place] = document
    return places[max(places)] if places else None


def read_meant(
    client: ChainClient,
    meant: Meant,
    at: BlockTag | int = "finalized",
    *,
    tracking_uri: str | None = None,
) -> Approval:
    """How the proposal stands that a promotion would use, at a block.

    Guarantee: approved is only what is so at that block and still at the newest one, and of the
    model that has the name now: a model that was deleted and made again was never proposed.

    Args:
        client: of the home.
        meant: the proposal.
        at: the block.
        tracking_uri: the database of models; default: all that record into the home.

    Raises:
        UnknownProposal: what is known of it belongs to several, or to none together; or the log
            holds none whose id begins so.
        UnknownName: several databases have a model of that name.
        Unavailable: chain, log or database do not answer.
    """
    registry = client.registry
    found = written(client, meant)
    if not found and 0 < len(meant.proposal_id.removeprefix("0x")) < _ID_DIGITS:
        # A whole id may be of a proposal whose text a relay is just taking in.
        raise UnknownProposal(
            f"no proposal in the log has an id that begins with {meant.proposal_id[:66]!r}"
        )
    if not found:
        return Approval(Verdict.WAITING, "text_unknown", "the log holds no such proposal (yet)")
    if len({one.fields.model for one in found}) == 1:
        # Whoever waits asks again and again: the database is not asked for what waits anyway.
        only = choose(registry, found)
        approval = None if only is None else read_approval(registry, only, at)
        if approval is not None and approval.verdict is Verdict.WAITING:
            return approval
    store_id = found[0].names.model.store_id if meant.proposal_id else None
    model = model_now(client, show_model(found[0].names.model), tracking_uri, store_id)
    now = None if model is None else registry.model_id(model)
    document = choose(registry, [one for one in found if one.fields.model == now])
    if document is None and meant.proposal_id:
        told = "the model that it was for was deleted, or deleted and made again"
        return Approval(Verdict.CLOSED, "model_replaced", told, found[0])
    if document is None:
        told = "nothing was proposed yet for the model that has the name now"
        return Approval(Verdict.WAITING, "text_unknown", told)
    approval = read_approval(registry, document, at)
    if approval.verdict is Verdict.APPROVED:
        newest = read_approval(registry, document, "latest")
        if newest.verdict is not Verdict.APPROVED:
            return replace(newest, verdict=Verdict.WAITING)
    return approval


def _is_true(registry: CheckedReader, document: ProposalDocument) -> bool:
    try:
        registry.check_text(document)
    except SummaryMismatch:
        return False
    return True
