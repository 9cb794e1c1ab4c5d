"""``mlops-chain key``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from chain_client.cli.output import (
    console,
    json_option,
    print_error,
    print_json,
    print_note,
    print_rows,
    safe,
    settings_of,
)
from chain_client.cli.signing_key import (
    PasswordSource,
    keystore_path,
    names_no_file,
    new_password,
    open_key,
    password_options,
)
from chain_client.client import no_home
from chain_client.errors import ChainError, ConfigurationError, HomeMissing
from chain_client.home import Home
from chain_client.shown_uri import refuse_key
from chain_client.signing import create_keystore
from chain_client.types import from_hex, to_hex

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PURPOSES = {
    "owner": "administers the contracts, explains findings",
    "log-writer": "anchors heads; the relay's key",
    "registrar": "registers versions that are proposed",
    "submitter": "sends what others signed; decides nothing",
}
_WARNING = (
    "whoever runs this home can sign with this key. An approver's key never belongs here: make it "
    "on the approver's own machine with `mlops-chain key new --file FILE`"
)


@click.group()
def key() -> None:
    """Make keys, and show their addresses.

    A key is an encrypted file (a keystore of version 3), which every Ethereum wallet can read.

    \b
    Examples:
      mlops-chain key new --file ~/keys/bob.json      an approver, on their own machine
      mlops-chain key address ~/keys/bob.json         the address to be made an approver
      mlops-chain key new ci                          a key of the home, for a job
    """


@key.command("new")
@click.argument("name", required=False)
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Make it in this file, outside the home.",
)
@password_options
@json_option
@click.pass_obj
def new(
    home: Path | None,
    name: str | None,
    file: Path | None,
    password_file: Path | None,
    password_variable: str | None,
    as_json: bool,
) -> None:
    """Make a new key: NAME in the home's folder keys, or a --file anywhere.

    A file that exists is never replaced. With --file a password is asked for, twice, unless one is
    named. A key of the home gets a random password, which lies beside it, unless one is named.

    \b
    Examples:
      mlops-chain key new --file ~/keys/bob.json
      mlops-chain key new ci
      PW=… mlops-chain key new ci --password-env PW
    """
    if (name is None) == (file is None):
        raise click.UsageError("give the NAME of a key of the home, or --file FILE for one outside")
    if name is not None:
        path = _home_keys(home) / f"{_checked(name)}.json"
        uri = f"keystore:keys/{path.name}"
    else:
        assert file is not None
        path = file.expanduser().absolute()
        uri = f"keystore:{path}"
    if path.exists():
        raise ConfigurationError(
            f"the keystore {path} exists already; it is not replaced: use it, or choose another "
            "name"
        )
    source = PasswordSource(password_file, password_variable)
    address = create_keystore(path, password=new_password(source, ask=file is not None))
    if as_json:
        print_json({"ok": True, "uri": uri, "file": str(path), "address": to_hex(address)})
    else:
        print_rows(
            [
                ("[green]made[/]", str(path)),
                ("address", to_hex(address)),
                ("use it as", f"--key {uri}"),
            ]
        )
        console().print("Keep a copy of the file and its password: nobody can restore them.")
    if path.is_relative_to(settings_of(home).home):
        print_note(_WARNING)


@key.command("list")
@json_option
@click.pass_obj
def list_keys(home: Path | None, as_json: bool) -> None:
    """List the keys of the home with their addresses; nothing is unlocked.

    \b
    Example:
      mlops-chain key list
    """
    folder = _home_keys(home)
    found: list[dict[str, str]] = []
    damaged: list[str] = []
    for path in sorted(folder.glob("*.json")):
        try:
            address = stated_address(path)
        except ChainError as exc:
            damaged.append(str(exc))
            continue
        purpose = _PURPOSES.get(path.stem, "")
        found.append({"uri": f"keystore:keys/{path.name}", "address": address, "purpose": purpose})
    if as_json:
        print_json({"ok": not damaged, "keys": found, "damaged": damaged})
    else:
        for one in found:
            print_rows([(f"[bold]{safe(one['uri'])}[/]", one["purpose"])])
            print_rows([("  " + one["address"], "")])
    for text in damaged:
        print_error(text)
    if damaged:
        raise click.exceptions.Exit(1)


@key.command("address")
@click.argument("key_name", metavar="KEY")
@click.option("--check", is_flag=True, help="Unlock it, and see that it is the key it says.")
@password_options
@json_option
@click.pass_obj
def address(
    home: Path | None,
    key_name: str,
    check: bool,
    password_file: Path | None,
    password_variable: str | None,
    as_json: bool,
) -> None:
    """Print the address of a key: a file, its URI, or the name of a key of the home.

    \b
    Examples:
      mlops-chain key address ~/keys/bob.json
      mlops-chain key address owner
    """
    folder = settings_of(home).home
    named = folder / "keys" / f"{key_name}.json"
    source = PasswordSource(password_file, password_variable)
    path = None
    if not named.is_file() and names_no_file(key_name):
        found, check = to_hex(open_key(key_name, folder, source).address()), True
    else:
        path = named if named.is_file() else keystore_path(key_name, folder)
        if check or source != PasswordSource():
            found, check = to_hex(open_key(f"keystore:{path}", None, source).address()), True
        else:
            found = stated_address(path)
    if as_json:
        file = None if path is None else str(path)
        print_json({"ok": True, "file": file, "address": found, "checked": check})
    else:
        click.echo(found)


def _home_keys(home: Path | None) -> Path:
    settings = settings_of(home)
    folder = Home(settings.home)
    if not folder.exists():
        raise HomeMissing(
            f"{no_home(settings)}, name it with --home or MLOPS_CHAIN_HOME, or make a key outside "
            "with --file"
        )
    return folder.keys


def _checked(name: str) -> str:
    refuse_key(name)
    stem = name.removesuffix(".json")
    if not _NAME.fullmatch(stem):
        raise click.UsageError(
            f"{name!r} can't name a key of the home: expected letters, digits, dots, dashes and "
            "underscores; for a file elsewhere give --file FILE"
        )
    return stem


def stated_address(path: Path) -> str:
    """The address that a keystore says it has; unlocking checks it."""
    try:
        document = json.loads(path.read_text("utf-8"))
        stated = document["address"]
        return to_hex(from_hex(stated, size=20))
    except OSError as exc:
        raise ConfigurationError(f"the keystore {path} can't be read: {exc.strerror}") from exc
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise ConfigurationError(
            f"{path} is no keystore that says its address: use --check, or put it back from your "
            "backup"
        ) from exc
