"""Ledgers: connections to EVM chains, and typed bindings of our contracts.

::

    embedded:<path>    a chain in a file, in this process (`chain_client.ledger.embedded`)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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

__all__ = [
    "Block",
    "BlockTag",
    "Call",
    "EmbeddedLedger",
    "EventRecord",
    "Fees",
    "Ledger",
    "Receipt",
    "create_embedded",
    "open_ledger",
]


def _open_embedded(url: str, timeout_s: float) -> Ledger:
    path = url.partition(":")[2]
    if not path:
        raise ConfigurationError(f"the ledger {url!r} names no file; expected embedded:<path>")
    return EmbeddedLedger(Path(path), timeout_s=timeout_s)


_SCHEMES: dict[str, Callable[[str, float], Ledger]] = {"embedded": _open_embedded}


def open_ledger(url: str, *, timeout_s: float = 10) -> Ledger:
    """The connection that a URL names. Connects with the first call of a method.

    Args:
        url: such as ``embedded:/srv/home/chain.db``.
        timeout_s: how long one call may wait for the chain.

    Raises:
        ConfigurationError: the scheme is not known.
    """
    scheme = url.partition(":")[0] if ":" in url else ""
    factory = _SCHEMES.get(scheme)
    if factory is None:
        known = ", ".join(f"{name}:" for name in sorted(_SCHEMES))
        raise ConfigurationError(
            f"no ledger is known for the scheme {scheme!r}; known schemes: {known}"
        )
    return factory(url, timeout_s)
