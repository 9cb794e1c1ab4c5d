"""keccak-256, the hash of Ethereum (not SHA3-256). Our own log uses SHA-256 only."""

from __future__ import annotations

import os
from functools import cache

_CHOICE = "ETH_HASH_BACKEND"


def keccak256(data: bytes) -> bytes:
    """keccak-256 of ``data``, 32 bytes."""
    from sha3 import keccak_256

    return bytes(keccak_256(data).digest())


@cache
def prefer_fast_keccak() -> None:
    """Make the Ethereum libraries of this process hash with C code, unless the user chose.

    They take their choice from the environment at the first hash, and would otherwise take a
    backend that makes the embedded chain slower. The environment is left as it was, so that
    child processes (which may run in another virtual environment) make their own choice.
    """
    if _CHOICE in os.environ:
        return
    from eth_hash.auto import keccak

    os.environ[_CHOICE] = "pysha3"
    try:
        keccak(b"")
        keccak.new(b"")
    finally:
        del os.environ[_CHOICE]
