"""The built-in plugin ``jsonrpc``: any EVM chain, by one or more JSON-RPC endpoints."""

from __future__ import annotations

from collections.abc import Mapping

from chain_client.config import Settings
from chain_client.errors import ConfigurationError
from chain_client.hookspecs import LedgerFactory, hookimpl
from chain_client.ledger.base import Ledger
from chain_client.ledger.expected import ExpectedChain
from chain_client.ledger.jsonrpc import Finality, JsonRpcLedger, parse_endpoints, parse_mode


@hookimpl
def ledgers() -> Mapping[str, LedgerFactory]:
    """``https://…`` and ``http://…``, several separated by commas."""
    return {"http": _open_jsonrpc, "https": _open_jsonrpc}


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
