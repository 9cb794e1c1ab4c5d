"""What a block explorer needs to show the source of a deployed contract, and to believe it.

`contracts/build.mjs` writes the sources beside the artifacts; recompiling what is given here gives
the deployed bytecode, and a test does it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from chain_client.errors import InvalidInput
from chain_client.ledger.artifacts import load_artifact
from chain_client.types import to_hex

_FOLDER = "artifacts"
_SOURCES = ("sources", "solidity.json")


@dataclass(frozen=True, slots=True)
class VerificationInput:
    """Of one contract.

    Args:
        contract: its name with its source, such as ``src/EventLog.sol:EventLog``.
        compiler: the compiler's version as explorers write it, such as ``v0.8.37+commit.f401782d``.
        evm_version: the EVM that it was compiled for.
        standard_json: Solidity's standard JSON input, with the text of every source.
    """

    contract: str
    compiler: str
    evm_version: str
    standard_json: dict[str, Any]

    def to_json(self, constructor_arguments: bytes) -> str:
        """All of it, for a program that asks an explorer.

        Args:
            constructor_arguments: ABI-encoded, as they were deployed.
        """
        content = {
            "contract": self.contract,
            "compiler_version": self.compiler,
            "evm_version": self.evm_version,
            "constructor_arguments": to_hex(constructor_arguments),
            "standard_json_input": self.standard_json,
        }
        return json.dumps(content, indent=1) + "\n"


def load_verification_input(name: str) -> VerificationInput:
    """How the shipped contract of that name was compiled.

    Args:
        name: such as ``EventLog``.

    Raises:
        InvalidInput: no such contract is shipped.
    """
    artifact, built = load_artifact(name), _built(name)
    shipped = _sources()
    paths = shipped["contracts"]
    if name not in paths:
        raise InvalidInput(f"the sources of {name!r} are not shipped")
    texts = {source: {"content": shipped["sources"][source]} for source in built["sources"]}
    return VerificationInput(
        contract=f"{paths[name]}:{name}",
        compiler="v" + ".".join(artifact.compiler.split(".")[:4]),
        evm_version=built["settings"]["evmVersion"],
        standard_json={
            "language": "Solidity",
            "sources": texts,
            "settings": {
                **built["settings"],
                "outputSelection": {
                    "*": {"*": ["abi", "evm.bytecode", "evm.deployedBytecode", "metadata"]}
                },
            },
        },
    )


def _built(name: str) -> dict[str, Any]:
    text = (files("chain_client.ledger") / _FOLDER / f"{name}.json").read_text("utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


@cache
def _sources() -> dict[str, Any]:
    text = files("chain_client.ledger").joinpath(_FOLDER, *_SOURCES).read_text("utf-8")
    content: dict[str, Any] = json.loads(text)
    return content
