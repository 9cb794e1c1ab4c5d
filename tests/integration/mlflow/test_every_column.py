"""Every column that MLflow's API shows: change one cell, and verification says so.

First each column of one row, then any row at random: changed, deleted, or a copy of it added.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelInput,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
)
from mlflow.tracking._tracking_service.utils import _get_store

from chain_client.errors import HostUnavailable
from chain_client.hosts import Finding, Scope, StoreBinding
from mlflow_chain.host import MlflowHost
from tests.recorded_database import Recorded
from tests.strategies import examples

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


def fill_more() -> None:
    """Several of everything, so that rows differ."""
    store: Any = _get_store()
    client = MlflowClient()
    model = mlflow.initialize_logged_model("second", tags={"m": "2"}, params={"p": "2"}).model_id
    runs = [client.create_run("0", tags={"k": f"v{n}"}).info.run_id for n in range(3)]
    data = [DatasetInput(Dataset("d", "1", "local", "s", "schema"), [InputTag("a", "1")])]
    for n, run_id in enumerate(runs):
        values = [*range(n * 4), float("nan"), float("inf"), 2.0**60]
        points = [Metric(f"m{i % 2}", value, i, i) for i, value in enumerate(values)]
        store.log_batch(run_id, points, [], [])
        client.log_param(run_id, "p", str(n))
        store.log_metric(run_id, Metric("acc", n / 3, n, n, model_id=model))
    store.log_inputs(runs[0], data)
    store.log_inputs(runs[1], data, [LoggedModelInput(model)])
    store.log_outputs(runs[2], [LoggedModelOutput(model, 3)])
    client.delete_run(runs[2])
    for number in ("1", "2"):
        client.create_model_version("reg", f"/x{number}", tags={"vt": number})
        client.set_registered_model_alias("reg", f"alias{number}", number)
    client.transition_model_version_stage("reg", "2", "Staging")
    client.create_registered_model("empty", {"rt": "2"})


CHOICES: dict[str, tuple[Any, ...]] = {
    # MLflow knows no others; it shows a lifecycle stage only by where an entity is listed.
    "lifecycle_stage": ("active", "deleted"),
    "runs.status": ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"),
    "logged_models.status": (1, 2, 3, 4),
    "model_versions.status": ("READY", "PENDING_REGISTRATION", "FAILED_REGISTRATION"),
    "model_versions.current_stage": ("None", "Staging", "Production", "Archived"),
}

NEW_KEYS = {
    "experiment_tags": ["key"],
    "experiments": ["experiment_id", "name"],
    "input_tags": ["name"],
    "inputs": ["input_uuid", "destination_id"],
    "latest_metrics": ["key"],
    "logged_model_metrics": ["metric_name"],
    "logged_model_params": ["param_key"],
    "logged_model_tags": ["tag_key"],
    "logged_models": ["model_id"],
    "metrics": ["step"],
    "model_version_tags": ["key"],
    "model_versions": ["version"],
    "params": ["key"],
    "registered_model_aliases": ["alias"],
    "registered_model_tags": ["key"],
    "registered_models": ["name"],
    "runs": ["run_uuid"],
    "tags": ["key"],
}
"""What must be new in a copy of a row. A dataset that no run has is shown nowhere."""


@dataclass
class Tampering:
    """What was done to one row."""

    table: str
    row: dict[str, Any]
    column: str | None = None
    value: object = None

    def is_shown(self) -> bool:
        """Whether MLflow's API shows it."""
        kind = self.row.get("source_type")
        if (self.table, self.column) in {("inputs", "source_type"), ("inputs", "step")}:
            return kind == "RUN_OUTPUT" or (kind == "RUN_INPUT" and self.column != "step")
        if self.column == "value" and self.row.get("is_nan"):
            return False
        return (self.table, self.column) not in NOT_SHOWN

    def names(self, runs_of: dict[str, list[str]]) -> list[str]:
        """The subjects of which one must stand in a finding."""
        row, table = self.row, self.table
        if table in {"datasets", "input_tags"}:
            dataset = row["dataset_uuid" if table == "datasets" else "input_uuid"]
            return [f"run {run}" for run in runs_of[dataset]]
        if table == "inputs":
            # A dataset points to its run; a run points to its models.
            ends = (row["source_id"], row["destination_id"])
            return [f"run {ends[row['destination_type'] == 'RUN']}"]
        if table.startswith("logged_model"):
            return [f"logged model {row['model_id']}"]
        if table.startswith("experiment"):
            return [f"experiment {row['experiment_id']}"]
        if table.startswith("model_version"):
            return [f"model {row['name']}/version {row['version']}"]
        if table.startswith("registered"):
            return [f"model {row['name']}"]
        return [f"run {row['run_uuid']}"]


def scalars(values: Iterable[object]) -> Iterator[str]:
    """Every scalar in JSON values, as text."""
    for value in values:
        if isinstance(value, list):
            yield from scalars(value)
        elif isinstance(value, dict):
            yield from scalars(value.values())
        else:
            yield str(value)


