"""Telling a server's address from a database's. Pure."""

from __future__ import annotations

from chain_client.hosts import to_server_uri

__all__ = ["is_server_uri", "to_server_uri"]


def is_server_uri(uri: str) -> bool:
    """Whether a store's URI, without our prefix, is a server's address."""
    return uri.lower().startswith(("http://", "https://"))
