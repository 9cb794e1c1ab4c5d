"""MLflow's own commands on a recorded database, and MLflow without us on it."""

from __future__ import annotations

import site as python_site
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.mlflow_server import Site

OURS = (
    "chain_client",
    "mlflow_chain",
    "airflow_chain",
    "mlops_chain",
    "_mlops_chain",
    "__editable",
)

TRAIN = """
import mlflow
with mlflow.start_run() as kept:
    mlflow.log_metric("loss", 0.5)
    mlflow.log_text("weights", "weights.txt")
with mlflow.start_run() as removed:
    mlflow.log_metric("loss", 0.7)
    mlflow.log_text("weights", "weights.txt")
client = mlflow.MlflowClient()
client.create_registered_model("model")
client.create_model_version("model", kept.info.artifact_uri, kept.info.run_id)
client.set_registered_model_alias("model", "champion", "1")
client.delete_run(removed.info.run_id)
print(kept.info.run_id)
"""

PLAIN = """
import importlib.util, os, sys, importlib.metadata
import mlflow
from mlflow.store.db.utils import _upgrade_db
from mlflow.tracking._tracking_service.utils import _get_store
assert importlib.util.find_spec("mlflow_chain") is None
assert importlib.util.find_spec("chain_client") is None
found = importlib.metadata.entry_points(group="mlflow.tracking_store")
assert not [e for e in found if "chain" in e.value], "an entry point is left"
assert not [name for name in os.environ if name.startswith("MLOPS_CHAIN")]
client = mlflow.MlflowClient()
[run] = client.search_runs(["0"])
assert run.data.metrics == {"loss": 0.5}
assert str(client.get_model_version_by_alias("model", "champion").version) == "1"
_upgrade_db(_get_store().engine)
client.log_metric(run.info.run_id, "after", 1.0)
client.set_tag(run.info.run_id, "plain", "yes")
made = client.create_run("0")
client.set_terminated(made.info.run_id)
client.delete_run(made.info.run_id)
_get_store()._hard_delete_run(made.info.run_id)
client.delete_registered_model("model")
experiment_id = client.create_experiment("new")
client.delete_experiment(experiment_id)
client.delete_run(run.info.run_id)
_get_store()._hard_delete_run(run.info.run_id)
assert not client.search_runs(["0"], run_view_type=3)
assert type(_get_store()).__name__ == "SqlAlchemyStore"
"""


def _without_us(folder: Path) -> Path:
    """What is installed here, without this distribution: for ``python -S``."""
    target = folder / "packages"
    target.mkdir()
    for place in python_site.getsitepackages():
        for entry in Path(place).iterdir():
            if not entry.name.startswith(OURS) and not (target / entry.name).exists():
                (target / entry.name).symlink_to(entry)
    return target


def test_gc_by_the_recorded_uri_is_recorded_and_mlflow_goes_on_without_us(
    new_site: Callable[..., Site],
) -> None:
    site = new_site()
    trained = site.run("-c", TRAIN, MLFLOW_TRACKING_URI=site.uri)
    assert trained.returncode == 0, trained.stderr
    collected = site.run(
        *("-m", "mlflow", "gc", "--backend-store-uri", site.uri), MLFLOW_TRACKING_URI=site.uri
    )
    assert collected.returncode == 0, collected.stderr
    types = [event.type for event in site.events()]
    assert types.count("run.removed") == 1
    assert "artifacts.deleted" in types
    upgraded = site.run("-m", "mlflow", "db", "upgrade", site.plain_uri)
    assert upgraded.returncode == 0, upgraded.stderr
    site.verify()

    ours = [name for name in site.environment if name.startswith("MLOPS_CHAIN")]
    environment = {k: v for k, v in site.environment.items() if k not in ours}
    done = subprocess.run(
        [sys.executable, "-S", "-c", PLAIN],
        cwd=site.folder,
        env=environment
        | {"PYTHONPATH": str(_without_us(site.folder)), "MLFLOW_TRACKING_URI": site.plain_uri},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
