"""eth_account, the reference for what our signing room does."""

from __future__ import annotations

from chain_client.signing.recursion_limit import unchanged_recursion_limit

with unchanged_recursion_limit():  # py_ecc, which it imports, raises the limit for all tests
    from eth_account import Account

__all__ = ["Account"]
