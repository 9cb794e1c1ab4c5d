"""keccak-256: published vectors, and the choice that is left to the user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chain_client.signing.keccak import keccak256


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        # the code hash of an account without code (yellow paper)
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        # the root of an empty trie: the hash of RLP's empty string (yellow paper)
        (b"\x80", "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"),
        # the hash of an empty list of uncles (yellow paper)
        (b"\xc0", "1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        (b"testing", "5f16f4c7f149ac4f9510d9cf8cf384038ad348b3bcdc01915f95de12df9d1b02"),
    ],
)
def test_published_vectors(data: bytes, digest: str) -> None:
    assert keccak256(data).hex() == digest


def test_blocks_of_every_length_hash_as_in_the_reference_implementation() -> None:
    from eth_hash.backends.pycryptodome import keccak256 as reference

    for size in (0, 1, 31, 32, 135, 136, 137, 271, 272, 273, 10_000):
        data = bytes(i % 251 for i in range(size))
        assert keccak256(data) == reference(data)


SHOW = """
import os, sys
from chain_client.signing.keccak import prefer_fast_keccak
before = dict(os.environ)
prefer_fast_keccak()
assert dict(os.environ) == before
from eth_hash.auto import keccak
assert keccak(b"").hex().startswith("c5d246")
print(*(name for name in sys.modules if "eth_hash.backends." in name))
"""


@pytest.mark.parametrize(
    ("chosen", "backend"), [(None, "pysha3"), ("pycryptodome", "pycryptodome")]
)
def test_the_fast_backend_is_taken_unless_the_user_chose(chosen: str | None, backend: str) -> None:
    environment = dict(os.environ)
    environment.pop("ETH_HASH_BACKEND", None)
    if chosen:
        environment["ETH_HASH_BACKEND"] = chosen
    shown = subprocess.run(
        [sys.executable, "-c", SHOW],
        cwd=Path(__file__).parents[4],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert f"eth_hash.backends.{backend}" in shown
