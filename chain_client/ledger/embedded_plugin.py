"""The built-in plugin ``embedded``: a chain in a file, in this process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chain_client.config import Settings
from chain_client.errors import ConfigurationError
from chain_client.hookspecs import LedgerFactory, hookimpl
from chain_client.ledger.base import Ledger
from chain_client.ledger.embedded import EmbeddedLedger
from chain_client.ledger.expected import ExpectedChain


@hookimpl
def ledgers() -> Mapping[str, LedgerFactory]:
    """``embedded:<path>``."""
    return {"embedded": _open_embedded}


def _open_embedded(settings: Settings, expected: ExpectedChain | None, timeout_s: float) -> Ledger:
    path = settings.resolve_url(settings.ledger_url).partition(":")[2]
    if settings.ledger_url == "embedded:":
        raise ConfigurationError("ledger.url 'embedded:' names no file; expected embedded:<file>")
    return EmbeddedLedger(Path(path), timeout_s=timeout_s)
