"""``mlops-chain tx``: what was sent to the chain, and what still waits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from chain_client.cli.output import console, json_option, open_client, print_json, settings_of
from chain_client.cli.owned_key import key_names, owning_key_of
from chain_client.cli.shown_transaction import (
    WAITING,
    attempt_to_json,
    print_list,
    print_whole,
    to_json,
)
from chain_client.cli.signing_key import PasswordSource, key_options
from chain_client.home import Home
from chain_client.log import Log
from chain_client.transactions import (
    StoredTransaction,
    get_transaction,
    list_attempts,
    list_transactions,
)
from chain_client.types import Address

_key_options = key_options("The key that signed it; by default the home's key of that address.")


@click.group()
def tx() -> None:
    """Look at transactions, send one again, cancel one that no block takes.

    \b
    Examples:
      mlops-chain tx list
      mlops-chain tx show 7
      mlops-chain tx retry 7 --raise-fees
      mlops-chain tx cancel 7
    """


@tx.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that are settled for good.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Most.")
@json_option
@click.pass_obj
def list_all(home: Path | None, everything: bool, limit: int, as_json: bool) -> None:
    """List the transactions of all keys that are not final yet, the newest first.

    \b
    Examples:
      mlops-chain tx list
      mlops-chain tx list --all --limit 20
    """
    with _opened_log(home) as (log, names):
        found = list_transactions(log.engine, open_only=not everything, limit=limit)
        has_any = bool(found or list_transactions(log.engine, open_only=False, limit=1))
    if as_json:
        print_json({"ok": True, "transactions": [to_json(row, names) for row in found]})
    elif not found:
        console().print(
            "all transactions are final" if has_any else "no transaction is stored in this log yet"
        )
    else:
        print_list(found, names)


@tx.command()
@click.argument("tx_id", metavar="ID", type=int)
@json_option
@click.pass_obj
def show(home: Path | None, tx_id: int, as_json: bool) -> None:
    """Show one transaction: what is known of it, and everything that was signed at its nonce.

    \b
    Example:
      mlops-chain tx show 7
    """
    with _opened_log(home) as (log, names):
        row = get_transaction(log.engine, tx_id)
        attempts = list_attempts(log.engine, tx_id)
    if as_json:
        print_json(
            {
                "ok": True,
                **to_json(row, names),
                "signed": [attempt_to_json(attempt, row) for attempt in attempts],
            }
        )
    else:
        print_whole(row, attempts, names)


@tx.command()
@click.argument("tx_id", metavar="ID", type=int)
@click.option("--raise-fees", is_flag=True, help="Replace it by one that offers more, now.")
@_key_options
@json_option
@click.pass_obj
def retry(
    home: Path | None,
    tx_id: int,
    raise_fees: bool,
    key_uri: str | None,
    password_file: Path | None,
    password_variable: str | None,
    as_json: bool,
) -> None:
    """Look at a transaction now, and hand it to the chain again if no block holds it.

    The relay does so by itself; this is for keys that no relay works with, and for chains in
    trouble. It is refused while a relay works with the key.

    \b
    Examples:
      mlops-chain tx retry 7
      mlops-chain tx retry 7 --raise-fees
    """
    client = open_client(home)
    try:
        row = get_transaction(client.log.engine, tx_id)
        source = PasswordSource(password_file, password_variable)
        with owning_key_of(client, row, key_uri, source) as queue:
            now = queue.retry(tx_id, raise_fees=raise_fees)
        names = key_names(client.folder)
    finally:
        client.close()
    _print_done(now, names, as_json=as_json)


@tx.command()
@click.argument("tx_id", metavar="ID", type=int)
@click.option("--yes", is_flag=True, help="Don't ask.")
@_key_options
@json_option
@click.pass_obj
def cancel(
    home: Path | None,
    tx_id: int,
    yes: bool,
    key_uri: str | None,
    password_file: Path | None,
    password_variable: str | None,
    as_json: bool,
) -> None:
    """Let a transfer of nothing take the nonce of a transaction that no block holds.

    Whichever of the two a block takes first settles it. What an anchor was for is done again by
    the relay; any other command has to be given again. It is refused while a relay works with the
    key.

    \b
    Example:
      mlops-chain tx cancel 7
    """
    if as_json and not yes:
        raise click.UsageError("--json asks nothing: give --yes too")
    client = open_client(home)
    try:
        row = get_transaction(client.log.engine, tx_id)
        source = PasswordSource(password_file, password_variable)
        if row.status in WAITING and not yes:
            print_list([row], key_names(client.folder))
            click.confirm("Cancel it?", abort=True)
        with owning_key_of(client, row, key_uri, source) as queue:
            now = queue.cancel(tx_id)
        names = key_names(client.folder)
    finally:
        client.close()
    _print_done(now, names, as_json=as_json)


@contextlib.contextmanager
def _opened_log(home: Path | None) -> Iterator[tuple[Log, dict[Address, str]]]:
    """The log that keeps them, also of a home whose deployment is not finished; and its keys."""
    settings = settings_of(home)
    folder = Home(settings.home)
    begun = folder.deploying_file.exists() and not folder.exists()
    client = None if begun else open_client(home)
    log = Log(settings.resolve_url(settings.log_url)) if client is None else client.log
    try:
        log.check_schema()
        yield log, key_names(folder)
    finally:
        log.close()
        if client is not None:
            client.close()


def _print_done(row: StoredTransaction, names: Mapping[Address, str], *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": True, **to_json(row, names)})
    else:
        print_list([row], names)
