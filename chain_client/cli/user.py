"""``mlops-chain user``."""

from __future__ import annotations

from pathlib import Path

import click

from chain_client.cli.governance import governing, timeout_option, to_address
from chain_client.cli.output import console, json_option, print_json, print_rows
from chain_client.cli.signing_key import PasswordSource, key_options, open_key
from chain_client.governing.logged import wait_until_logged
from chain_client.home import OWNER_KEY
from chain_client.registry.users import bind as note_binding
from chain_client.registry.users import bindings
from chain_client.types import to_hex


@click.group()
def user() -> None:
    """Say which address belongs to which user.

    Refusals, inboxes and the history then speak of bob and not of 0x5e1f…, and a policy file may
    name its approvers.

    \b
    Examples:
      mlops-chain user bind bob 0x507e1dd15d15e219e402f6eb30bddafbe5c1e104
      mlops-chain user list
    """


@user.command("bind")
@click.argument("name")
@click.argument("address", required=False)
@click.option("--remove", is_flag=True, help="The name stands for no address any more.")
@key_options("The key that signs; it must be the deployment owner's.", default=OWNER_KEY)
@timeout_option
@json_option
@click.pass_obj
def bind(
    home: Path | None,
    name: str,
    address: str | None,
    remove: bool,
    key_uri: str,
    password_file: Path | None,
    password_variable: str | None,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Bind the user NAME, as MLflow authenticates them, to the ADDRESS of their key.

    The owner's key signs it, and it is recorded. A later binding of the same name replaces it. It
    gives no rights: `role grant` does.

    \b
    Examples:
      mlops-chain user bind bob 0x507e1dd15d15e219e402f6eb30bddafbe5c1e104
      mlops-chain user bind bob --remove
    """
    if (address is None) != remove:
        raise click.UsageError("give the ADDRESS, or --remove")
    with governing(home) as client:
        known = bindings(client.log, client.deployment)
        known.check_known(name)
        wanted = None if address is None else to_address(address, known)
        if remove and name not in known:
            bound = ", ".join(known) or "none"
            raise click.UsageError(f"no address is bound to {name!r} (bound: {bound})")
        if known.get(name) != wanted:
            source = PasswordSource(password_file, password_variable)
            signer = open_key(key_uri, client.home, source)
            note_binding(client.recorder, client.deployment, signer, name, wanted)

            def is_bound() -> bool | None:
                return bindings(client.log, client.deployment).get(name) == wanted or None

            wait_until_logged(client, is_bound, timeout_s=timeout_s)
    shown = None if wanted is None else to_hex(wanted)
    if as_json:
        print_json({"ok": True, "user": name, "address": shown})
    else:
        print_rows([("[green]bound[/]" if shown else "[green]removed[/]", f"{name} {shown or ''}")])


@user.command("list")
@json_option
@click.pass_obj
def list_users(home: Path | None, as_json: bool) -> None:
    """List the users that are bound to an address.

    \b
    Example:
      mlops-chain user list
    """
    with governing(home) as client:
        found = bindings(client.log, client.deployment)
    if as_json:
        users = [{"user": name, "address": to_hex(found[name])} for name in found]
        print_json({"ok": True, "users": users})
    elif not found:
        console().print("no user is bound to an address: mlops-chain user bind NAME ADDRESS")
    else:
        print_rows((to_hex(address), name) for name, address in found.items())
