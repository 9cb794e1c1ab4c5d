"""What is written about `ModelRegistry`, and what must be true of its sources and tests."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from tests.unit.contracts.npm_project import ARTIFACTS, CHECKOUT, CONTRACTS

ABI = json.loads((ARTIFACTS / "ModelRegistry.json").read_text("utf-8"))["abi"]
PAGE = (CHECKOUT / "docs" / "reference" / "model-registry-contract.md").read_text("utf-8")


@pytest.mark.parametrize("kind", ["function", "event", "error"])
def test_the_reference_names_everything_in_the_abi(kind: str) -> None:
    missing = [
        entry["name"]
        for entry in ABI
        if entry["type"] == kind and not re.search(rf"`{entry['name']}\b", PAGE)
    ]
    assert missing == []


def test_each_error_of_ours_is_reached_by_a_forge_test() -> None:
    tests = "".join(
        path.read_text("utf-8") for path in sorted((CONTRACTS / "test").glob("Registry*.t.sol"))
    )
    declared = "".join(
        (CONTRACTS / "src" / name).read_text("utf-8")
        for name in ("IModelRegistry.sol", "ApproverGroups.sol")
    )
    names = re.findall(r"^    error (\w+)\(", declared, re.MULTILINE)
    assert len(names) > 30
    assert [name for name in names if f".{name}.selector" not in tests] == []


def test_each_mutant_is_an_edit_of_a_source() -> None:
    mutants = tomllib.loads((CONTRACTS / "mutants.toml").read_text("utf-8"))["mutant"]
    for mutant in mutants:
        source = (CONTRACTS / "src" / mutant["file"]).read_text("utf-8")
        assert source.count(mutant["old"]) == 1, mutant["name"]
        assert mutant["new"] != mutant["old"]
    assert sum(mutant.get("fast", False) for mutant in mutants) >= 8
    assert sum(mutant.get("by") == "model" for mutant in mutants) >= 20


def test_sources_are_plain_ascii() -> None:
    """No letter looks like another, and no mark turns the text around."""
    for path in (CONTRACTS / "src").glob("*.sol"):
        assert path.read_bytes().isascii(), path.name


def test_the_gas_snapshot_keeps_to_the_budgets() -> None:
    costs = json.loads((CONTRACTS / "gas-snapshot.json").read_text("utf-8"))
    assert costs["registerVersion"] <= 76_000
    assert costs["propose + approve 2 of 3 + promote"] <= 200_000


def test_the_audit_answers_findings_and_says_what_is_not_proved() -> None:
    text = (CONTRACTS / "AUDIT.md").read_text("utf-8")
    assert len(re.findall(r"^\| `\S+ \S+` \|", text, re.MULTILINE)) > 5
    assert "## What is not proved" in text
