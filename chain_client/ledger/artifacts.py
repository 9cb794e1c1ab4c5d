"""Compiled contracts that ship with the package: ABI, bytecode, and what they were built from.

`contracts/build.mjs` writes the JSON files; a test rebuilds them and compares byte for byte.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TypeAlias

from chain_client.errors import InvalidInput
from chain_client.types import Digest, from_hex

AbiEntry: TypeAlias = dict[str, object]
"""One function, event, error or constructor of a contract, as the Solidity ABI's JSON has it."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled contract.

    Args:
        name: the contract's name.
        abi: its Solidity ABI.
        bytecode: init code without constructor arguments.
        runtime_bytecode: code as deployed, with zeros where immutables go.
        code_hash: keccak-256 of ``runtime_bytecode``.
        immutables: (offset, length) in bytes of what the constructor fills in.
        compiler: full version of the compiler.
        source_hash: SHA-256 over the names and SHA-256 digests of all sources.
    """

    name: str
    abi: tuple[AbiEntry, ...]
    bytecode: bytes
    runtime_bytecode: bytes
    code_hash: Digest
    immutables: tuple[tuple[int, int], ...]
    compiler: str
    source_hash: Digest

    def matches(self, code: bytes) -> bool:
        """True if ``code``, read from a chain, is this contract's, whatever its immutables."""
        if len(code) != len(self.runtime_bytecode):
            return False
        blank = bytearray(code)
        for offset, length in self.immutables:
            blank[offset : offset + length] = bytes(length)
        return bytes(blank) == self.runtime_bytecode


@cache
def load_artifact(name: str) -> Artifact:
    """The shipped contract of that name; read once a process.

    Args:
        name: such as ``EventLog``.

    Raises:
        InvalidInput: no such contract is shipped.
    """
    folder = files("chain_client.ledger") / "artifacts"
    known = sorted(
        path.name.removesuffix(".json") for path in folder.iterdir() if path.name.endswith(".json")
    )
    if name not in known:
        raise InvalidInput(f"no contract {name!r} is shipped; known: {', '.join(known)}")
    data = json.loads((folder / f"{name}.json").read_text("utf-8"))
    return Artifact(
        name=data["name"],
        abi=tuple(data["abi"]),
        bytecode=from_hex(data["bytecode"]),
        runtime_bytecode=from_hex(data["deployedBytecode"]),
        code_hash=Digest(from_hex(data["codeHash"], size=32)),
        immutables=tuple(
            (place["start"], place["length"])
            for places in data["immutableReferences"].values()
            for place in places
        ),
        compiler=data["compiler"],
        source_hash=Digest(from_hex(data["sourceHash"], size=32)),
    )
