"""``mlops-chain model approve``, ``review``, ``reject`` and ``withdraw``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from chain_client.cli.governance import governing, timeout_option
from chain_client.cli.model.offline import sign_offline
from chain_client.cli.model.statements import (
    Asked,
    asked_of,
    gather,
    read_inputs,
    statement_options,
    tell_written,
    with_options,
)
from chain_client.cli.model.waiting import tell_standing, wait_option, wait_until
from chain_client.cli.output import console, json_option, print_json, safe
from chain_client.cli.statement_file import write_statement
from chain_client.client import ChainClient
from chain_client.errors import InvalidInput, PromotionDenied, UnknownProposal
from chain_client.registry import documents
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.statements import (
    SignedStatement,
    request_approval,
    request_rejection,
    request_withdrawal,
)
from chain_client.registry.typed_data import MEANING_APPROVAL, MEANING_REVIEW
from chain_client.registry.users import named, to_names
from chain_client.signing import Signer
from chain_client.types import Address, to_hex

_Function = TypeVar("_Function", bound=Callable[..., Any])
_DONE = {
    "approval": "approved",
    "review": "reviewed",
    "rejection": "rejected",
    "withdrawal": "withdrawn",
}
_APPROVER_KEY = "The approver's key: keystore:FILE, or the file."


def _decision(key_help: str) -> Callable[[_Function], _Function]:
    return with_options(
        click.argument("proposal", required=False),
        statement_options(key_help),
        json_option,
        click.pass_obj,
    )


@click.command()
@_decision(_APPROVER_KEY)
@wait_option("promoted")
@timeout_option
def approve(
    home: Path | None, proposal: str | None, wait: bool, timeout_s: float, **options: Any
) -> None:
    """Approve a PROPOSAL: its id, of which the beginning is enough.

    The text is shown before anything is signed, and compared with what is signed. The signature
    goes to the chain through the home's submitter, so an approver needs no ETH.

    \b
    Examples:
      mlops-chain model approve 3f9a1c --key ~/keys/bob.json
    An approver without access to this home signs a file, anywhere, with a copy of its
    keys/registry-salt:
      mlops-chain model approve 3f9a1c --out request.json
      mlops-chain model approve --in request.json --key bob.json --salt registry-salt \\
          --offline --out signed.json
      mlops-chain model approve --in signed.json
    """
    asked = asked_of(options)
    _decide(
        home,
        proposal,
        asked,
        MEANING_APPROVAL,
        lambda client, document: request_approval(document, MEANING_APPROVAL),
        timeout_s if wait else None,
    )


@click.command()
@_decision("The reviewer's key: keystore:FILE, or the file.")
def review(home: Path | None, proposal: str | None, **options: Any) -> None:
    """Record that a member of the group looked at a PROPOSAL; it counts towards no quorum.

    \b
    Example:
      mlops-chain model review 3f9a1c --key ~/keys/bob.json
    """
    _decide(
        home,
        proposal,
        asked_of(options),
        MEANING_REVIEW,
        lambda client, document: request_approval(document, MEANING_REVIEW),
    )


@click.command()
@_decision(_APPROVER_KEY)
@click.option("--reason", help="Why, in your own words; kept in the log for ever.")
def reject(home: Path | None, proposal: str | None, reason: str | None, **options: Any) -> None:
    """Close a PROPOSAL for ever, as a member of its group.

    \b
    Example:
      mlops-chain model reject 3f9a1c --reason "fails on leap days" --key ~/keys/bob.json
    """
    asked = asked_of(options)
    if (reason is None) == (not asked.inputs):
        raise click.UsageError("give --reason, or --in with a rejection that was written before")

    def request(client: ChainClient, document: ProposalDocument) -> SignedStatement:
        salted = documents.salt_reason(reason or "")
        documents.note_reason(client.recorder, salted)
        return request_rejection(document, documents.hash_reason(salted))

    _decide(home, proposal, asked, "rejection", request)


@click.command()
@_decision("The requester's key: keystore:FILE, or the file.")
def withdraw(home: Path | None, proposal: str | None, **options: Any) -> None:
    """Close a PROPOSAL for ever, as its requester.

    \b
    Example:
      mlops-chain model withdraw 3f9a1c --key ~/keys/ada.json
    """
    _decide(
        home,
        proposal,
        asked_of(options),
        "withdrawal",
        lambda client, document: request_withdrawal(document),
    )


def find_document(client: ChainClient, proposal: str) -> ProposalDocument:
    """The proposal whose id begins so.

    Raises:
        UnknownProposal: the log holds none, or several.
    """
    digits = proposal.removeprefix("0x")
    if not digits or set(digits.lower()) - set("0123456789abcdef"):
        raise UnknownProposal(
            f"{proposal[:80]!r} is no proposal's id; expected the beginning of one in hex, as "
            "mlops-chain approvals and model show print it"
        )
    return client.registry.find_document(digits)


def _decide(
    home: Path | None,
    proposal: str | None,
    asked: Asked,
    meaning: str,
    request: Callable[[ChainClient, ProposalDocument], SignedStatement],
    wait_s: float | None = None,
) -> None:
    if asked.offline:
        sign_offline(home, asked, meaning)
        return
    if (proposal is None) == (not asked.inputs):
        raise click.UsageError("give the PROPOSAL's id, or files with --in")
    if proposal is not None and asked.key_uri is None and asked.out is None:
        raise click.UsageError(
            "give --key to sign here, or --out FILE to have it signed by a wallet"
        )
    with governing(home) as client:
        registry = client.registry
        given = read_inputs(asked, meaning)
        signer = asked.open_key(client.home)
        found = given[0].document if given else find_document(client, proposal or "")
        if not isinstance(found, ProposalDocument):
            raise InvalidInput(f"{asked.inputs[0]} is about no proposal")
        registry.check_document(found)
        if meaning == MEANING_APPROVAL:
            registry.check_report(found)
        wanted = given[0] if given else request(client, found)
        if asked.out is not None and signer is None:
            write_statement(asked.out, wanted)
            tell_written(asked, wanted)
            return
        if signer is not None and meaning == MEANING_APPROVAL:
            _check_may_approve(client, found, signer.address())
        statements = gather(asked, wanted, given, signer, registry.salt, registry.users())
        if asked.out is not None:
            write_statement(asked.out, statements[-1])
            tell_written(asked, statements[-1])
            return
        transactions = _submit(client, found, statements, signer)
        if not asked.as_json:
            _tell(statements, to_names(registry.users()))
        standing = registry.standing(found)
        if wait_s is not None:
            standing = wait_until(client, found, "promoted", wait_s, shown=not asked.as_json)
        if asked.as_json:
            print_json(
                {
                    "ok": True,
                    "meaning": meaning,
                    "signers": [to_hex(one.signer) for one in statements if one.signer],
                    "transactions": transactions,
                    **standing.to_json(),
                }
            )
        else:
            tell_standing(found, standing)


def _check_may_approve(client: ChainClient, document: ProposalDocument, who: Address) -> None:
    """See that a signature would count, before anybody reads and signs.

    Raises:
        PromotionDenied: it would not; the text says why, and who may.
    """
    registry = client.registry
    standing = registry.standing(document)
    if who in standing.may_still_approve:
        return
    names = to_names(registry.users())
    name = named(who, names)
    if who in standing.approved_by:
        why = f"{name} approved it already"
    elif who == document.fields.requester:
        why = f"{name} asked for it, so somebody else has to approve it"
    else:
        group = "" if document.terms is None else f" {document.terms.group}"
        why = f"{name} is no approver of the group{group} who may approve it"
    raise PromotionDenied(f"{why}: {standing.text}")


def _submit(
    client: ChainClient,
    document: ProposalDocument,
    statements: list[SignedStatement],
    signer: Signer | None,
) -> list[str]:
    """Send them; the hashes of the transactions that it took."""
    registry = client.registry
    if statements[0].meaning == MEANING_APPROVAL:
        done = [registry.approve(document, signer=signer, signed=statements)]
    else:
        done = [registry.submit(one, signer=signer) for one in statements]
    return [to_hex(one.tx_hash) for one in done if one.tx_hash is not None]


def _tell(statements: list[SignedStatement], names: Mapping[Any, str]) -> None:
    for one in statements:
        if one.signer is not None:
            text = f"{_DONE[one.meaning]}[/] by {safe(named(one.signer, names))}"
            console().print(f"[green]{text}", soft_wrap=True)
