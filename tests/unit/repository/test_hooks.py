"""Each hook is described as it is."""

from __future__ import annotations

import ast
import re

from chain_client import hookspecs
from tests.unit.repository.checkout import ROOT

BUILT_IN = {
    "EmbeddedLedger",
    "FilePayloadStore",
    "FolderShipper",
    "JsonRpcLedger",
    "KeystoreSigner",
}
HOOKS = ROOT / "docs/reference/hooks.md"


def _specified() -> dict[str, ast.FunctionDef]:
    """Every function that is marked as a hook's specification."""
    tree = ast.parse((ROOT / "chain_client/hookspecs.py").read_text(encoding="utf-8"))
    return {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and [ast.unparse(mark).partition("(")[0] for mark in node.decorator_list] == ["hookspec"]
    }


def _signature(node: ast.FunctionDef) -> str:
    assert node.returns is not None, node.name
    return f"{node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}"


def test_every_hook_has_a_heading_with_its_exact_signature_and_no_other_is_described() -> None:
    headings = re.findall(r"^### (.+)$", HOOKS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert headings == [_signature(node) for node in _specified().values()]


def test_every_hook_has_a_role_and_a_contract() -> None:
    specified = _specified()
    assert set(specified) == {*hookspecs.TABLES, *hookspecs.OBSERVERS, "check_promotion"}
    for name, node in specified.items():
        text = ast.get_docstring(node) or ""
        assert "Raises:" in text or "as `signers`" in text, name


def test_every_factory_and_value_that_a_hook_names_is_described() -> None:
    text = HOOKS.read_text(encoding="utf-8")
    factories = [name for name in hookspecs.__all__ if name.endswith("Factory")]
    assert [name for name in factories if f"`{name}`" not in text] == []
    named = set(re.findall(r"`chain_client\.([a-z_.]+)\.([A-Z]\w+)`", text))
    assert {"Signer", "PayloadStore", "AlarmNotice", "CheckFinding"} <= {name for _, name in named}
    for module, name in named:
        found = __import__(f"chain_client.{module}", fromlist=[name])
        assert hasattr(found, name), name


def test_built_ins_are_made_by_their_plugins_alone() -> None:
    """So that without its plugin a scheme is unknown, wherever it is named."""
    made = set()
    for package in ("chain_client", "mlflow_chain", "airflow_chain"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    made.add((node.func.id, file.relative_to(ROOT).as_posix()))
    assert {(name, file) for name, file in made if name in BUILT_IN} == {
        ("EmbeddedLedger", "chain_client/ledger/embedded_plugin.py"),
        # A chain that lives for a moment, and that nothing names by a URI.
        ("EmbeddedLedger", "chain_client/deploying/rehearsal.py"),
        ("FilePayloadStore", "chain_client/payloads/files_plugin.py"),
        ("FolderShipper", "chain_client/shipping/folder_plugin.py"),
        ("JsonRpcLedger", "chain_client/ledger/jsonrpc_plugin.py"),
        ("KeystoreSigner", "chain_client/signing/keystore_plugin.py"),
    }
