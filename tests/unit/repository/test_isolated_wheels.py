"""Core and plugins, each installed with what it declares to need and nothing else."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.unit.repository.checkout import ROOT
from tests.unit.repository.isolated_site import build_wheel, install, run_isolated

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


def test_folders_of_plugins_are_no_packages() -> None:
    for folder in ("plugins", "plugins/aws", "examples", "examples/promotion_checks"):
        assert not (ROOT / folder / "__init__.py").exists(), folder
