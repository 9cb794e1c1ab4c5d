"""Proposing what may have been proposed before: by an earlier try, or by another one just now.

A proposal's id is that of its random fields, so that a second try that writes its own makes a
second proposal. Here the text is brought into the log first, and then the earliest equal one of
the log is sent: the log has one order for everybody, and the contract takes an id once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from chain_client.client import ChainClient
from chain_client.errors import PromotionDenied
from chain_client.events import Actor
from chain_client.governing.acts import Act, get_act
from chain_client.governing.attesting import Tell, tell_nobody
from chain_client.governing.logged import bring_in, wait_until_logged
from chain_client.governing.models import FoundModel, find_model
from chain_client.governing.proposing import Wish, check_not_open, write
from chain_client.ledger.model_registry_values import REQUESTER_ROLE, ProposalStatus
from chain_client.registry import documents
from chain_client.registry.evidence import CHECKS
from chain_client.registry.proposals import ProposalDocument, short_id
from chain_client.signing import Signer
from chain_client.types import Address, to_hex


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal that stands on chain.

    Args:
        document: the proposal.
        act: what made it.
    """

    document: ProposalDocument
    act: Act


def propose_once(
    client: ChainClient,
    wish: Wish,
    signer: Signer,
    *,
    timeout_s: float = 60,
    tell: Tell = tell_nobody,
    actor: Actor | None = None,
) -> Proposed:
    """Propose what is wished, unless the same requester has: then that proposal is given.

    Guarantee: of however many tries, at once or after kill -9 at any point, one proposal comes, as
    long as it is open, or is what made the version current. A closed one is proposed anew.

    Args:
        client: of the home.
        wish: what is to be proposed; ``requester`` and ``again`` are not looked at.
        signer: the requester's key.
        timeout_s: how long another relay is waited for.
        tell: says what is being done.
        actor: who asks, for the log.

    Raises:
        PromotionConflict: an open proposal of somebody else, or with other evidence, is there; or
            the files are not those that were registered.
        ChainError: as `proposing.write` and `RegistryClient.propose`.
    """
    registry, requester = client.registry, signer.address()
    bring_in(client)  # what an earlier try left in its spool
    found = find_model(client, wish.name, wish.tracking_uri)
    document = _find_earlier(client, wish, found, requester)
    if document is None:
        check_not_open(client, wish, found)
        _check_right(client, requester)
        fresh = write(client, replace(wish, again=True), requester, timeout_s, tell, actor=actor)
        registry.check_document(fresh)
        documents.note_document(client.recorder, fresh)
        tell("waiting until the proposal's text stands in the log")
        wait_until_logged(
            client, lambda: documents.find_proposal(client.log, fresh.id), timeout_s=timeout_s
        )
        document = _find_earlier(client, wish, found, requester) or fresh
    elif registry.contract.proposal(document.id).status is ProposalStatus.OPEN:
        _check_still_counts(client, document)
    registry.propose(document, signer=signer)
    return Proposed(document, get_act(registry, "ProposalMade", proposalId=document.id))


def _check_right(client: ChainClient, requester: Address) -> None:
    """Ask before anything is written what the contract would refuse in the end."""
    if not client.model_registry.has_role(REQUESTER_ROLE, requester):
        shown = to_hex(requester)
        raise PromotionDenied(
            f"the key {shown} may not ask for promotions: it has not the role requester; let an "
            f"admin grant it by `mlops-chain role grant requester {shown}`, or use another key"
        )


def _find_earlier(
    client: ChainClient, wish: Wish, found: FoundModel, requester: Address
) -> ProposalDocument | None:
    """The earliest equal proposal of the log that still counts; first those that are on chain."""
    registry = client.registry
    model, target = registry.model_id(found.model), registry.target_id(wish.target)
    in_force = registry.contract.policy(model, target)
    now_s, current = registry.now_s(), registry.state().current(model, target)
    longest_s = 0 if in_force.policy is None else in_force.policy.expiry_s
    open_for_s = wish.open_for_s or longest_s
    unsent = None
    for document in documents.proposals(client.log):
        fields = document.fields
        if (fields.model, fields.target, fields.version, fields.requester) != (
            model,
            target,
            wish.version,
            requester,
        ):
            continue
        brought = {item for item in document.names.evidence if item.kind != CHECKS}
        if brought != set(wish.evidence) or not _supersedes(document, wish):
            continue
        status = registry.contract.proposal(document.id).status
        if status is ProposalStatus.PROMOTED:
            if current is not None and current.proposal_id == document.id and current.version:
                return document
            continue
        left_s = fields.deadline_s - now_s
        if fields.policy_hash != in_force.policy_hash or left_s <= 0:
            continue
        if status is ProposalStatus.OPEN:
            return document
        # A try that never came to the chain; too old a one would leave approvers no time.
        if status is not ProposalStatus.NONE or unsent is not None or 2 * left_s <= open_for_s:
            continue
        if _is_checked(client, document):
            unsent = document
    return unsent


def _check_still_counts(client: ChainClient, document: ProposalDocument) -> None:
    """See that approvers may approve the open proposal of an earlier try.

    Raises:
        PromotionDenied: other checks are required since; it has to be withdrawn first.
    """
    try:
        client.registry.check_report(document)
    except PromotionDenied as exc:
        command = f"mlops-chain model withdraw {short_id(document.id)}"
        raise PromotionDenied(f"{exc} (withdraw it first: {command} --key …)") from exc


def _is_checked(client: ChainClient, document: ProposalDocument) -> bool:
    """Whether an earlier try passed the checks that are required now."""
    try:
        client.registry.check_report(document)
    except PromotionDenied:
        return False
    return True


def _supersedes(document: ProposalDocument, wish: Wish) -> bool:
    wanted = (wish.supersedes or "").removeprefix("0x").lower()
    is_named = any(document.fields.supersedes)
    return is_named == bool(wanted) and document.fields.supersedes.hex().startswith(wanted)
