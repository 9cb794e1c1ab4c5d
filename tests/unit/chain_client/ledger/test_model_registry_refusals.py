"""Why `ModelRegistry` refuses, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_abi import encode

from chain_client.errors import CallReverted, ContractReverted
from chain_client.ledger import Call
from chain_client.ledger.artifacts import load_artifact
from chain_client.ledger.model_registry import (
    CONTRACT,
    Policy,
    explain,
)
from chain_client.ledger.model_registry_calls import ModelRegistryCalls
from chain_client.ledger.model_registry_refusals import explain_data
from chain_client.registry.typed_data import (
    proposal_id,
)
from chain_client.signing.keccak import keccak256
from tests.embedded_chains import OWNER, STRANGER, KeyInMemory
from tests.registries import (
    APPROVERS,
    DIGEST,
    GROUP,
    MODEL,
    REQUESTER,
    TARGET,
    OpenRegistry,
)


def refusal(registry: OpenRegistry, signer: KeyInMemory, call: Call) -> ContractReverted:
    with pytest.raises(CallReverted) as caught:
        registry.ledger.estimate_gas(call, signer.address())
    return explain(caught.value)


class TestRefusals:
    def test_every_error_has_a_sentence(self) -> None:
        for entry in load_artifact(CONTRACT).abi:
            if entry["type"] != "error":
                continue
            kinds = [str(item["type"]) for item in entry["inputs"]]  # type: ignore[attr-defined]
            data = error_data(str(entry["name"]), kinds)
            told = explain_data(data)
            assert told.name == entry["name"]
            assert str(told).startswith(f"{told.name}: "), told
            assert "{" not in str(told)
            assert len(str(told)) > len(told.name) + 20

    def test_times_roles_and_kinds_are_told_in_words(self, registry: OpenRegistry) -> None:
        contract = registry.contract
        told = refusal(registry, STRANGER, contract.register_version_call(MODEL, 1, DIGEST, 0))
        assert "has not the role registrar" in str(told)
        registry.gate(min_delay_s=600)
        registry.register()
        fields = registry.propose()
        for approver in APPROVERS[:2]:
            registry.send(approver, contract.approve_call(fields))
        made_at_s = contract.proposal(proposal_id(fields)).made_at_s
        too_early = contract.is_promotable(fields)
        assert too_early is not None
        assert too_early.name == "TooEarly"
        assert " UTC" in str(too_early)
        assert str(made_at_s) not in str(too_early)
        late = replace(registry.fields(nonce=9), deadline_s=2**48 - 1)
        told = refusal(registry, REQUESTER, contract.propose_call(late))
        assert told.name == "DeadlineTooFar"
        policy = Policy(GROUP, 2, 0, 1_000, evidence_kinds=0b101)
        registry.send(OWNER, contract.set_policy_call(MODEL, TARGET, policy))
        told = refusal(registry, REQUESTER, contract.propose_call(registry.fields(nonce=10)))
        assert "(kinds 0b101)" in str(told)

    @pytest.mark.parametrize(
        ("status", "words"),
        [(0, "knows no proposal"), (2, "promoted already"), (3, "rejected"), (4, "withdrawn")],
    )
    def test_a_closed_proposal_is_told_by_how_it_ended(self, status: int, words: str) -> None:
        data = error_data("ProposalNotOpen", ["bytes32", "uint8"])
        told = explain_data(data[:-1] + bytes([status]))
        assert (told.name, words in str(told)) == ("ProposalNotOpen", True)


def error_data(name: str, kinds: list[str]) -> bytes:
    samples = {"address": "0x" + "01" * 20, "string": "text", "bytes32": b"\1" * 32}
    values = [samples.get(kind, 1) for kind in kinds]
    arguments: bytes = encode(kinds, values)
    return keccak256(f"{name}({','.join(kinds)})".encode())[:4] + arguments


def test_every_function_that_changes_something_has_a_builder() -> None:
    builders = {name for name in vars(ModelRegistryCalls) if name.endswith("_call")} - {"_call"}
    changing = {
        str(entry["name"])
        for entry in load_artifact(CONTRACT).abi
        if entry["type"] == "function" and entry["stateMutability"] == "nonpayable"
    }
    assert {camel(name.removesuffix("_call")) for name in builders} == changing


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
