"""A stored transaction as commands show it: for people, and as JSON."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from chain_client.cli.output import console, print_rows, safe
from chain_client.transactions import Attempt, StoredTransaction, TransactionStatus
from chain_client.types import Address, to_hex

_GWEI = 10**9
_HASH = re.compile(r"\b(0x[0-9a-f]{4})[0-9a-f]{32,56}([0-9a-f]{4})\b")
_HEADINGS = ("id", "status", "key", "nonce", "age", "gwei", "tries", "for")
_COLOURS = {
    TransactionStatus.FINALIZED: "green",
    TransactionStatus.INCLUDED: "cyan",
    TransactionStatus.REVERTED: "bold red",
    TransactionStatus.REPLACED: "bold red",
}
WAITING = frozenset({TransactionStatus.SIGNED, TransactionStatus.BROADCAST})
"""No block holds it."""


def _to_row(row: StoredTransaction, names: Mapping[Address, str]) -> tuple[str, ...]:
    """One line of a list, under `_HEADINGS`; ``names``: of keys that are known."""
    return (
        f"[bold]{row.id}[/]",
        _status(row),
        safe(_key(row, names)),
        str(row.nonce),
        _age(row.created_us),
        _short_gwei(row.max_fee_wei),
        str(row.attempts),
        _purpose(row.purpose),
    )


def _purpose(purpose: str) -> str:
    """Short enough for a line: ``anchor:0xe22d…471a:207``; ``show`` gives it whole."""
    return _HASH.sub(r"\1…\2", purpose)


def _status(row: StoredTransaction) -> str:
    words = str(row.status.value)
    if row.is_cancel and row.status in WAITING:
        words = "cancelling"
    elif row.is_cancel and row.status is TransactionStatus.INCLUDED:
        words = "cancelled, not final"
    elif row.failed and row.status is TransactionStatus.INCLUDED:
        words = "failed, not final"
    return f"[{_COLOURS.get(row.status, 'yellow')}]{words}[/]"


def print_whole(
    row: StoredTransaction, attempts: Sequence[Attempt], names: Mapping[Address, str]
) -> None:
    """Print all that is known of one."""
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
        used = "" if row.gas_used is None else f", {row.gas_used:,} gas used"
        rows.append(("receipt", f"{how} in block {row.block_number}{used}"))
        if row.block_hash is not None:
            rows.append(("block hash", to_hex(row.block_hash)))
    console().print("[bold]status[/]  " + _status(row))
    print_rows((f"[bold]{title}[/]", text) for title, text in rows)
    out = console()
    out.print("[bold]signed at this nonce[/]")
    for attempt in attempts:
        out.print(
            f"  {_time(attempt.created_us)}  {attempt.kind.value}  "
            f"{_gwei(attempt.max_fee_wei)} gwei, tip {_gwei(attempt.max_priority_fee_wei)}"
        )
        out.print("    " + to_hex(attempt.tx_hash), soft_wrap=True)


def print_list(rows: Iterable[StoredTransaction], names: Mapping[Address, str]) -> None:
    """Print one line for each."""
    headings = tuple(f"[dim]{heading}[/]" for heading in _HEADINGS[:-1]) + _HEADINGS[-1:]
    print_rows([headings, *(_to_row(row, names) for row in rows)])


def to_json(row: StoredTransaction, names: Mapping[Address, str]) -> dict[str, Any]:
    """The same for programs."""
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


def attempt_to_json(attempt: Attempt, row: StoredTransaction) -> dict[str, Any]:
    """One attempt at the nonce of ``row``."""
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


def _short_gwei(wei: int) -> str:
    """Of at most seven characters: four digits that count.

    >>> _short_gwei(3_000_000_014), _short_gwei(1), _short_gwei(0)
    ('3', '1e-09', '0')
    """
    return f"{wei / _GWEI:.4g}"


def _age(time_us: int) -> str:
    seconds = max(0, round(time.time() - time_us / 1e6))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _time(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
