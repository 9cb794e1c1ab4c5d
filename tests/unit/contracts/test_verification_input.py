"""What explorers are given recompiles to the bytecode that is deployed."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from chain_client.errors import InvalidInput
from chain_client.ledger.artifacts import load_artifact
from chain_client.ledger.verification_input import load_verification_input
from chain_client.types import to_hex
from tests.running_nodes import _runner
from tests.unit.contracts.npm_project import ARTIFACTS, CONTRACTS

RECOMPILE = Path(__file__).with_name("recompile.mjs")


def node() -> str:
    runner = _runner()
    found = runner.find_node()
    runner.install(found)
    return str(found.program)


@pytest.mark.parametrize("name", ["EventLog", "ModelRegistry", "TimelockController"])
def test_recompiling_gives_the_deployed_bytecode(name: str, tmp_path: Path) -> None:
    given, artifact = load_verification_input(name), load_artifact(name)
    file = tmp_path / "input.json"
    file.write_text(json.dumps(given.standard_json), "utf-8")
    done = subprocess.run(
        [node(), str(RECOMPILE), str(file), str(CONTRACTS)],
        capture_output=True,
        text=True,
        check=True,
    )
    source, _, contract = given.contract.partition(":")
    output = json.loads(done.stdout)
    assert "errors" not in output
    built = output["contracts"][source][contract]["evm"]
    assert bytes.fromhex(built["bytecode"]["object"]) == artifact.bytecode
    assert bytes.fromhex(built["deployedBytecode"]["object"]) == artifact.runtime_bytecode
    assert given.evm_version == "cancun"
    assert artifact.compiler.startswith(given.compiler.removeprefix("v"))


@pytest.mark.parametrize("name", ["EventLog", "ModelRegistry", "TimelockController"])
def test_the_sources_are_those_that_the_artifact_names(name: str) -> None:
    named = json.loads((ARTIFACTS / f"{name}.json").read_text("utf-8"))["sources"]
    given = load_verification_input(name).standard_json["sources"]
    assert named == {
        source: "0x" + hashlib.sha256(text["content"].encode()).hexdigest()
        for source, text in given.items()
    }


def test_the_constructor_arguments_stand_beside_it() -> None:
    shown = json.loads(load_verification_input("EventLog").to_json(bytes(31) + b"\1"))
    assert shown["constructor_arguments"] == to_hex(bytes(31) + b"\1")
    assert shown["contract"] == "src/EventLog.sol:EventLog"
    assert set(shown["standard_json_input"]) == {"language", "sources", "settings"}


def test_a_contract_that_is_not_ours_has_none() -> None:
    with pytest.raises(InvalidInput, match="no contract 'Token' is shipped"):
        load_verification_input("Token")
