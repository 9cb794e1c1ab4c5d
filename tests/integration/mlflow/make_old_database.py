"""Makes `recorded-by-mlflow-3.12.sql` and `.json`: run it with MLflow 3.12, in an empty folder.

`make test-mlflow` makes that environment; then
``.venv-mlflow-3.12/bin/python tests/integration/mlflow/make_old_database.py FOLDER``.
What is recorded is kept as events, which hold no key, instead of as a home.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow.store.model_registry.sqlalchemy_store as registry_module
from mlflow.entities import (
    Dataset,
    DatasetInput,
    ExperimentTag,
    InputTag,
    LoggedModelInput,
    LoggedModelOutput,
    LoggedModelParameter,
    LoggedModelTag,
    Metric,
    Param,
    RunTag,
)
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

import mlflow_chain
from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.verify import read_spooled

NAME = "recorded-by-mlflow-3.12"


def fill(store: Any, registry: Any) -> None:
    """A few of everything that is recorded."""
    other = store.create_experiment("other", tags=[ExperimentTag("team", "a")])
    store.rename_experiment(other, "renamed")
    runs = [
        store.create_run(experiment, "me", 1_000, [RunTag("k", "v")], name).info.run_id
        for experiment, name in [("0", "first"), (other, "second"), (other, "third")]
    ]
    model = store.create_logged_model(
        other, "model", runs[0], [LoggedModelTag("t", "1")], [LoggedModelParameter("p", "1")]
    ).model_id
    values = [0.5, -0.0, 1e-320, float("nan"), float("inf"), float("-inf"), 2.0**60]
    for run_id in runs:
        points = [Metric("loss", value, n, 2**60 + n) for n, value in enumerate(values)]
        store.log_batch(run_id, points, [Param("p", "v" * 500)], [RunTag("emoji", "🎉")])
    store.log_metric(runs[1], Metric("score", 0.5, 1, 1, model_id=model))
    data = [DatasetInput(Dataset("d", "1", "local", "s", "schema"), [InputTag("a", "1")])]
    store.log_inputs(runs[1], data, [LoggedModelInput(model)])
    store.log_outputs(runs[2], [LoggedModelOutput(model, 3)])
    store.set_tag(runs[0], RunTag("k", "changed"))
    store.delete_tag(runs[1], "k")
    store.delete_run(runs[2])
    registry.create_registered_model("reg", [RegisteredModelTag("rt", "1")], "described")
    for source in ("s3://bucket/x", "s3://bucket/y"):
        registry.create_model_version("reg", source, runs[0], [ModelVersionTag("vt", "1")])
    registry.set_registered_model_alias("reg", "champion", "2")
    registry.transition_model_version_stage("reg", "1", "Staging", False)
    registry.create_registered_model("gone")
    registry.delete_registered_model("gone")


def main() -> None:
    """Write both files into the folder."""
    folder = Path(sys.argv[1]).resolve()
    settings = Settings(home=folder / "home", relay_autostart=False, spool_durability="process")
    client = ChainClient.open(settings, create=True)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    store_class: Any = SqlAlchemyStore
    store = store_class(uri, "s3://bucket/artifacts")
    registry = registry_module.SqlAlchemyStore(uri)
    mlflow_chain.wrap(store, client)
    mlflow_chain.wrap(registry, client)
    fill(store, registry)
    events = read_spooled(client.folder.spool, client.log).events.values()
    rows = [dataclasses.asdict(event) for event in events]
    text = json.dumps(rows, default=bytes.hex, indent=1)
    folder.joinpath(f"{NAME}.json").write_text(text + "\n")
    client.recorder.close()
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        folder.joinpath(f"{NAME}.sql").write_text("\n".join(database.iterdump()) + "\n")


if __name__ == "__main__":
    main()
