"""Writing a proposal: the files are attested, the policy's checks are run, and the version is
registered before."""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.attestations import Attestation
from chain_client.client import ChainClient
from chain_client.errors import InvalidInput, PromotionConflict
from chain_client.events import Actor
from chain_client.governing.attesting import Tell, attest, tell_nobody
from chain_client.governing.checking import Checked, require_checks
from chain_client.governing.models import FoundModel, find_model
from chain_client.registry.authoring import new_nonce
from chain_client.registry.check_reports import CheckReport
from chain_client.registry.evidence import CHECKS, EvidenceItem
from chain_client.registry.proposals import ProposalDocument, short_id
from chain_client.registry.targets import Target
from chain_client.registry.users import named, to_names
from chain_client.shown_text import quote_word
from chain_client.types import Address


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be proposed.

    Args:
        name: of the model, ``fraud`` or ``workspace/fraud``.
        version: its number.
        target: the alias or stage.
        evidence: what the requester brings.
        open_for_s: seconds until its deadline; None: as long as the policy allows.
        supersedes: id (or its beginning) of a closed proposal that it takes up again.
        tracking_uri: the database; None: any.
        requester: who is to sign, where that is not the key here.
        again: propose although an equal proposal is open.
        breaks_glass: no policy needs to be in force, and none is obeyed.
    """

    name: str
    version: int
    target: Target
    evidence: tuple[EvidenceItem, ...] = ()
    open_for_s: int | None = None
    supersedes: str | None = None
    tracking_uri: str | None = None
    requester: str | None = None
    again: bool = False
    breaks_glass: bool = False


def write(
    client: ChainClient,
    wish: Wish,
    requester: Address,
    timeout_s: float,
    tell: Tell = tell_nobody,
    *,
    actor: Actor | None = None,
) -> ProposalDocument:
    """The proposal of a wish, after its files were attested, its checks passed, and its version
    was registered.

    Args:
        client: of the home.
        wish: what is to be proposed.
        requester: who is to sign it.
        timeout_s: how long another relay is waited for.
        tell: says what is being done.
        actor: who asks, for the log.

    Raises:
        PromotionConflict: it is proposed already; or its files are not those that were registered.
        PromotionDenied: a check of the policy blocks it, or can't be carried out.
        ChainError: model or version are not there, can't be read, or no policy is in force.
    """
    registry = client.registry
    if any(item.kind == CHECKS for item in wish.evidence):
        raise InvalidInput("checks are no evidence to bring: they are run when it is proposed")
    found = find_model(client, wish.name, wish.tracking_uri)
    on_chain = registry.model_id(found.model)
    if not wish.again:
        check_not_open(client, wish, found)
    supersedes = None
    if wish.supersedes is not None:
        supersedes = registry.find_document(wish.supersedes.removeprefix("0x")).id
    if not wish.breaks_glass:
        registry.check_gated(found.model, wish.target)
    attestation = attest(client, found, wish.version, timeout_s, tell, actor=actor)
    commitment = registry.commitment(on_chain, wish.version, attestation.files.digest)
    checks = None
    if not wish.breaks_glass:
        checks = _check(client, wish, found, attestation, requester, timeout_s, tell, actor)

    def complete() -> ProposalDocument:
        return registry.write_proposal(
            found.model,
            wish.version,
            wish.target,
            attestation.files.digest,
            requester,
            evidence=wish.evidence,
            open_for_s=wish.open_for_s,
            supersedes=supersedes,
            for_break_glass=wish.breaks_glass,
            checks=checks,
        )

    complete()  # what can't be proposed is not registered, for that is for ever
    done = registry.register_version(found.model, wish.version, commitment, attestation.leaf_index)
    if done.tx_hash is not None:
        tell("registered on chain")
    return complete()


def _check(
    client: ChainClient,
    wish: Wish,
    found: FoundModel,
    attestation: Attestation,
    requester: Address,
    timeout_s: float,
    tell: Tell,
    actor: Actor | None,
) -> CheckReport | None:
    """The report of the checks that the policy demands; None if it demands none."""
    registry = client.registry
    place = registry.model_id(found.model), registry.target_id(wish.target)
    policy_hash = registry.contract.policy(*place).policy_hash
    applied = registry.required_checks(*place)
    if applied is None:
        return None
    checked = Checked(
        found,
        wish.version,
        wish.target,
        attestation.files,
        requester,
        tuple(str(item) for item in wish.evidence),
    )
    return require_checks(
        client, applied, checked, policy_hash, new_nonce(), timeout_s, tell, actor=actor
    )


def check_not_open(client: ChainClient, wish: Wish, found: FoundModel) -> None:
    """See that no proposal of that version for that target is open under the policy in force.

    Raises:
        PromotionConflict: one is; the text says whose.
    """
    registry = client.registry
    model, target = registry.model_id(found.model), registry.target_id(wish.target)
    in_force = registry.contract.policy(model, target).policy_hash
    for record in registry.state().open_proposals(registry.now_s()):
        fields = record.fields
        if (fields.model, fields.target, fields.version, fields.policy_hash) == (
            model,
            target,
            wish.version,
            in_force,
        ):
            raise PromotionConflict(
                f"version {wish.version} is proposed for {wish.target} already, by "
                f"{named(fields.requester, to_names(registry.users()))}: "
                f"`mlops-chain model show {quote_word(wish.name)}` says how it stands, and --again "
                f"makes another proposal beside {short_id(record.id)}"
            )
