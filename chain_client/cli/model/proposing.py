"""``mlops-chain model propose``: attest the files, register the version, ask for its promotion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from chain_client.cli.governance import governing, timeout_option, to_address
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
from chain_client.cli.output import account_name, console, json_option, print_json, safe
from chain_client.cli.statement_file import write_statement
from chain_client.client import ChainClient
from chain_client.events import Actor
from chain_client.governing.attesting import Tell
from chain_client.governing.proposing import Wish, write
from chain_client.registry.durations import parse_duration, show_time
from chain_client.registry.evidence import EvidenceItem
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.statements import SignedStatement, request_authorship
from chain_client.registry.targets import Target
from chain_client.types import to_hex

_options = with_options(
    click.option("--target", metavar="TARGET", help="@champion, alias:champion, stage:Production."),
    click.option(
        "--evidence",
        multiple=True,
        metavar="KIND:LEAF",
        help="Evidence: a leaf of the log (evaluation:1234), or a digest (model_card:0x…); may be "
        "given several times.",
    ),
    click.option("--open-for", metavar="DURATION", help="Such as 24h; default: the policy's."),
    click.option("--supersedes", metavar="ID", help="A closed proposal that it takes up again."),
    click.option("--requester", metavar="WHO", help="Who is to sign the file of --out."),
    click.option("--again", is_flag=True, help="Propose although it is proposed already."),
    click.option("--tracking-uri", help="Look for the model in this database only."),
    statement_options("The requester's key: keystore:FILE, or the file."),
    wait_option("promoted"),
    timeout_option,
    json_option,
    click.pass_obj,
)


@click.command()
@click.argument("name", required=False)
@click.argument("version", type=click.IntRange(min=1), required=False)
@_options
def propose(
    home: Path | None,
    name: str | None,
    version: int | None,
    target: str | None,
    evidence: tuple[str, ...],
    open_for: str | None,
    supersedes: str | None,
    requester: str | None,
    again: bool,
    tracking_uri: str | None,
    wait: bool,
    timeout_s: float,
    **options: Any,
) -> None:
    """Ask that VERSION of the model NAME becomes current for a target.

    Every file of the version is read and its digest recorded, the version is registered on chain
    with the home's registrar key, and the requester signs a readable text. From then on nobody can
    change the files through a server.

    \b
    Examples:
      mlops-chain model propose fraud 7 --target @champion --key ~/keys/ada.json
      mlops-chain model propose fraud 7 --target stage:Production --out ask.json --requester ada
      mlops-chain model propose --in ask.json --signature 0x…
    """
    asked = asked_of(options)
    if asked.offline:
        sign_offline(home, asked, "authorship")
        return
    wish = None
    if not asked.inputs:
        if name is None or version is None or target is None:
            raise click.UsageError("give NAME, VERSION and --target, or a file with --in")
        wish = Wish(
            name,
            version,
            Target.parse(target),
            tuple(EvidenceItem.parse(item.replace("=", ":", 1)) for item in evidence),
            None if open_for is None else parse_duration(open_for),
            supersedes,
            tracking_uri,
            requester,
            again,
        )
    elif name is not None:
        raise click.UsageError("give NAME and VERSION, or a file with --in, not both")
    with governing(home) as client:
        carry_out(client, asked, wish, timeout_s, wait=wait)


def carry_out(
    client: ChainClient, asked: Asked, wish: Wish | None, timeout_s: float, *, wait: bool
) -> None:
    """Propose what is wished, or what the file of ``--in`` holds, and say how it stands.

    Raises:
        ChainError: it can't be proposed; the text says why.
    """
    registry = client.registry
    signer = asked.open_key(client.home)
    given = read_inputs(asked, "authorship")
    tell = teller(shown=not asked.as_json)
    if wish is None:
        document = given[0].document
        assert isinstance(document, ProposalDocument)
    else:
        _check_asker(asked, wish)
        requester = (
            signer.address()
            if signer is not None
            else to_address(wish.requester or "", registry.users())
        )
        actor = Actor(claimed=account_name())
        document = write(client, wish, requester, timeout_s, tell, actor=actor)
    registry.check_document(document)
    request = request_authorship(document)
    if asked.out is not None and signer is None:
        _write(asked, request)
        return
    statement = gather(asked, request, given, signer, registry.salt, registry.users())[-1]
    if asked.out is not None:
        _write(asked, statement)
        return
    registry.propose(document, signed=statement)
    _tell(client, asked, document, timeout_s, wait=wait)


def _check_asker(asked: Asked, wish: Wish) -> None:
    if asked.key_uri is None and (asked.out is None or wish.requester is None):
        raise click.UsageError(
            "give the requester's --key, or --out FILE and --requester WHO to have it signed by a "
            "wallet"
        )
    if asked.key_uri is not None and wish.requester is not None:
        raise click.UsageError("the requester is whose --key it is: leave --requester out")


def _write(asked: Asked, statement: SignedStatement) -> None:
    assert asked.out is not None
    write_statement(asked.out, statement)
    tell_written(asked, statement)


def _tell(
    client: ChainClient, asked: Asked, document: ProposalDocument, timeout_s: float, *, wait: bool
) -> None:
    registry = client.registry
    standing = registry.standing(document)
    if not asked.as_json:
        console().print(f"[green]proposed[/] {to_hex(document.id)}", soft_wrap=True)
        tell_standing(document, standing)
        console().print(f"deadline  {show_time(document.fields.deadline_s)}")
    if wait:
        standing = wait_until(client, document, "promoted", timeout_s, shown=not asked.as_json)
        if not asked.as_json:
            tell_standing(document, standing)
    if asked.as_json:
        print_json({"ok": True, "deadline_s": document.fields.deadline_s, **standing.to_json()})


def teller(*, shown: bool) -> Tell:
    """Says on standard error what is being done, if shown."""
    error = Console(stderr=True, highlight=False)

    def tell(text: str) -> None:
        if shown:
            error.print(f"[dim]{safe(text)}[/]")

    return tell
