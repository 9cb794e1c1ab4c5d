"""Python's recursion limit, kept from libraries that raise it when they are imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unchanged_recursion_limit() -> Iterator[None]:
    """Whatever is imported within leaves the limit as it was.

    py-evm, and py_ecc, which eth-keyfile imports, raise it to 100,000 for the whole process. Then
    deep nesting anywhere, in our relay or in the user's training, ends the process instead of
    raising RecursionError. Contracts of our own nest a few calls; `EmbeddedLedger` says
    LedgerUnavailable where one nests too deep.
    """
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
