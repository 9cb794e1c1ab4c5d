"""Ledgers: connections to EVM chains, and typed bindings of our contracts.

::

    embedded:<path>    a chain in a file, in this process (`chain_client.ledger.embedded`)
    https://…          any EVM chain, by one or more endpoints separated by commas; also http://
                       (`chain_client.ledger.jsonrpc`)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from chain_client.config import Settings
from chain_client.errors import ConfigurationError
from chain_client.ledger.base import (
    Block,
    BlockTag,
    Call,
    EventRecord,
    Fees,
    Ledger,
    Receipt,
)
from chain_client.ledger.embedded import EmbeddedLedger, create_embedded
from chain_client.ledger.expected import ExpectedChain
from chain_client.ledger.jsonrpc import Finality, JsonRpcLedger, parse_endpoints, parse_mode

__all__ = [
    "Block",
    "BlockTag",
    "Call",
    "EmbeddedLedger",
    "EventRecord",
    "ExpectedChain",
    "Fees",
    "JsonRpcLedger",
    "Ledger",
    "Receipt",
    "create_embedded",
    "open_ledger",
]


_Opener: TypeAlias = Callable[[Settings, ExpectedChain | None, float], Ledger]


def _open_embedded(settings: Settings, expected: ExpectedChain | None, timeout_s: float) -> Ledger:
    path = settings.resolve_url(settings.ledger_url).partition(":")[2]
    if settings.ledger_url == "embedded:":
        raise ConfigurationError("ledger.url 'embedded:' names no file; expected embedded:<file>")
    return EmbeddedLedger(Path(path), timeout_s=timeout_s)


def _open_jsonrpc(settings: Settings, expected: ExpectedChain | None, timeout_s: float) -> Ledger:
    addresses = parse_endpoints(settings.ledger_url, settings.ledger_headers)
    second_look = parse_mode(settings.ledger_second_look)
    if second_look == "endpoint" and len(addresses) == 1:
        raise ConfigurationError(
            "ledger.second_look is endpoint, but ledger.url names only one: add another one, or "
            "set it to auto or proof"
        )
    return JsonRpcLedger(
        addresses,
        expected=expected,
        timeout_s=timeout_s,
        finality=Finality.parse(settings.ledger_finality),
        second_look=second_look,
    )


_SCHEMES: dict[str, _Opener] = {
    "embedded": _open_embedded,
    "http": _open_jsonrpc,
    "https": _open_jsonrpc,
}


def open_ledger(
    settings: Settings, *, expected: ExpectedChain | None = None, timeout_s: float | None = None
) -> Ledger:
    """The connection that `ledger.url` names. Connects with the first call of a method.

    Args:
        settings: the keys ``ledger.*`` and the home.
        expected: what the chain must be. A JSON-RPC ledger checks every endpoint for it before it
            asks or sends anything else; of an embedded chain, `check_deployment` does.
        timeout_s: how long one call may wait for the chain; by default `ledger.timeout_s`.

    Raises:
        ConfigurationError: the scheme is not known, or a setting is not understood.
    """
    url = settings.ledger_url
    scheme = url.partition(":")[0] if ":" in url else ""
    opener = _SCHEMES.get(scheme)
    if opener is None:
        known = ", ".join(f"{name}:" for name in sorted(_SCHEMES))
        raise ConfigurationError(
            f"no ledger is known for the scheme {scheme!r} of ledger.url; known schemes: {known}"
        )
    return opener(settings, expected, settings.ledger_timeout_s if timeout_s is None else timeout_s)
