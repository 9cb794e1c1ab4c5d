"""Every column that MLflow's API shows: change one cell, and verification says so."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

from chain_client.errors import HostUnavailable
from chain_client.hosts import Scope, StoreBinding
from mlflow_chain.host import MlflowHost
from tests.recorded_database import Recorded

pytestmark = pytest.mark.filterwarnings("ignore")

NOT_SHOWN = {
    # MLflow fills these, and no entity of its API shows them.
    ("datasets", "experiment_id"),
    ("experiments", "workspace"),
    ("inputs", "input_uuid"),
    ("inputs", "source_type"),
    ("inputs", "step"),
    ("logged_model_metrics", "dataset_uuid"),
    ("logged_model_metrics", "experiment_id"),
    ("logged_model_params", "experiment_id"),
    ("logged_model_tags", "experiment_id"),
    ("runs", "deleted_time"),
    ("runs", "entry_point_name"),
    ("runs", "source_name"),
    ("runs", "source_type"),
    ("runs", "source_version"),
}
"""Columns that may change without a finding, each for the reason above."""

OTHERS = ("mlops_chain_", "alembic_", "sqlite_", "workspaces")
"""Tables that hold nothing of what is recorded."""


def fill() -> None:
    """One of everything that is recorded."""
    import pandas as pd
    from mlflow.data.pandas_dataset import from_pandas
    from sklearn.linear_model import LogisticRegression

    client = MlflowClient()
    experiment = mlflow.set_experiment("one")
    client.set_experiment_tag(experiment.experiment_id, "team", "a")
    with mlflow.start_run(run_name="first", tags={"k": "v"}):
        mlflow.log_params({"a": 1})
        mlflow.log_metric("loss", 0.5, step=1)
        data = from_pandas(pd.DataFrame({"x": [1, 2]}), name="data")
        mlflow.log_input(data, context="train", tags={"t": "1"})
        model = LogisticRegression().fit([[0], [1]], [0, 1])
        logged = mlflow.sklearn.log_model(
            model, name="model", registered_model_name="reg", params={"p": "1"}, tags={"m": "1"}
        )
        mlflow.log_metric("score", 0.5, step=1, model_id=logged.model_id, dataset=data)
    client.set_registered_model_tag("reg", "rt", "1")
    client.update_registered_model("reg", "described")
    client.set_model_version_tag("reg", "1", "vt", "1")
    client.set_registered_model_alias("reg", "champion", "1")
    client.update_model_version("reg", "1", "described")


def cells(database: Path) -> Iterator[tuple[str, str, str]]:
    """Table, column and type of every column of a table that holds something."""
    with closing(sqlite3.connect(database)) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            if table.startswith(OTHERS):
                continue
            if not connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]:
                continue
            for row in connection.execute(f"PRAGMA table_info({table})").fetchall():
                yield table, row[1], row[2].upper()


def changed(value: Any, kind: str) -> Any:
    """Another value of the same kind."""
    if isinstance(value, int):
        return 1 - value if kind == "BOOLEAN" else value + 1
    if isinstance(value, float):
        return value + 0.5
    if value is None:
        return 5 if "INT" in kind else "changed"
    # MLflow shows a lifecycle stage only by where an entity is listed.
    return "deleted" if value == "active" else f"changed {value}"


def change_first(database: Path, table: str, column: str, kind: str) -> bool:
    """Change the column in the table's first row; False if the database does not allow it."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        row, value = connection.execute(
            f"SELECT rowid, {column} FROM {table} ORDER BY rowid LIMIT 1"
        ).fetchone()
        try:
            connection.execute(
                f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (changed(value, kind), row)
            )
        except sqlite3.IntegrityError:
            return False
        connection.commit()
    return True


def test_a_change_of_any_shown_column_is_named(tracked: Recorded, tmp_path: Path) -> None:
    fill()
    events = tracked.events()
    (binding,) = tracked.client.folder.bindings()
    copy = tmp_path / "copy.db"

    def is_named() -> bool:
        store = StoreBinding(binding.store_id, "mlflow", f"sqlite:///{copy}")
        try:
            return bool(list(MlflowHost().compare(store, events, Scope(), lambda *step: None)))
        except HostUnavailable:
            return True  # the damage keeps MLflow itself from reading: exit code 2

    shutil.copy(tracked.file, copy)
    assert not is_named()
    unnoticed = set()
    tried = 0
    for table, column, kind in list(cells(tracked.file)):
        shutil.copy(tracked.file, copy)
        if not change_first(copy, table, column, kind):
            continue
        tried += 1
        if not is_named():
            unnoticed.add((table, column))
    assert unnoticed - NOT_SHOWN == set()
    assert tried > 90


def test_a_removal_of_any_row_is_named(tracked: Recorded, tmp_path: Path) -> None:
    fill()
    events = tracked.events()
    (binding,) = tracked.client.folder.bindings()
    copy = tmp_path / "copy.db"
    store = StoreBinding(binding.store_id, "mlflow", f"sqlite:///{copy}")
    tables = sorted({table for table, _, _ in cells(tracked.file)})
    assert tracked.findings() == []
    unnoticed = []
    for table in tables:
        shutil.copy(tracked.file, copy)
        with closing(sqlite3.connect(copy)) as connection, connection:
            connection.execute(
                f"DELETE FROM {table} WHERE rowid = (SELECT max(rowid) FROM {table})"
            )
        try:
            named = list(MlflowHost().compare(store, events, Scope(), lambda *step: None))
        except HostUnavailable:
            continue
        if not named:
            unnoticed.append(table)
    assert unnoticed == []
