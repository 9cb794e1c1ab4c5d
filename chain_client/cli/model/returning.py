"""``mlops-chain model rollback`` and ``remove``: approvers go back, at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from chain_client.cli.governance import governing
from chain_client.cli.model.offline import sign_offline
from chain_client.cli.model.seen_last import write_from_snapshot
from chain_client.cli.model.statements import (
    Asked,
    asked_of,
    gather,
    read_inputs,
    statement_options,
    tell_written,
    with_options,
)
from chain_client.cli.output import console, counted, json_option, open_client, print_json, safe
from chain_client.cli.statement_file import check_signed, write_statement
from chain_client.client import ChainClient
from chain_client.errors import InvalidInput, PromotionDenied, UnknownProposal
from chain_client.governing.logged import bring_in
from chain_client.governing.models import known_incarnations
from chain_client.hosts import ModelIncarnation
from chain_client.registry.documents import find_proposal
from chain_client.registry.durations import parse_duration
from chain_client.registry.proposals import ProposalDocument, show_model
from chain_client.registry.returns import ReturnDocument
from chain_client.registry.statements import SignedStatement, request_return
from chain_client.registry.targets import Target
from chain_client.types import to_hex

_options = with_options(
    click.argument("name", required=False),
    click.option("--target", metavar="TARGET", help="@champion, alias:champion, stage:Production."),
    click.option(
        "--open-for",
        metavar="DURATION",
        default="24h",
        show_default=True,
        help="How long the signatures count.",
    ),
    statement_options("An approver's key: keystore:FILE, or the file."),
    json_option,
    click.pass_obj,
)


@click.command()
@_options
@click.option("--to", "version", type=click.IntRange(min=1), help="Default: the one before.")
def rollback(
    home: Path | None,
    name: str | None,
    target: str | None,
    open_for: str,
    version: int | None,
    **options: Any,
) -> None:
    """Return a target of the model NAME to a version that was current before, at once.

    It takes as many approvers as a promotion, and their signatures come together in one step: one
    writes a file, each of the others signs it, and the last one submits all. Each may add their own
    signature to the files of the others.

    While the chain can't be reached, --offline works from what was last seen of it, and lets the
    signatures count here until they are submitted.

    \b
    Examples:
      mlops-chain model rollback fraud --target @champion --key bob.json --out bob-signed.json
      mlops-chain model rollback --in bob-signed.json --key carol.json
    """

    def write(client: ChainClient, model: ModelIncarnation, place: Target) -> ReturnDocument:
        former = _former(client, model, place, version)
        return client.registry.write_rollback(former, open_for_s=parse_duration(open_for))

    _run(home, name, target, asked_of(options), "rollback", write, version, open_for)


@click.command()
@_options
def remove(
    home: Path | None,
    name: str | None,
    target: str | None,
    open_for: str,
    **options: Any,
) -> None:
    """Leave a target of the model NAME without a current version, at once.

    It takes as many approvers as a promotion; their signatures come together as for rollback.

    \b
    Examples:
      mlops-chain model remove fraud --target @champion --key bob.json --out bob-signed.json
      mlops-chain model remove --in bob-signed.json --key carol.json
    """

    def write(client: ChainClient, model: ModelIncarnation, place: Target) -> ReturnDocument:
        return client.registry.write_removal(model, place, open_for_s=parse_duration(open_for))

    _run(home, name, target, asked_of(options), "removal", write, None, open_for)


def _run(
    home: Path | None,
    name: str | None,
    target: str | None,
    asked: Asked,
    meaning: str,
    write: Callable[[ChainClient, ModelIncarnation, Target], ReturnDocument],
    version: int | None,
    open_for: str,
) -> None:
    if bool(asked.inputs) == (name is not None and target is not None):
        raise click.UsageError("give NAME and --target, or files with --in")
    if asked.offline:
        if asked.inputs and asked.out is not None:
            sign_offline(home, asked, meaning)
        elif asked.inputs:
            _accept(home, asked, meaning)
        else:
            _write_offline(home, name or "", target or "", asked, meaning, version, open_for)
        return
    if not asked.inputs and asked.key_uri is None and asked.out is None:
        raise click.UsageError("give --key to sign here, or --out FILE for the others to sign")
    with governing(home) as client:
        registry = client.registry
        given = read_inputs(asked, meaning)
        if given:
            document = given[0].document
            assert isinstance(document, ReturnDocument)
        else:
            place = Target.parse(target or "")
            document = write(client, _incarnation(client, name or "", place), place)
        registry.check_document(document)
        request = given[0] if given else request_return(document)
        signer = asked.open_key(client.home)
        if asked.out is not None and signer is None:
            _write(asked, request)
            return
        statements = gather(asked, request, given, signer, registry.salt, registry.users())
        if asked.out is not None:
            _write(asked, statements[-1])
            return
        _check_enough(client, document, statements)
        act = registry.remove if document.former is None else registry.rollback
        done = act(document, signed=statements)
    _tell(asked, document, statements, None if done.tx_hash is None else to_hex(done.tx_hash))


def _check_enough(
    client: ChainClient, document: ReturnDocument, statements: list[SignedStatement]
) -> None:
    """See that there are as many signers as the policy asks for, before anything is sent."""
    policy = client.registry.contract.policy(document.model_id, document.target_id).policy
    if policy is None:
        raise PromotionDenied(
            f"{document.target} is not gated; whoever may write in MLflow sets it"
        )
    signers = {one.signer for one in statements}
    if len(signers) < policy.threshold:
        raise PromotionDenied(
            f"{len(signers)} of {counted(policy.threshold, 'signature')} are there: write yours "
            "with --out FILE, and let the next approver add theirs with --in FILE --key …"
        )


def _former(
    client: ChainClient, model: ModelIncarnation, target: Target, version: int | None
) -> ProposalDocument:
    """The proposal of the version to go back to.

    Raises:
        UnknownProposal: none was current before, or its text is not in the log.
    """
    registry = client.registry
    found = registry.state().formerly_current(registry.model_id(model), registry.target_id(target))
    chosen = [one for one in found if version in (None, one.version)]
    if not chosen or chosen[0].proposal_id is None:
        known = ", ".join(dict.fromkeys(str(one.version) for one in found)) or "none"
        wanted = "No other version" if version is None else f"Version {version}"
        raise UnknownProposal(
            f"{wanted} of {show_model(model)} that is not revoked was current for {target} before "
            f"(there are: {known})"
        )
    document = find_proposal(client.log, chosen[0].proposal_id)
    if document is None:
        raise UnknownProposal(
            f"the text of proposal {to_hex(chosen[0].proposal_id)} is not in the log: put the log "
            "back from its newest copy"
        )
    return document


def _incarnation(client: ChainClient, name: str, target: Target) -> ModelIncarnation:
    """The incarnation that the chain knows for a target; of several the one that is current, else
    the youngest."""
    registry = client.registry
    known = known_incarnations(registry, name)
    state, place = registry.state(), registry.target_id(target)

    def rank(item: tuple[Any, ModelIncarnation]) -> tuple[bool, int]:
        change = state.current(item[0], place)
        return change is not None and change.version > 0, item[1].creation_ms

    return max(known.items(), key=rank)[1]


def _accept(home: Path | None, asked: Asked, meaning: str) -> None:
    """Let what enough approvers signed count here while the chain can't be reached."""
    given = read_inputs(asked, meaning)
    check_signed(asked.inputs, given)
    client = open_client(home)
    try:
        stored = client.gate.accept_emergency(given, client.recorder)
        bring_in(client)
    finally:
        client.close()
    document = stored.emergency.document
    if asked.as_json:
        print_json({"ok": True, "return": to_hex(document.id), "state": stored.state.value})
        return
    console().print(
        f"[green]accepted[/] {safe(_wish(document))}: whoever sets it in MLflow passes the gate. "
        "It is recorded, flagged, and goes to the chain when that answers (a relay does it)."
    )


