"""Which module may import what, and what an import may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import chain_client
import mlflow_chain
from tests.unit.repository.checkout import ROOT

LIGHT = (
    "import chain_client, mlflow_chain, mlflow_chain.entrypoints, mlflow_chain.run_context, "
    "mlflow_chain.tracing.traces, airflow_chain.tracing, chain_client.testing"
)
HEAVY = (
    *("mlflow", "airflow", "sqlalchemy", "alembic", "eth", "web3", "numpy", "pandas", "rich"),
    "pytest",
)


def test_import_contracts_hold(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            Path(sys.executable).with_name("lint-imports"),
            "--config",
            ROOT / "pyproject.toml",
            "--no-cache",
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_the_packages_loads_nothing_heavy() -> None:
    # -S: an editable install of another package may import what it likes at startup.
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {LIGHT}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint(HEAVY)
    assert "chain_client" in loaded


def test_the_core_names_no_host_even_inside_functions() -> None:
    found = set()
    for file in (ROOT / "chain_client").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            found |= {name.partition(".")[0] for name in names}
    assert "sqlalchemy" in found
    forbidden = {"mlflow", "airflow", "boto3", "mlflow_chain", "airflow_chain", "tests"}
    assert found.isdisjoint(forbidden)


def test_public_names_of_the_client() -> None:
    from chain_client.client import ChainClient
    from chain_client.config import Settings

    assert chain_client.__all__ == ["ChainClient", "Settings"]
    assert chain_client.ChainClient is ChainClient
    assert chain_client.Settings is Settings
    with pytest.raises(AttributeError, match="no attribute 'Chainclient'"):
        chain_client.Chainclient  # noqa: B018


def test_public_names_for_tests_of_plugins() -> None:
    from chain_client import testing
    from chain_client.testing.payload_store_suite import PayloadStoreSuite

    assert testing.PayloadStoreSuite is PayloadStoreSuite
    assert [getattr(testing, name).__name__ for name in testing.__all__] == testing.__all__
    assert len(testing.__all__) == len(list(Path(testing.__path__[0]).glob("*_suite.py")))
    with pytest.raises(AttributeError, match="no attribute 'Suite'"):
        testing.Suite  # noqa: B018


def test_public_names_of_the_mlflow_adapter() -> None:
    assert mlflow_chain.__all__ == ["load_model", "wrap"]
    assert callable(mlflow_chain.load_model)
    assert callable(mlflow_chain.wrap)


def test_only_edges_touch_the_environment() -> None:
    """Where a program begins it is read and handed down; `keccak` sets it for one import."""
    readers = {
        file.relative_to(ROOT).as_posix()
        for package in ("chain_client", "mlflow_chain", "airflow_chain")
        for file in (ROOT / package).rglob("*.py")
        if "environ" in _attributes(file)
    }
    assert readers == {
        "airflow_chain/config.py",
        "airflow_chain/listener/task_environment.py",
        "airflow_chain/reading/database.py",
        "chain_client/cli/output.py",
        "chain_client/cli/databases.py",
        "chain_client/client.py",
        "chain_client/plugin_host/process.py",
        "chain_client/relay/starter.py",
        "chain_client/signing/keccak.py",
        "mlflow_chain/building.py",
        "mlflow_chain/entrypoints.py",
        "mlflow_chain/process.py",
        "mlflow_chain/recorded_uris.py",
        "mlflow_chain/run_context.py",
    }


def _attributes(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
