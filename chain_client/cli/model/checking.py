"""``mlops-chain model check``: carry the policy's checks out, and compare with a report."""

from __future__ import annotations

import click

from chain_client.cli.governance import governing
from chain_client.cli.model.proposing import teller
from chain_client.cli.output import console, json_option, print_json, print_rows, safe
from chain_client.governing.trying import Tried, try_checks
from chain_client.registry.proposals import short_id
from chain_client.registry.targets import Target
from chain_client.types import to_hex


@click.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@click.option("--target", metavar="TARGET", required=True, help="@champion, stage:Production …")
@click.option("--tracking-uri", help="Look for the model in this database only.")
@json_option
@click.pass_context
def check(
    context: click.Context,
    name: str,
    version: int,
    target: str,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Carry out the checks that VERSION of the model NAME has to pass for a target.

    Nothing is recorded or proposed. If that version is proposed, what the checks find now is
    compared with the report that its requester signed. Exit code 1 if a check blocks, or finds
    something else than the report says.

    \b
    Example:
      mlops-chain model check fraud 7 --target @champion
    """
    with governing(context.obj) as client:
        found = try_checks(
            client,
            name,
            version,
            Target.parse(target),
            tracking_uri=tracking_uri,
            tell=teller(shown=not as_json),
        )
    is_well = found.passed and not found.differences
    if as_json:
        print_json({"ok": is_well, **found.to_json()})
    else:
        _print(found)
    context.exit(0 if is_well else 1)


def _print(found: Tried) -> None:
    rows = []
    for result in found.results:
        state = "[red]blocks[/]" if result.blocking else "[green]passes[/]"
        if result.warnings and not result.blocking:
            state = "[yellow]warns[/]"
        rows.append((state, result.describe()))
        rows += [("", f"{one.level}: {one.text}") for one in result.findings]
    print_rows(rows)
    console().print(f"configuration {to_hex(found.applied.hash)}", soft_wrap=True)
    if found.proposal is None:
        console().print("the version is not proposed for that target now")
    elif found.uncompared and not found.differences:
        shown = short_id(found.proposal.id)
        console().print(f"[yellow]the report of proposal {shown} can't be compared here[/]")
    elif not found.differences:
        shown = short_id(found.proposal.id)
        console().print(f"the report of proposal {shown} says the same")
    else:
        console().print(f"[red]proposal {short_id(found.proposal.id)} is not what is found now[/]")
    for line in (*found.differences, *found.uncompared):
        console().print(f"  {safe(line)}", soft_wrap=True)