def _write_offline(
    home: Path | None,
    name: str,
    target: str,
    asked: Asked,
    meaning: str,
    version: int | None,
    open_for: str,
) -> None:
    """Write a document from what was last seen of the chain."""
    if asked.out is None:
        raise click.UsageError("--offline without --in writes a file to be signed: give --out FILE")
    client = open_client(home)
    try:
        document = write_from_snapshot(
            client,
            name,
            Target.parse(target),
            is_removal=meaning == "removal",
            version=version,
            open_for_s=parse_duration(open_for),
        )
        request = request_return(document)
        signer = asked.open_key(client.home)
        if signer is not None:
            (request,) = gather(asked, request, (), signer, client.salt, {})
    finally:
        client.close()
    _write(asked, request)


def _write(asked: Asked, statement: SignedStatement) -> None:
    if asked.out is None:
        raise InvalidInput("expected --out FILE")
    write_statement(asked.out, statement)
    tell_written(asked, statement)


def _tell(
    asked: Asked, document: ReturnDocument, statements: list[SignedStatement], sent: str | None
) -> None:
    signers = [to_hex(one.signer) for one in statements if one.signer is not None]
    if asked.as_json:
        print_json(
            {
                "ok": True,
                "return": to_hex(document.id),
                "model": show_model(document.model),
                "target": str(document.target),
                "version": document.version or None,
                "signers": signers,
                "transaction": sent,
            }
        )
        return
    out = console()
    out.print(
        f"[green]done[/] {safe(_wish(document))}, signed by {counted(len(signers), 'approver')}",
        soft_wrap=True,
    )
    out.print("next  a relay sets it in MLflow within seconds; without one: mlops-chain sync")


def _wish(document: ReturnDocument) -> str:
    back = f"version {document.version}" if document.version else "no version"
    return f"{document.target} of {show_model(document.model)} has {back}"
