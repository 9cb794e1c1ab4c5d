"""Core and plugins, each installed with what it declares to need and nothing else."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.unit.repository.checkout import ROOT
from tests.unit.repository.isolated_site import build_wheel, install, run_isolated

PLUGIN = ROOT / "plugins/aws"
PROJECTS = {"core": ".", "aws": "plugins/aws", "checks": "examples/promotion_checks"}

FOREIGN = "('plugins', 'examples', 'tests', 'contracts', 'moto', 'pytest', 'airflow')"

USE = f"""
import importlib.util, json, os, sys
foreign = {FOREIGN} + ('mlflow', 'boto3', 'botocore', 'requests_mock')
found = [name for name in foreign if importlib.util.find_spec(name) is not None]
os.environ["MLOPS_CHAIN_RELAY_AUTOSTART"] = "false"
from chain_client import ChainClient
from chain_client.cli import cli
from chain_client.events import Subject
client = ChainClient.open(create=True)
for number in range(3):
    client.recorder.note("item.seen", Subject("", "item", "one"), {{"number": number}})
client.recorder.close()
client.close()
for words in (["relay", "--once"], ["verify", "--json"], ["plugins", "list", "--json"]):
    code = cli(words, standalone_mode=False)
    assert not code, (words, code)
hosts = [name for name in ("mlflow_chain", "airflow_chain") if name in sys.modules]
print("\\n===", json.dumps({{"foreign": found, "hosts": hosts}}))
"""

LIST = f"""
import importlib.util, json, sys
from pathlib import Path
from chain_client.plugin_host import get_plugin_host
host = get_plugin_host()
plugin = host.plugin(sys.argv[1])
opened = []
for role, schemes in plugin.schemes.items():
    for scheme in schemes:
        host.factory(role, scheme, role)
        opened.append([role, scheme])
