"""Ledgers behind one or more JSON-RPC endpoints."""

from __future__ import annotations

from chain_client.ledger.jsonrpc.address import parse_endpoints
from chain_client.ledger.jsonrpc.finality import Finality
from chain_client.ledger.jsonrpc.ledger import JsonRpcLedger
from chain_client.ledger.jsonrpc.second_look import parse_mode

__all__ = ["Finality", "JsonRpcLedger", "parse_endpoints", "parse_mode"]
