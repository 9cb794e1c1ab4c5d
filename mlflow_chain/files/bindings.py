"""The databases that record in a home, as every write of a file asks for them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from chain_client.client import ChainClient
from chain_client.hosts import StoreBinding

_known: dict[Path, tuple[int, list[StoreBinding]]] = {}

_SETTLED_NS: Final = 2_000_000_000
"""So long after a change of a folder, its time tells a further change from that one."""


def bindings_of(client: ChainClient) -> list[StoreBinding]:
    """Every database of a home, with what another process wrote of it until now.

    What waits to be read back may be out of date.

    Raises:
        ConfigurationError: a file of the home is damaged.
    """
    folder = client.folder.stores
    try:
        changed_ns = folder.stat().st_mtime_ns
    except OSError:
        return client.folder.bindings()
    known = _known.get(folder)
    is_settled = time.time_ns() - changed_ns > _SETTLED_NS
    if known is None or known[0] != changed_ns or not is_settled:
        known = _known[folder] = (changed_ns, client.folder.bindings())
    return known[1]