heavy = [name for name in ("boto3", "mlflow", "mlflow_chain", "web3") if name in sys.modules]
found = [name for name in {FOREIGN} if importlib.util.find_spec(name) is not None]
print(json.dumps({{
    "distribution": plugin.distribution,
    "file": plugin.file,
    "hooks": plugin.hooks,
    "opened": opened,
    "heavy": heavy,
    "foreign": found,
    "mlflow": importlib.util.find_spec("mlflow") is not None,
    "boto3": importlib.util.find_spec("boto3") is not None,
    "broken": [one.error for one in host.plugins() if one.error],
}}))
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel of each project of this checkout."""
    return {
        name: build_wheel(ROOT / folder, tmp_path_factory.mktemp(f"wheel-{name}"))
        for name, folder in PROJECTS.items()
    }


def _offered(wheels: dict[str, Path], name: str, plugin: str, tmp_path: Path) -> dict[str, Any]:
    site = tmp_path / "site"
    install(site, [wheels["core"], wheels[name]])
    found: dict[str, Any] = json.loads(run_isolated(LIST, site, tmp_path, plugin))
    assert Path(found["file"]).is_relative_to(site)
    assert found["foreign"] == []
    assert found["heavy"] == []
    assert found["broken"] == []
    return found


def test_the_core_works_without_boto3_and_hosts(wheels: dict[str, Path], tmp_path: Path) -> None:
    linked = install(tmp_path / "site", [wheels["core"]])
    assert linked.isdisjoint({"boto3", "mlflow", "apache-airflow", "pytest"})
    told = run_isolated(USE, tmp_path / "site", tmp_path)
    printed, _, said = told.rpartition("===")
    assert json.loads(said) == {"foreign": [], "hosts": []}
    assert '"state": "loaded"' in printed
    assert '"state": "broken"' not in printed
    assert (tmp_path / ".mlops-chain" / "deployment.json").exists()


def test_the_plugin_for_aws_works_with_the_core_alone(
    wheels: dict[str, Path], tmp_path: Path
) -> None:
    found = _offered(wheels, "aws", "aws", tmp_path)
    assert found["distribution"] == "mlops-chain-aws"
    assert ["signers", "awskms"] in found["opened"]
    assert {role for role, scheme in found["opened"] if scheme == "s3"} == {
        "artifact_stores",
        "payload_stores",
        "spool_shippers",
    }
    assert (found["mlflow"], found["boto3"]) == (False, True)


@pytest.fixture(scope="module")
def test_python(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a virtual environment with the core, the plugin for AWS and its extra `test`."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    [site] = folder.glob("lib/python*/site-packages")
    linked = install(site, [wheels["core"], wheels["aws"]], extras=("test",))
    assert linked >= {"boto3", "moto", "pytest"}
    assert linked.isdisjoint({"mlflow", "apache-airflow", "hypothesis", "pytest-xdist"})
    return folder / "bin/python"


def test_the_plugins_own_tests_run_with_what_its_extra_names(
    test_python: Path, tmp_path: Path
) -> None:
    shutil.copytree(PLUGIN / "tests", tmp_path / "tests")
    shutil.copy(PLUGIN / "pyproject.toml", tmp_path)
    # Every module is loaded; run are those that need moto in this process, and as a server.
    chosen = ("-k", "test_stand_in", "-p", "no:cacheprovider")
    done = subprocess.run(
        [test_python, "-m", "pytest", "-q", *chosen],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    tests = (PLUGIN / "tests/test_stand_in.py").read_text(encoding="utf-8").count("\ndef test_")
    assert passed is not None
    assert int(passed[1]) >= tests > 0


def test_what_the_plugin_imports_anywhere_is_declared(test_python: Path) -> None:
    imported = {
        name.partition(".")[0]
        for folder in ("src", "tests")
        for file in (PLUGIN / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for name in _imports(node)
    }
    assert imported >= {"boto3", "chain_client", "mlops_chain_aws", "moto", "pytest"}
    code = (
        "import importlib.util, sys\n"
        "print(*(name for name in sys.argv[1:] if importlib.util.find_spec(name) is None))"
    )
    done = subprocess.run(
        [test_python, "-I", "-c", code, *sorted(imported)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []


def test_the_example_of_checks_works_with_the_core_and_mlflow(
    wheels: dict[str, Path], tmp_path: Path
) -> None:
    found = _offered(wheels, "checks", "promotion-checks", tmp_path)
    assert found["hooks"] == ["check_promotion"]
    assert (found["mlflow"], found["boto3"]) == (True, False)


@pytest.mark.parametrize("name", PROJECTS)
def test_a_wheel_holds_its_own_packages_alone(wheels: dict[str, Path], name: str) -> None:
    packages = {
        "core": {"chain_client", "mlflow_chain", "airflow_chain"},
        "aws": {"mlops_chain_aws"},
        "checks": {"promotion_checks"},
    }
    with zipfile.ZipFile(wheels[name]) as archive:
        tops = {inside.partition("/")[0] for inside in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == packages[name]


@pytest.mark.parametrize("name", PROJECTS)
def test_a_description_has_no_link_out_of_its_project(wheels: dict[str, Path], name: str) -> None:
    with zipfile.ZipFile(wheels[name]) as archive:
        [file] = [inside for inside in archive.namelist() if inside.endswith("/METADATA")]
        _, _, description = archive.read(file).decode("utf-8").partition("\n\n")
    assert bool(description.strip()) == (name != "checks")
    assert re.findall(r"\]\((?:\.\./|/)[^)]*\)", description) == []


def test_folders_of_plugins_are_no_packages() -> None:
    for folder in ("plugins", "plugins/aws", "examples", "examples/promotion_checks"):
        assert not (ROOT / folder / "__init__.py").exists(), folder


@pytest.mark.parametrize("name", ["plugins", "examples", "tests", "contracts", "deploy"])
def test_an_editable_install_offers_no_folder_of_the_checkout(name: str, tmp_path: Path) -> None:
    code = f"import chain_client; print(chain_client.__file__); import {name}"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert Path(done.stdout.strip()).is_relative_to(ROOT)
    assert f"ModuleNotFoundError: No module named {name!r}" in done.stderr
