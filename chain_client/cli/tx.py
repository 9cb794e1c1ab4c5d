"""``mlops-chain tx``: what was sent to the chain, and what still waits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from chain_client.cli.output import (
    console,
    counted,
    json_option,
    open_client,
    print_json,
    print_rows,
    safe,
    shorten,
)
from chain_client.cli.owned_key import key_names, owning_key_of
from chain_client.cli.signing_key import PasswordSource, key_options
from chain_client.transactions import (
    Attempt,
    StoredTransaction,
    TransactionStatus,
    get_transaction,
    list_attempts,
    list_transactions,
)
from chain_client.types import Address, to_hex

_GWEI = 10**9
_COLOURS = {
    TransactionStatus.FINALIZED: "green",
    TransactionStatus.INCLUDED: "cyan",
    TransactionStatus.REVERTED: "bold red",
    TransactionStatus.REPLACED: "bold red",
}
_WAITING = frozenset({TransactionStatus.SIGNED, TransactionStatus.BROADCAST})
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
    client = open_client(home)
    try:
        found = list_transactions(client.log.engine, open_only=not everything, limit=limit)
        names = key_names(client)
    finally:
        client.close()
    if as_json:
        print_json({"ok": True, "transactions": [_to_json(row, names) for row in found]})
    elif not found:
        console().print("no transaction is stored" if everything else "all transactions are final")
    else:
        print_rows(_listed(row, names) for row in found)


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
    client = open_client(home)
    try:
        row = get_transaction(client.log.engine, tx_id)
        attempts = list_attempts(client.log.engine, tx_id)
        names = key_names(client)
    finally:
        client.close()
    if as_json:
        print_json(
            {
                "ok": True,
                **_to_json(row, names),
                "signed": [_attempt_json(attempt, row) for attempt in attempts],
            }
        )
    else:
        _print_whole(row, attempts, names)


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
        names = key_names(client)
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
        if row.status in _WAITING and not yes:
            print_rows([_listed(row, key_names(client))])
            click.confirm("Cancel it?", abort=True)
        with owning_key_of(client, row, key_uri, source) as queue:
            now = queue.cancel(tx_id)
        names = key_names(client)
    finally:
        client.close()
    _print_done(now, names, as_json=as_json)


def _print_done(row: StoredTransaction, names: Mapping[Address, str], *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": True, **_to_json(row, names)})
    else:
        print_rows([_listed(row, names)])


def _listed(row: StoredTransaction, names: Mapping[Address, str]) -> tuple[str, ...]:
    return (
        f"[bold]{row.id}[/]",
        _status(row),
        safe(_key(row, names)),
        f"nonce {row.nonce}",
        _age(row.created_us),
        f"{_gwei(row.max_fee_wei)} gwei",
        counted(row.attempts, "attempt"),
        shorten(row.purpose),
    )


def _status(row: StoredTransaction) -> str:
    words = str(row.status.value)
    if row.is_cancel and row.status in _WAITING:
        words = "cancelling"
    elif row.is_cancel and row.status is TransactionStatus.INCLUDED:
        words = "cancelled, not final"
    elif row.failed and row.status is TransactionStatus.INCLUDED:
        words = "failed, not final"
    return f"[{_COLOURS.get(row.status, 'yellow')}]{words}[/]"


def _print_whole(
    row: StoredTransaction, attempts: list[Attempt], names: Mapping[Address, str]
) -> None:
    name = names.get(row.sender)
    rows = [
        ("transaction", f"{row.id}, for {row.purpose}"),
        ("key", f"{name} ({to_hex(row.sender)})" if name else to_hex(row.sender)),
        ("nonce", str(row.nonce)),
        ("first signed", f"{_time(row.created_us)} ({_age(row.created_us)} ago)"),
        ("gas limit", f"{row.gas_limit:,}"),
    ]
    if row.block_number is not None:
        how = "failed" if row.failed else "succeeded"
        block = "" if row.block_hash is None else f" ({to_hex(row.block_hash)})"
        used = "" if row.gas_used is None else f", {row.gas_used:,} gas used"
        rows.append(("receipt", f"{how} in block {row.block_number}{block}{used}"))
    console().print("[bold]status[/]  " + _status(row))
    print_rows((f"[bold]{title}[/]", text) for title, text in rows)
    console().print("[bold]signed at this nonce[/]")
    print_rows(
        (
            "  " + _time(attempt.created_us),
            attempt.kind.value,
            f"{_gwei(attempt.max_fee_wei)} gwei, tip {_gwei(attempt.max_priority_fee_wei)}",
            to_hex(attempt.tx_hash),
        )
        for attempt in attempts
    )


def _to_json(row: StoredTransaction, names: Mapping[Address, str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "purpose": row.purpose,
        "status": row.status.value,
        "key": to_hex(row.sender),
        "key_name": names.get(row.sender),
        "nonce": row.nonce,
        "age_s": max(0, round(time.time() - row.created_us / 1e6)),
        "created_us": row.created_us,
        "transaction": to_hex(row.tx_hash),
        "attempts": row.attempts,
        "is_cancel": row.is_cancel,
        "gas_limit": row.gas_limit,
        "max_fee_wei": row.max_fee_wei,
        "max_priority_fee_wei": row.max_priority_fee_wei,
        "receipt": None
        if row.block_number is None
        else {
            "block_number": row.block_number,
            "block_hash": None if row.block_hash is None else to_hex(row.block_hash),
            "gas_used": row.gas_used,
            "succeeded": not row.failed,
        },
    }


def _attempt_json(attempt: Attempt, row: StoredTransaction) -> dict[str, Any]:
    return {
        "transaction": to_hex(attempt.tx_hash),
        "kind": attempt.kind.value,
        "max_fee_wei": attempt.max_fee_wei,
        "max_priority_fee_wei": attempt.max_priority_fee_wei,
        "created_us": attempt.created_us,
        "on_chain": row.block_number is not None and attempt.tx_hash == row.tx_hash,
    }


def _key(row: StoredTransaction, names: Mapping[Address, str]) -> str:
    return names.get(row.sender) or to_hex(row.sender)[:12] + "…"


def _gwei(wei: int) -> str:
    return f"{wei / _GWEI:.9f}".rstrip("0").rstrip(".")


def _age(time_us: int) -> str:
    seconds = max(0, round(time.time() - time_us / 1e6))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _time(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
