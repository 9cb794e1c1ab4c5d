"""The contracts' own tests, which forge runs: unit, fuzz, invariants, public vectors, gas."""

from __future__ import annotations

import re

import pytest

from tests.unit.contracts.npm_project import CONTRACTS, run


@pytest.mark.timeout(900)  # half a minute of work, on a machine with nothing else to do
def test_the_forge_tests_pass() -> None:
    result = run("test")
    assert result.returncode == 0, result.stdout
    written = {
        name
        for file in (CONTRACTS / "test").glob("*.t.sol")
        for name in re.findall(
            r"function ((?:test|testFuzz|invariant)_\w+)", file.read_text("utf-8")
        )
    }
    passed = set(re.findall(r"\[PASS\] (\w+)", result.stdout))
    assert len(written) > 50
    assert passed == written
    print(*re.findall(r".*gas: \d+$", result.stdout, re.MULTILINE), sep="\n")


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_forge_tests_pass_with_many_random_inputs() -> None:
    result = run("deep")
    assert result.returncode == 0, result.stdout
