"""Which endpoints are far behind the others, at a single look: for `doctor`."""

from __future__ import annotations

from chain_client.errors import ConfigurationError, LedgerUnavailable
from chain_client.ledger.base import Block
from chain_client.ledger.jsonrpc.endpoint import Endpoint
from chain_client.ledger.jsonrpc.endpoints import Endpoints
from chain_client.ledger.jsonrpc.heights import STILL_S
from chain_client.ledger.jsonrpc.values import to_block


def find_late(endpoints: Endpoints) -> list[str]:
    """Endpoints whose newest block is much older than another one's, in words.

    Those that give no answer are left out.
    """
    newest: list[tuple[Endpoint, Block]] = []
    for endpoint in endpoints.all:
        try:
            endpoints.check(endpoint, takes_over=False)
            newest.append((endpoint, endpoints.asking(endpoint, _newest)))
        except (LedgerUnavailable, ConfigurationError):
            continue
    if not newest:
        return []
    first, best = max(newest, key=lambda found: found[1].number)
    return [
        f"{endpoint.shown} is {best.number - block.number} blocks "
        f"({best.timestamp_s - block.timestamp_s} s) behind {first.shown}: while it stands still, "
        "it confirms nothing"
        for endpoint, block in newest
        if best.number > block.number and best.timestamp_s - block.timestamp_s >= STILL_S
    ]


def _newest(endpoint: Endpoint) -> Block:
    return to_block(endpoint.read("eth_getBlockByNumber", "latest", False))
