"""Rollbacks and removals written without the chain, from what was last seen of it."""

from __future__ import annotations

import time

from chain_client.client import ChainClient
from chain_client.errors import PromotionConflict, UnknownName, UnknownProposal
from chain_client.gate.snapshot import Snapshot
from chain_client.hosts import ModelIncarnation
from chain_client.registry.documents import NameBook, find_proposal, proposals
from chain_client.registry.identity import target_id
from chain_client.registry.proposals import ProposalDocument, show_model
from chain_client.registry.returns import ReturnDocument
from chain_client.registry.summaries import complete_return, new_salt_line
from chain_client.registry.targets import Target
from chain_client.signing.eip712 import Domain
from chain_client.types import Digest


def write_from_snapshot(
    client: ChainClient,
    name: str,
    target: Target,
    *,
    is_removal: bool,
    version: int | None,
    open_for_s: int,
) -> ReturnDocument:
    """A rollback or removal as the chain stood when it was last seen.

    Args:
        client: of the home; its chain is not asked.
        name: of the model, ``fraud`` or ``workspace/fraud``.
        target: the alias or stage.
        is_removal: leave the target without a version.
        version: to go back to; None: the latest one that was current before.
        open_for_s: seconds until the signatures count no more.

    Raises:
        PromotionConflict: nothing is known of the chain.
        UnknownName: no such model is known.
        UnknownProposal: no version to go back to, or its text is not in the log.
    """
    snapshot = client.gate.last_seen()
    if snapshot is None:
        raise PromotionConflict(
            "nothing here says how the registry stood: there is no snapshot that can be trusted"
        )
    model_key, model = _model(client, name, target, snapshot)
    place = target_id(client.salt, target)
    current = snapshot.current(model_key, place)
    for stored in client.gate.pending_emergencies():
        earlier = stored.emergency
        if (earlier.document.model_id, earlier.document.target_id) == (model_key, place):
            current = earlier.after(current, snapshot)
    former = None
    if not is_removal:
        former = _former(client, snapshot, (model_key, place), current.version, version, model)
    return complete_return(
        ReturnDocument(
            domain=Domain(snapshot.chain_id, snapshot.registry),
            model=model,
            model_id=model_key,
            target=target,
            target_id=place,
            sequence=current.sequence,
            deadline_s=max(int(time.time()), snapshot.block.timestamp_s) + open_for_s,
            former=former,
            summary="",
        ),
        new_salt_line(),
    )


def _model(
    client: ChainClient, text: str, target: Target, snapshot: Snapshot
) -> tuple[Digest, ModelIncarnation]:
    """The incarnation of that name that is current for the target, else the youngest."""
    book = NameBook.read(client.log, client.salt)
    for document in proposals(client.log):
        book.add_model(document.names.model)
    place = target_id(client.salt, target)
    found = [item for item in book.models.items() if show_model(item[1]) == text]
    if not found:
        known = ", ".join(sorted({show_model(model) for model in book.models.values()}))
        raise UnknownName(
            f"nothing was ever proposed or set for a model {text!r} (known: {known or 'none yet'})"
        )
    return max(
        found,
        key=lambda item: (snapshot.current(item[0], place).version > 0, item[1].creation_ms),
    )


def _former(
    client: ChainClient,
    snapshot: Snapshot,
    place: tuple[Digest, Digest],
    current: int,
    version: int | None,
    model: ModelIncarnation,
) -> ProposalDocument:
    """The proposal of the version to go back to: the latest, in the snapshot's order."""
    known = {
        key: fields
        for key, fields in snapshot.former.items()
        if (fields.model, fields.target) == place
        and (fields.model, fields.version) not in snapshot.revoked
        and fields.version != current
    }
    keys = [key for key, fields in known.items() if version in (None, fields.version)]
    if not keys:
        there = ", ".join(str(fields.version) for fields in known.values()) or "none"
        raise UnknownProposal(
            f"no such version of {show_model(model)} was current before and is not revoked (there "
            f"are: {there})"
        )
    document = find_proposal(client.log, keys[-1])
    if document is None:
        raise UnknownProposal("the text of its proposal is not in the log")
    return document
