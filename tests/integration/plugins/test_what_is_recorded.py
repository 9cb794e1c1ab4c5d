"""No plugin of others touches what is recorded: not in the host, and not on its way to the log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chain_client.plugin_host import PluginHost, using_plugin_host
from tests.plugin_distributions import write_distribution

Command = Callable[..., tuple[int, str, str]]

HOSTILE = """
    import os, pathlib
    pathlib.Path(os.environ["MARKS"], "hostile").touch()
    from chain_client.hookspecs import hookimpl

    def fail(*values):
        raise SystemExit("a hostile plugin ends the process")

    TABLE = {"hostile": fail}

    @hookimpl
    def signers(): return TABLE

    @hookimpl
    def ledgers(): return TABLE

    @hookimpl
    def payload_stores(): return TABLE

    @hookimpl
    def spool_shippers(): return TABLE

    @hookimpl
    def artifact_stores(): return TABLE

    @hookimpl
    def proposal_changed(change): fail()

    @hookimpl
    def alarm_raised(alarm): fail()

    @hookimpl
    def check_promotion(context): fail()
"""

CLAIMING = """
    import os, pathlib
    pathlib.Path(os.environ["MARKS"], "claiming").touch()
    from chain_client.hookspecs import hookimpl

    @hookimpl
    def signers(): return {"keystore": print}

    @hookimpl
    def ledgers(): return {"embedded": print}
"""

TRAINING = """
import mlflow
mlflow.set_tracking_uri("chain+sqlite:///mlflow.db")
with mlflow.start_run() as run:
    mlflow.log_param("depth", 3)
    for step in range(5):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_text("seen", "note.txt")
client = mlflow.MlflowClient()
client.create_registered_model("churn")
client.create_model_version("churn", run.info.artifact_uri, run.info.run_id)
client.set_registered_model_alias("churn", "champion", 1)  # the gate looks, and warns
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    for name, source in (("hostile", HOSTILE), ("claiming", CLAIMING)):
        module = f"plugged_{name}"
        write_distribution(folder, f"acme-{name}", modules={module: source}, plugins={name: module})
    return folder


def test_a_process_that_records_imports_no_plugin_of_others_and_none_changes_the_log(
    site: Path,
    third_party_plugins: PluginHost,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mlops_chain: Command,
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    monkeypatch.setenv("MARKS", str(marks))
    # Founds its home too: keys, chain, contracts, and everything else that a first run makes.
    subprocess.run(
        [sys.executable, "-c", TRAINING],
        env={
            **os.environ,
            "PYTHONPATH": str(site),
            "MLOPS_CHAIN_RELAY_AUTOSTART": "false",
            "MLOPS_CHAIN_GATE_MODE": "warn",
        },
        check=True,
    )
    assert list(marks.iterdir()) == []

    # Whoever does look is told that two want one scheme, and nothing is done by halves.
    monkeypatch.syspath_prepend(site)
    home = tmp_path / ".mlops-chain"
    with using_plugin_host():
        code, _, err = mlops_chain("--home", home, "relay", "--once")
    assert {mark.name for mark in marks.iterdir()} == {"hostile", "claiming"}
    assert code == 2
    assert "acme-claiming 1.0" in err
    assert "mlops-chain 0" in err

    # With the hostile one alone, all that was recorded gets into the log, as it was.
    [described] = site.glob("acme_claiming-*")
    (described / "entry_points.txt").unlink()
    with using_plugin_host() as host:
        assert mlops_chain("--home", home, "relay", "--once")[0] == 0
        assert host.plugin("hostile").error is None
    done = subprocess.run(
        [sys.executable, "-m", "chain_client.cli", "--home", home, "verify", "--json"],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"], report["findings"]) == (0, True, []), done.stdout
    code, out, _ = mlops_chain("--home", home, "status", "--json")
    counts = json.loads(out)["counts"]
    assert counts["finalized"] >= 9
    assert sum(counts.values()) == counts["finalized"]
