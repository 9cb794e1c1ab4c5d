"""``mlops-chain approvals``: an approver's inbox."""

from __future__ import annotations

from pathlib import Path

import click

from chain_client.cli.governance import governing, to_address
from chain_client.cli.model.shown_checks import checks_json, checks_rows, find_obstacle
from chain_client.cli.model.waiting import wish_of
from chain_client.cli.output import console, counted, json_option, print_json, print_rows, safe
from chain_client.cli.signing_key import PasswordSource, key_options, open_key
from chain_client.registry.proposals import short_id
from chain_client.registry.users import named, to_names
from chain_client.types import Address, to_hex


@click.command()
@click.option("--mine", is_flag=True, help="Only what waits for me: give --key or --address too.")
@key_options("Whose inbox it is, by their key.")
@click.option("--address", "who", metavar="WHO", help="Whose inbox it is: a user or an address.")
@json_option
@click.pass_obj
def approvals(
    home: Path | None,
    mine: bool,
    key_uri: str | None,
    password_file: Path | None,
    password_variable: str | None,
    who: str | None,
    as_json: bool,
) -> None:
    """List what waits for approval: for everybody, or for one approver, the most urgent first.

    \b
    Examples:
      mlops-chain approvals --mine --key ~/keys/bob.json
      mlops-chain approvals --mine --address bob
      mlops-chain approvals
    """
    if key_uri is not None and who is not None:
        raise click.UsageError("give --key or --address, not both")
    if mine and key_uri is None and who is None:
        raise click.UsageError("--mine needs --key or --address, to know who you are")
    with governing(home) as client:
        registry = client.registry
        users = registry.users()
        approver: Address | None = None
        if key_uri is not None:
            source = PasswordSource(password_file, password_variable)
            approver = open_key(key_uri, client.home, source).address()
        elif who is not None:
            approver = to_address(who, users)
        waiting = registry.waiting() if approver is None else registry.inbox(approver)
        found = [
            (document, standing, find_obstacle(registry, document))
            for document, standing in waiting
        ]
        names = to_names(users)
    if as_json:
        print_json(
            {
                "ok": True,
                "approver": None if approver is None else to_hex(approver),
                "waiting": [
                    {
                        "model": document.names.model.name,
                        "workspace": document.names.model.workspace,
                        "version": document.version,
                        "target": str(document.names.target),
                        "requester": to_hex(document.fields.requester),
                        "requester_name": document.names.requester or None,
                        "deadline_s": document.fields.deadline_s,
                        "summary": document.summary,
                        "checks": checks_json(document, obstacle),
                        **standing.to_json(),
                    }
                    for document, standing, obstacle in found
                ],
            }
        )
        return
    out = console()
    if not found:
        whom = "" if approver is None else f" for {named(approver, names)}"
        out.print(f"nothing waits{safe(whom)}", soft_wrap=True)
        return
    for document, standing, obstacle in found:
        out.print(f"[bold]{short_id(document.id)}[/]  {safe(wish_of(document))}", soft_wrap=True)
        requester = named(document.fields.requester, names)
        checks = checks_rows(checks_json(document, obstacle), "  ")
        print_rows([("  asked by", requester), ("  stands", standing.text), *checks])
    waits = counted(len(found), "proposal waits", "proposals wait")
    out.print(f"{waits}; mlops-chain model approve ID --key … signs one")
