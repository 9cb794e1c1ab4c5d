"""Reverts in words: every error the contract declares, and what the compiler adds."""

from __future__ import annotations

import re

import pytest

from chain_client.errors import CallReverted
from chain_client.ledger.abi import ContractAbi
from chain_client.ledger.artifacts import AbiEntry, load_artifact
from chain_client.ledger.event_log import CONTRACT, explain
from chain_client.ledger.revert import explain_revert
from chain_client.signing.keccak import keccak256

ERRORS = [entry for entry in load_artifact(CONTRACT).abi if entry["type"] == "error"]
VALUES = {"bytes32": b"\xab" * 32, "uint64": 4_321, "uint256": 77, "address": b"\xcd" * 20}
SHOWN = {
    "bytes32": "0x" + "ab" * 32,
    "uint64": "4321",
    "uint256": "77",
    "address": "0x" + "cd" * 20,
}


def types_of(error: AbiEntry) -> list[str]:
    inputs = error["inputs"]
    assert isinstance(inputs, list)
    return [str(item["type"]) for item in inputs]


def revert_data(error: AbiEntry) -> bytes:
    """What the contract returns for that error: like a call of a function of its name."""
    function = {"type": "function", "name": error["name"], "inputs": error["inputs"]}
    values = [VALUES[kind] for kind in types_of(error)]
    return ContractAbi([function]).encode_call(str(error["name"]), *values)


@pytest.mark.parametrize("error", ERRORS, ids=[str(entry["name"]) for entry in ERRORS])
def test_every_error_of_the_contract_has_a_sentence_of_its_own(error: AbiEntry) -> None:
    told = explain(CallReverted(revert_data(error)))
    name = str(error["name"])
    assert told.name == name
    sentence = str(told).removeprefix(f"{name}: ")
    assert str(told).startswith(f"{name}: ")
    assert len(sentence.split()) >= 5
    assert not re.search(r"[{}]|b'|None", sentence)
    kinds = types_of(error)
    assert not kinds or any(SHOWN[kind] in sentence for kind in kinds)


def test_sentences_tell_the_errors_apart() -> None:
    texts = {str(explain(CallReverted(revert_data(error)))) for error in ERRORS}
    assert len(texts) == len(ERRORS) > 10


def test_an_error_without_a_sentence_still_shows_its_arguments() -> None:
    told = explain_revert(revert_data(ERRORS[0]), ContractAbi(ERRORS), {})
    assert told.name == ERRORS[0]["name"]
    assert all(SHOWN[kind] in str(told) for kind in types_of(ERRORS[0]))


def solidity(signature: str, kind: str, value: object) -> bytes:
    function: AbiEntry = {"type": "function", "name": "x", "inputs": [{"name": "x", "type": kind}]}
    return keccak256(signature.encode())[:4] + ContractAbi([function]).encode_call("x", value)[4:]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (solidity("Error(string)", "string", "no way"), "the contract refused: no way"),
        (
            solidity("Error(string)", "string", "red \x1b[31m\u202etext\n" + "x" * 10**4),
            "refused: red \\u001b[31m\\u202etext xxx",
        ),
        (solidity("Panic(uint256)", "uint256", 0x11), "Solidity's panic 0x11"),
        (b"", "without a reason"),
        (b"\xde\xad\xbe\xef" + bytes(32), "unknown data 0xdeadbeef"),
        (revert_data(ERRORS[0])[:10], "unknown data 0x"),
        (b"\1", "unknown data 0x01"),
    ],
)
def test_other_reverts_are_told_without_a_name(data: bytes, text: str) -> None:
    told = explain(CallReverted(data))
    assert told.name == ""
    assert text in str(told)
    assert len(str(told)) < 300