def as_shown(table: str, column: str, value: Any) -> str:
    """A cell as a finding shows it."""
    if (table, column) == ("logged_models", "status"):
        return str(LoggedModelStatus.from_int(value))
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return str(value)


texts = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20)
integers = st.integers(-(2**40), 2**62)


def another(table: str, column: str, kind: str, old: object) -> st.SearchStrategy[Any]:
    """Another value that fits a column."""
    choices = CHOICES.get(f"{table}.{column}", CHOICES.get(column))
    if choices is not None:
        values: st.SearchStrategy[Any] = st.sampled_from(choices)
    elif kind == "BOOLEAN":
        values = st.booleans().map(int)
    elif "INT" in kind:
        values = integers
    else:
        values = st.floats(allow_nan=False) if kind.startswith(("FLOAT", "DOUBLE")) else texts
    return values.filter(lambda value: value != old)


def test_whatever_is_done_to_any_row_at_random_is_named(tracked: Recorded, tmp_path: Path) -> None:
    fill()
    fill_more()
    events = tracked.events()
    (binding,) = tracked.client.folder.bindings()
    copy = tmp_path / "copy.db"
    store = StoreBinding(binding.store_id, "mlflow", f"sqlite:///{copy}")
    kinds: dict[str, dict[str, str]] = {}
    for table, column, kind in cells(tracked.file):
        kinds.setdefault(table, {})[column] = kind
    with closing(sqlite3.connect(tracked.file)) as database:
        database.row_factory = sqlite3.Row
        rows = {
            table: [
                dict(row) for row in database.execute(f"SELECT rowid AS rowid_, * FROM {table}")
            ]
            for table in kinds
        }
        # Another key is another entity; NaN has no other value.
        keys = {("datasets", "dataset_uuid"), ("metrics", "is_nan"), ("latest_metrics", "is_nan")}
        for table in set(kinds) - {"metrics"}:
            info = database.execute(f"PRAGMA table_info({table})").fetchall()
            keys |= {(table, column["name"]) for column in info if column["pk"]}
        keys |= {("metrics", "key"), ("metrics", "run_uuid")}
    runs_of: dict[str, list[str]] = {}
    for row in rows["inputs"]:
        for place in (row["source_id"], row["input_uuid"]):
            runs_of.setdefault(place, []).append(row["destination_id"])
    runs = [row["run_uuid"] for row in rows["runs"]]
    assert tracked.findings() == []

    def execute(statement: str, *values: object) -> bool:
        with closing(sqlite3.connect(copy)) as database, database:
            database.execute("PRAGMA ignore_check_constraints = 1")
            try:
                return database.execute(statement, values).rowcount == 1
            except sqlite3.IntegrityError:
                return False

    def tamper(data: st.DataObject) -> Tampering | None:
        table = data.draw(st.sampled_from(sorted(kinds)), "table")
        row = dict(data.draw(st.sampled_from(rows[table]), "row"))
        rowid = row.pop("rowid_")
        deed = data.draw(st.sampled_from(["change", "change", "delete", "insert"]), "deed")
        if deed == "delete":
            done = execute(f"DELETE FROM {table} WHERE rowid = ?", rowid)
            return Tampering(table, row) if done else None
        if deed == "change":
            column = data.draw(st.sampled_from(sorted(kinds[table])), "column")
            value = data.draw(another(table, column, kinds[table][column], row[column]), "value")
            done = execute(f'UPDATE {table} SET "{column}" = ? WHERE rowid = ?', value, rowid)
            return Tampering(table, row, column, value) if done else None
        for column in NEW_KEYS.get(table, ()):
            row[column] = data.draw(another(table, column, kinds[table][column], row[column]))
        if table == "inputs" and row["destination_type"] == "RUN":
            row["destination_id"] = data.draw(st.sampled_from(runs), "run")
        marks = ", ".join("?" * len(row))
        columns = ", ".join(f'"{column}"' for column in row)
        done = execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", *row.values())
        return Tampering(table, row) if done and table in NEW_KEYS else None

    @settings(
        max_examples=examples(40),
        suppress_health_check=[HealthCheck.filter_too_much],
        deadline=None,
    )
    @given(data=st.data())
    def is_named(data: st.DataObject) -> None:
        shutil.copy(tracked.file, copy)
        deed = tamper(data)
        assume(deed is not None and deed.is_shown())
        assert deed is not None
        compared = MlflowHost().compare(store, events, Scope(), lambda *step: None)
        found = [item for item in compared if isinstance(item, Finding)]
        names = deed.names(runs_of)
        about = [item for item in found if item.subject.startswith(tuple(names))]
        assert about, (deed, found)
        unreadable = any(item.kind.endswith("_unreadable") for item in about)
        column = deed.column
        if unreadable or column is None or (deed.table, column) in keys:
            return
        old, new = (as_shown(deed.table, column, v) for v in (deed.row[column], deed.value))
        assert old in set(scalars(item.expected for item in about)), (deed, about)
        assert new in set(scalars(item.actual for item in about)), (deed, about)

    is_named()
