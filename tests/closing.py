"""Closes what a test opened: Python 3.13 warns of each database that is left open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from chain_client.ledger.embedded_store import ChainStore
from chain_client.log.log import Log


@contextmanager
def everything_closed() -> Iterator[None]:
    """Close, at the end, every chain and log that was connected to within."""
    with ExitStack() as opened, pytest.MonkeyPatch.context() as patch:
        for kind in (ChainStore, Log):
            patch.setattr(kind, "__init__", _remembering(kind.__init__, opened))
        yield


def _remembering(init: Any, opened: ExitStack) -> Any:
    def remember(self: Any, *args: Any, **options: Any) -> None:
        init(self, *args, **options)
        opened.callback(self.close)

    return remember
