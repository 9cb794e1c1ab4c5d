"""What is shipped: the wheel, looked at and imported without the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.unit.repository.checkout import ROOT, tracked_files
from tests.unit.repository.isolated_site import build_wheel, install, run_isolated

PACKAGES = {"chain_client", "mlflow_chain", "airflow_chain"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built into a temporary folder."""
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    """Paths inside the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_it_holds_the_three_packages_and_nothing_else(names: set[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES


def test_it_holds_every_tracked_file_of_the_packages(names: set[str]) -> None:
    tracked = {path for _, path in tracked_files(*sorted(PACKAGES))}
    assert tracked - names == set()
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert "chain_client/ledger/artifacts/EventLog.json" in names
    assert any(name.startswith("chain_client/log/migrations/versions/") for name in names)


def test_it_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    code = """
import importlib.util, json
import chain_client, mlflow_chain, mlflow_chain.entrypoints, airflow_chain
from chain_client import config, merkle
from chain_client.ledger.artifacts import load_artifact
print(json.dumps({
    "artifact": len(load_artifact("EventLog").bytecode),
    "settings": len(config.setting_keys()),
    "others": [n for n in ("contracts", "plugins", "tests", "examples")
               if importlib.util.find_spec(n) is not None],
    "file": chain_client.__file__,
}))
"""
    install(tmp_path / "site", [wheel])
    found = json.loads(run_isolated(code, tmp_path / "site", tmp_path))
    assert found["artifact"] > 1000
    assert found["settings"] > 5
    assert found["others"] == []
    assert Path(found["file"]).is_relative_to(tmp_path)


def test_its_entry_points_lead_somewhere(wheel: Path, tmp_path: Path) -> None:
    import configparser

    parser = configparser.ConfigParser(delimiters=("=",))
    with zipfile.ZipFile(wheel) as archive:
        [file] = [n for n in archive.namelist() if n.endswith(".dist-info/entry_points.txt")]
        parser.read_string(archive.read(file).decode("utf-8"))
    targets = {parser[group][key] for group in parser.sections() for key in parser[group]}
    assert "chain_client.cli:main" in targets
    # Elsewhere: what is Airflow's imports it.
    code = """
import importlib, sys
for target in sys.argv[1:]:
    module, _, name = target.partition(":")
    found = importlib.import_module(module)
    assert not name or callable(getattr(found, name)), target
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *sorted(targets)],
        cwd=ROOT,
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path / "airflow")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
