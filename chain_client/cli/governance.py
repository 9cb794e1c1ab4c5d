"""What the commands of governance have in common: the home's registry, names and addresses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from chain_client.cli.output import open_client
from chain_client.client import ChainClient
from chain_client.errors import InvalidInput
from chain_client.governing.logged import bring_in
from chain_client.registry.client import AdminResult, Noted, Scheduled
from chain_client.registry.users import resolve_address
from chain_client.signing.keccak import keccak256
from chain_client.types import Address, to_hex

TIMEOUT_S = 60.0
"""How long chain and log are waited for by default."""

timeout_option = click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0),
    default=TIMEOUT_S,
    show_default=True,
    help="Seconds to wait for chain and log.",
)


@contextlib.contextmanager
def governing(home: Path | None) -> Iterator[ChainClient]:
    """A home with a registry, which is made if the home is of an earlier version.

    What was recorded meanwhile stands in the log afterwards, unless another relay is to bring it
    there.

    Raises:
        HomeMissing: there is no home.
        ConfigurationError: the registry's salt or keys are missing.
        Unavailable: chain or log do not answer.
    """
    client = open_client(home)
    try:
        client.provide_registry()
        yield client
        if client.recorder.source_id is not None:
            bring_in(client)
    finally:
        client.close()


def to_address(text: str, bound: Mapping[str, Address]) -> Address:
    """The address that a person gave: in hex, or a bound user's name.

    Raises:
        InvalidInput: no such name, other than 20 bytes, zero, or a spelling in capital and small
            letters that is not the address's own (EIP-55), so that it was probably mistyped.
    """
    found = resolve_address(text, bound)
    if not any(found):
        raise InvalidInput("the zero address is nobody's; expected the address of a person's key")
    digits = text.removeprefix("0x")
    is_mixed = text.startswith("0x") and digits not in (digits.lower(), digits.upper())
    if is_mixed and to_checksum(found) != text:
        raise InvalidInput(
            f"{text} is mistyped: its capital letters don't fit its digits (EIP-55); copy it again"
        )
    return found


def to_checksum(address: Address) -> str:
    """An address in the spelling that shows a mistyped one (EIP-55)."""
    digits = address.hex()
    marks = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(mark, 16) > 7 else digit for digit, mark in zip(digits, marks)
    )


def to_day(time_s: float) -> str:
    """A time to the minute, in UTC."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def admin_result(result: AdminResult, done: str, already: str) -> tuple[str, str]:
    """What became of an admin's wish, as the first word and the rest of a line.

    Args:
        result: what the registry said.
        done: what is so now.
        already: the same, where nothing had to be done.
    """
    if isinstance(result, Scheduled):
        return "[yellow]scheduled[/]", (
            f"{done}: waits in the timelock until {to_day(result.ready_at_s)}; give the same "
            "command again then, and it is carried out"
        )
    if isinstance(result, Noted):
        return "[green]noted[/]", f"{done}; signed, in the log"
    if result.tx_hash is None:
        return "already so", already
    return "[green]done[/]", done


def admin_json(result: AdminResult) -> dict[str, str | int | None]:
    """The same for programs."""
    if isinstance(result, Scheduled):
        return {
            "state": "scheduled",
            "operation": to_hex(result.operation_id),
            "ready_at_s": result.ready_at_s,
        }
    if isinstance(result, Noted):
        return {"state": "noted", "transaction": None}
    if result.tx_hash is None:
        return {"state": "already", "transaction": None}
    return {"state": "done", "transaction": to_hex(result.tx_hash)}
