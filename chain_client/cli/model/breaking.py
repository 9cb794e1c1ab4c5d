"""``mlops-chain model break-glass`` and ``revoke``: a breaker acts at once, flagged for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from chain_client.cli.governance import governing, timeout_option
from chain_client.cli.model.deciding import find_document
from chain_client.cli.model.proposing import teller
from chain_client.cli.model.statements import show_document, with_options
from chain_client.cli.model.waiting import tell_standing
from chain_client.cli.output import account_name, console, json_option, print_json, safe
from chain_client.cli.signing_key import PasswordSource, key_options, open_key
from chain_client.events import Actor
from chain_client.governing.proposing import Wish, write
from chain_client.governing.revoking import find_registered
from chain_client.registry.targets import Target
from chain_client.registry.users import named, to_names
from chain_client.shown_text import escape_unprintable, quote_word
from chain_client.types import to_hex

_options = with_options(
    click.option("--reason", required=True, help="Why; kept in the log for ever."),
    key_options("The breaker's key: keystore:FILE, or the file."),
    click.option("--yes", is_flag=True, help="Don't ask."),
    json_option,
    click.pass_obj,
)


@click.command("break-glass")
@click.argument("name", required=False)
@click.argument("version", type=click.IntRange(min=1), required=False)
@click.option("--target", metavar="TARGET", help="@champion, alias:champion, stage:Production.")
@click.option("--proposal", metavar="ID", help="An open proposal, instead of NAME and VERSION.")
@click.option("--tracking-uri", help="Look for the model in this database only.")
@timeout_option
@_options
def break_glass(
    home: Path | None,
    name: str | None,
    version: int | None,
    target: str | None,
    proposal: str | None,
    tracking_uri: str | None,
    timeout_s: float,
    reason: str,
    key_uri: str | None,
    password_file: Path | None,
    password_variable: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Make VERSION of the model NAME current without a quorum. It is flagged for ever.

    The files are attested and the version is registered as by propose. Only a breaker can; the
    own key sends it.

    \b
    Examples:
      mlops-chain model break-glass fraud 7 --target @champion --reason "7 stops the losses" \\
          --key ~/keys/dora.json
      mlops-chain model break-glass --proposal 3f9a1c --reason "no approver awake" --key …
    """
    _check(reason, key_uri, yes, as_json)
    if (proposal is None) != (None not in (name, version, target)):
        raise click.UsageError("give NAME, VERSION and --target, or --proposal ID")
    with governing(home) as client:
        registry = client.registry
        signer = open_key(
            key_uri or "", client.home, PasswordSource(password_file, password_variable)
        )
        if proposal is not None:
            document = find_document(client, proposal)
            registry.check_document(document)
        else:
            wish = Wish(
                name or "",
                version or 0,
                Target.parse(target or ""),
                tracking_uri=tracking_uri,
                again=True,
                breaks_glass=True,
            )
            tell = teller(shown=not as_json)
            actor = Actor(claimed=account_name())
            document = write(client, wish, signer.address(), timeout_s, tell, actor=actor)
        if not as_json:
            show_document(document)
        if not yes:
            who = named(signer.address(), to_names(registry.users()))
            click.confirm(f"Break the glass as {who}, flagged for ever?", abort=True, err=True)
        done = registry.break_glass(document, reason, signer=signer)
        standing = registry.standing(document)
    if as_json:
        transaction = None if done.tx_hash is None else to_hex(done.tx_hash)
        print_json({"ok": True, "transaction": transaction, **standing.to_json()})
    else:
        tell_standing(document, standing)


@click.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@_options
def revoke(
    home: Path | None,
    name: str,
    version: int,
    reason: str,
    key_uri: str | None,
    password_file: Path | None,
    password_variable: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Bar VERSION of the model NAME for ever: it can't be promoted, and verified load refuses it.

    Where it is current it stays so: a rollback or a removal goes back at once. Only a breaker can;
    the own key sends it.

    \b
    Example:
      mlops-chain model revoke fraud 6 --reason "trained on leaked data" --key ~/keys/dora.json
    """
    _check(reason, key_uri, yes, as_json)
    with governing(home) as client:
        registry = client.registry
        model = find_registered(client, name, version)
        signer = open_key(
            key_uri or "", client.home, PasswordSource(password_file, password_variable)
        )
        if not yes:
            who = named(signer.address(), to_names(registry.users()))
            shown = escape_unprintable(name)
            question = f"Revoke version {version} of {shown} as {who}, for ever?"
            click.confirm(question, abort=True, err=True)
        done = registry.revoke_version(model, version, reason, signer=signer)
        state = registry.state()
        lookup = registry.lookup(state)
        current = [
            lookup.show_target(change.target)
            for change in state.currents()
            if (change.model, change.version) == (model, version)
        ]
    if as_json:
        transaction = None if done.tx_hash is None else to_hex(done.tx_hash)
        found: dict[str, Any] = {"model": name, "version": version, "still_current": current}
        print_json({"ok": True, "transaction": transaction, **found})
        return
    console().print(f"[green]revoked[/] version {version} of {safe(name)}", soft_wrap=True)
    for place in current:
        console().print(
            f"[yellow]it is still current[/] for {safe(place)}: go back with\n"
            f"  mlops-chain model rollback {safe(quote_word(name))} --target {safe(place)}",
            soft_wrap=True,
        )


def _check(reason: str, key_uri: str | None, yes: bool, as_json: bool) -> None:
    if not reason.strip():
        raise click.UsageError("--reason is empty")
    if key_uri is None:
        raise click.UsageError("give the breaker's --key: nobody else can do this")
    if as_json and not yes:
        raise click.UsageError("--json asks nothing: give --yes too")
