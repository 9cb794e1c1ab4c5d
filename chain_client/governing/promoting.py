"""Promoting what was approved, when its files were read again; and seeing the host follow."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from chain_client.client import ChainClient
from chain_client.errors import (
    ChainError,
    ModelMismatch,
    NotInTime,
    PromotionConflict,
    PromotionDenied,
    UnknownProposal,
)
from chain_client.governing.acts import Act, get_act
from chain_client.governing.attesting import Tell, read_files, tell_nobody
from chain_client.governing.choosing import Meant, choose, written
from chain_client.governing.models import FoundModel, find_model, model_now
from chain_client.ledger.model_registry_values import ProposalStatus
from chain_client.registry.proposals import ProposalDocument, short_id, show_model
from chain_client.registry.targets import Target
from chain_client.shown_text import quote_word

Wait = Callable[[float], None]
"""Waits so many seconds; may raise where the waiting is to end."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited, and how.

    Args:
        timeout_s: altogether, from now on.
        poll_s: seconds between two looks.
        wait: waits.
    """

    timeout_s: float = 60.0
    poll_s: float = 1.0
    wait: Wait = time.sleep

    def deadline(self) -> float:
        """When it ends, by the machine's monotonic clock."""
        return time.monotonic() + self.timeout_s


def find_proposal(
    client: ChainClient,
    *,
    name: str | None = None,
    version: int | None = None,
    target: Target | None = None,
    proposal_id: str | None = None,
    tracking_uri: str | None = None,
) -> ProposalDocument:
    """The proposal that is meant: by its id, or else the latest of a version for a target.

    What is given beside an id has to fit it. Without one it is the latest that can be promoted, or
    is current, for the model that has the name now; else the latest that was made.

    Args:
        client: of the home.
        name: of the model, ``fraud`` or ``workspace/fraud``.
        version: its number.
        target: the alias or stage.
        proposal_id: hex, of which the beginning is enough.
        tracking_uri: the database; default: any.

    Raises:
        UnknownProposal: there is none, or it is another model's, version's or target's.
        UnknownName: several databases have a model of that name.
    """
    meant = Meant(name, version, target, proposal_id or "")
    found = written(client, meant)
    if proposal_id:
        return found[0] if found else client.registry.find_document(proposal_id)  # says so
    if name is not None:
        model = model_now(client, name, tracking_uri)
        key = None if model is None else client.registry.model_id(model)
        found = [document for document in found if document.fields.model == key]
    contract = client.registry.contract
    made = [d for d in found if contract.proposal(d.id).status is not ProposalStatus.NONE]
    document = choose(client.registry, made)
    if document is None:
        raise UnknownProposal(
            f"nobody proposed version {version} of {name!r} for {target}: propose it first "
            f"(ProposePromotionOperator, or mlops-chain model propose {quote_word(name or '')} "
            f"{version} --target {target} --key …)"
        )
    return document


def promote_once(
    client: ChainClient,
    document: ProposalDocument,
    patience: Patience,
    *,
    tracking_uri: str | None = None,
    tell: Tell = tell_nobody,
) -> Act:
    """Make an approved version current on chain, unless somebody was faster.

    Guarantee: when this returns, the version was promoted by this proposal, and after it was
    asked for its files were read and are those that were approved. May be called again at any
    time, by several at once: the contract promotes a proposal once.

    The checks, in this order: the proposal is not closed; it was checked by what an admin had
    applied when it was made, or since; the version is not revoked and has the
    digest that was approved; every file is as it was; the approvals suffice, and the delay is
    over (which is waited for); then it is sent, and the contract checks it all but the files.

    Args:
        client: of the home.
        document: the proposal.
        patience: how long the policy's delay is waited for.
        tracking_uri: the database; default: any.
        tell: says what is being done.

    Raises:
        PromotionDenied: approvals are missing, it is closed, or it was not checked so.
        ModelMismatch: the files, or the registered digest, are not those that were approved.
        NotInTime: the policy's delay is not over in time.
        ChainError: what was needed does not answer or is refused.
    """
    registry, deadline = client.registry, patience.deadline()
    standing = registry.standing(document)
    if standing.status is not ProposalStatus.PROMOTED and standing.is_closed:
        raise PromotionDenied(
            f"proposal {short_id(document.id)} is closed: {standing.text}. Nothing was promoted; "
            "a new proposal is needed"
        )
    if standing.status is not ProposalStatus.PROMOTED:
        registry.check_promoted(document)
    check_bytes(client, find_of(client, document, tracking_uri), document, tell)
    while standing.status is not ProposalStatus.PROMOTED:
        standing = registry.standing(document)
        if standing.is_promotable or standing.status is ProposalStatus.PROMOTED:
            break
        is_early = standing.earliest_s is not None and standing.earliest_s > registry.now_s()
        if not (standing.has_quorum and is_early):
            raise PromotionDenied(
                f"proposal {short_id(document.id)} can't be promoted now: {standing.text}. "
                "Nothing was sent"
            )
        if time.monotonic() >= deadline:
            raise NotInTime(f"waited {patience.timeout_s:g} s: {standing.text}")
        tell(f"waiting: {standing.text}")
        patience.wait(patience.poll_s)
    if standing.status is ProposalStatus.PROMOTED:
        tell("it is promoted already")
    registry.promote(document)
    return get_act(registry, "CurrentChanged", first=True, proposalId=document.id)


