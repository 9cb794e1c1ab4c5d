"""An auditor's machine: it never records, and may only read what it verifies."""

from __future__ import annotations

import json
import shutil
import sqlite3
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chain_client import ChainClient
from tests.integration.relays.conftest import TwoHosts, settings_for

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's own imports warn about its own dependencies
    from mlflow import MlflowClient
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

pytestmark = pytest.mark.filterwarnings("ignore")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, made once: that takes seconds."""
    file = tmp_path_factory.mktemp("empty") / "mlflow.db"
    SqlAlchemyStore(f"sqlite:///{file}", str(file.parent)).engine.dispose()
    return file


@pytest.fixture
def folder(hosts: TwoHosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both homes are in it; the command line has their settings."""
    settings = settings_for(RELAY_AUTOSTART="false", **hosts.settings)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(hosts.a.home))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def recorded(empty: Path, folder: Path, *names: str) -> list[Path]:
    """Databases that are recorded on the first machine, by a process that has ended."""
    files = []
    for name in names:
        (folder / name).mkdir()
        files.append(Path(shutil.copy(empty, folder / name)))
        client = MlflowClient(tracking_uri=f"chain+sqlite:///{files[-1]}")
        experiment = client.create_experiment("e", artifact_location=str(folder / name / "files"))
        run = client.create_run(experiment).info.run_id
        client.log_metric(run, "loss", 0.5)
        client.set_terminated(run)
    return files


def anchor(hosts: TwoHosts) -> None:
    client = ChainClient.open(hosts.a.settings)
    client.recorder.close()
    relay = client.relay()
    relay.start()
    relay.drain(patience_s=20)
    relay.close()
    client.close()


def checks(report: str) -> dict[str, Any]:
    return {check["name"]: check for check in json.loads(report)["checks"]}


def test_databases_that_only_other_machines_record_are_compared(
    hosts: TwoHosts, folder: Path, empty_database: Path, mlops_chain: Run
) -> None:
    files = recorded(empty_database, folder, "one", "two")
    anchor(hosts)
    one, two = (f"sqlite:///{file}" for file in files)
    verify = ("--home", hosts.b.home, "verify", "--json")
    for file in files:
        file.chmod(0o444)
        file.parent.chmod(0o555)
    before = {file: file.read_bytes() for file in files}
    code, report, _ = mlops_chain(*verify, "--tracking-uri", one, "--tracking-uri", two)
    assert (code, json.loads(report)["findings"]) == (0, []), report
    assert [check["name"] for check in json.loads(report)["checks"]].count("mlflow") == 2

    # What was not named is told, so that no database is left out by putting another in its place.
    code, report, _ = mlops_chain(*verify, "--tracking-uri", one)
    assert code == 2
    assert "--tracking-uri" in checks(report)["unknown store"]["detail"]
    assert {file: file.read_bytes() for file in files} == before
    assert not list((hosts.b.home / "stores").iterdir())
    assert not (hosts.b.home / "ingester-id").exists()


def test_what_a_database_says_of_itself_is_not_believed_blindly(
    hosts: TwoHosts, folder: Path, empty_database: Path, mlops_chain: Run
) -> None:
    [file] = recorded(empty_database, folder, "one")
    anchor(hosts)
    verify = ("--home", hosts.b.home, "verify", "--tracking-uri")

    def said(place: Path) -> tuple[int, str]:
        code, out, err = mlops_chain(*verify, f"sqlite:///{place}")
        return code, " ".join((out + err).split())

    edit(file, "UPDATE metrics SET value = 0.9")
    code, text = said(file)
    assert (code, "metric_changed" in text) == (1, True)
    for change, told in (
        (f"store_id = '{'f' * 32}'", "the log holds nothing of such a store"),
        (f"deployment_id = '{'e' * 32}'", "it belongs to deployment"),
    ):
        edit(file, f"UPDATE mlops_chain_deployment SET {change}")
        code, text = said(file)
        assert (code, told in text) == (2, True), text
    missing = folder / "none.db"
    code, text = said(missing)
    assert (code, "which does not exist" in text) == (2, True), text
    assert not missing.exists()


def edit(file: Path, statement: str) -> None:
    """Change it past the recorder."""
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(statement)
    connection.close()
