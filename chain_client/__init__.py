"""The shared client of mlops-chain: events, log, chain, verification.

It imports neither MLflow nor Airflow, and importing it loads nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chain_client.client import ChainClient
    from chain_client.config import Settings

__all__ = ["ChainClient", "Settings"]


def __getattr__(name: str) -> object:
    if name == "ChainClient":
        from chain_client.client import ChainClient

        return ChainClient
    if name == "Settings":
        from chain_client.config import Settings

        return Settings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