def check_bytes(
    client: ChainClient, found: FoundModel, document: ProposalDocument, tell: Tell = tell_nobody
) -> None:
    """See that the files of a version are those that were approved; every file is read.

    Raises:
        ModelMismatch: they are not, the version was revoked, or the model is another incarnation.
        ChainError: they can't be read.
    """
    registry, fields = client.registry, document.fields
    shown = f"version {fields.version} of {show_model(document.names.model)!r}"
    if registry.model_id(found.model) != fields.model:
        raise ModelMismatch(
            f"the model {show_model(document.names.model)!r} was deleted and made again since it "
            "was proposed: what was approved is another model's. Propose the new one"
        )
    record = registry.contract.version(fields.model, fields.version)
    if record is None or record.digest != fields.digest:
        raise ModelMismatch(f"{shown} is registered with another digest than was approved")
    if record.is_revoked:
        raise ModelMismatch(f"{shown} was revoked: it can never be promoted any more")
    tell("reading every file of the version again")
    files = read_files(client, found, fields.version)
    if registry.commitment(fields.model, fields.version, files.digest) != fields.digest:
        raise ModelMismatch(
            f"the files of {shown} are not those that were approved: somebody changed them "
            "since. Find out who; log the files that are wanted as a new version and propose that"
        )


def find_of(
    client: ChainClient, document: ProposalDocument, tracking_uri: str | None = None
) -> FoundModel:
    """The model of a proposal, in whichever database has it.

    Raises:
        UnknownName: none has it, or several have.
    """
    return find_model(client, show_model(document.names.model), tracking_uri)


def wait_until_moved(
    client: ChainClient,
    document: ProposalDocument,
    patience: Patience,
    *,
    tracking_uri: str | None = None,
    tell: Tell = tell_nobody,
) -> None:
    """Wait until the host's alias or stage is at the promoted version, and nowhere else.

    A relay moves it; where none does, this moves it by itself, through the gate.

    Args:
        client: of the home.
        document: the proposal, which was promoted.
        patience: how long it is waited for.
        tracking_uri: the database; default: any.
        tell: says what is being done.

    Raises:
        PromotionConflict: something else has become current since.
        NotInTime: it does not move in time; the text says what hinders it.
    """
    found = find_of(client, document, tracking_uri)
    deadline, hindrance = patience.deadline(), ""
    target = document.names.target
    while True:
        _check_current(client, document)
        if _held(found, target) == (document.version,):
            tell(f"{target} is at version {document.version} in {found.binding.to_shown_uri()}")
            return
        try:
            report = client.sync()
            hindrance = "; ".join(f"{t.subject}: {t.text}" for t in report.troubles)
        except ChainError as exc:
            hindrance = str(exc)
        if _held(found, target) == (document.version,):
            continue
        if time.monotonic() >= deadline:
            raise NotInTime(
                f"version {document.version} is promoted on chain, but after "
                f"{patience.timeout_s:g} s {target} is not there in "
                f"{found.binding.to_shown_uri()} yet"
                + (f": {hindrance}" if hindrance else ": its block may not be final yet")
                + ". A relay, or mlops-chain sync, moves it; the promotion stands"
            )
        tell(f"waiting until {target} is at version {document.version}")
        patience.wait(patience.poll_s)


def _check_current(client: ChainClient, document: ProposalDocument) -> None:
    fields = document.fields
    now = client.registry.contract.current(fields.model, fields.target)
    if now.version == fields.version:
        return
    what = f"version {now.version} is current" if now.version else "nothing is current"
    raise PromotionConflict(
        f"version {fields.version} was promoted by proposal {short_id(document.id)}, and since "
        f"then {what} for {document.names.target}: somebody decided otherwise. To make it current "
        "again it has to be proposed again, or rolled back to"
    )


def _held(found: FoundModel, target: Target) -> tuple[int, ...]:
    model = found.model
    for state in found.host.targets(found.binding, [model.name]):
        if (state.workspace, state.model, state.target) == (
            model.workspace,
            model.name,
            str(target),
        ):
            return state.versions
    return ()
