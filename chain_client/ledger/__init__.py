"""Ledgers: connections to EVM chains, and typed bindings of our contracts.

::

    embedded:<path>    a chain in a file, in this process (`chain_client.ledger.embedded`)
    https://…          any EVM chain, by one or more endpoints separated by commas; also http://
                       (`chain_client.ledger.jsonrpc`)

Plugins add schemes, by the hook `ledgers`; these come by it too.
"""

from __future__ import annotations

from chain_client.config import Settings
from chain_client.hookspecs import LedgerFactory
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
from chain_client.ledger.jsonrpc import JsonRpcLedger
from chain_client.plugin_host import get_plugin_host

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


def open_ledger(
    settings: Settings,
    *,
    expected: ExpectedChain | None = None,
    timeout_s: float | None = None,
) -> Ledger:
    """The connection that `ledger.url` names. Connects with the first call of a method.

    Args:
        settings: the keys ``ledger.*`` and the home.
        expected: what the chain must be. A JSON-RPC ledger checks every endpoint for it before it
            asks or sends anything else; of an embedded chain, `check_deployment` does.
        timeout_s: how long one call may wait for the chain; by default `ledger.timeout_s`.

    Raises:
        ConfigurationError: the scheme is not known, two plugins open it, or a setting is not
            understood.
    """
    factory: LedgerFactory = get_plugin_host().factory_of(settings.ledger_url, "ledgers", "ledger")
    return factory(
        settings, expected, settings.ledger_timeout_s if timeout_s is None else timeout_s
    )
