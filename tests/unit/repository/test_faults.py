"""Every fault that is to be injected has a row in the documents, with a test that there is."""

from __future__ import annotations

import ast
import re

import pytest

from tests.unit.repository.checkout import ROOT

DOCUMENT = ROOT / "docs/reference/faults.md"

FAULTS = (
    "SIGKILL at every step",
    "Disk full",
    "fsync error",
    "16 writers",
    "Restored VM snapshot",
    "Bit flips",
    "Two relays with an expired lease (SIGSTOP)",
    "Send accepted, but reply lost",
    "Each client's wording of `already known`, `nonce too low`, underpriced",
    "429",
    "`-32005`",
    "HTML body",
    "Truncated JSON",
    "Base fee ×20",
    "Empty account",
    "Dropped transaction",
    "Foreign transaction on our nonce",
    "Reorg of depth 1, 7, 64",
    "Lagging node after failover",
    "Wrong-chain node after failover",
    "Paused contract",
    "Missing contract",
    "Clock ±1 h",
    "MLflow NaN, Inf",
    "MLflow duplicates",
    "Fork after open",
    "Interpreter exit",
    "Airflow retry",
    "Airflow zombie",
    "Airflow backfill",
    "KMS timeout",
    "KMS high-s",
)


def _rows() -> list[tuple[str, str]]:
    """Fault and test of each row."""
    found = re.findall(r"^\| (.+?) \| .+ \| `(.+?)` \|$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    assert found
    return found


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_has_a_row(fault: str) -> None:
    assert [named for named, _ in _rows() if named.startswith(fault)]


@pytest.mark.parametrize("node_id", sorted({node_id for _, node_id in _rows()}))
def test_the_test_of_a_row_is_there_and_runs_by_default(node_id: str) -> None:
    path, _, name = node_id.partition("::")
    name, _, parameter = name.rstrip("]").partition("[")
    text = (ROOT / path).read_text("utf-8")
    functions = [n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)]
    [found] = [function for function in functions if function.name == name]
    assert not [d for d in found.decorator_list if "soak" in ast.unparse(d)]
    assert f'"{parameter}' in text or not parameter
