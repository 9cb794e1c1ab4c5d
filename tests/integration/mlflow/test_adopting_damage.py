"""A database that was damaged before it was adopted: nothing of that is called tampering."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Dataset, DatasetInput, LoggedModelOutput, Metric, Param
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

import mlflow_chain
from chain_client.hosts import Scope, Unchecked
from mlflow_chain.host import MlflowHost
from tests.recorded_database import Recorded

DAMAGE = [
    # A run and a logged model that no listing shows.
    "update runs set experiment_id = 77 where name = 'orphan'",
    "update runs set lifecycle_stage = 'hidden' where name = 'hidden'",
    "update logged_models set experiment_id = 77 where name = 'orphan'",
    "update logged_models set lifecycle_stage = 'hidden' where name = 'hidden'",
    # Points without a latest value, a latest value without points, one that is not the newest.
    "delete from latest_metrics where key = 'no latest'",
    "delete from metrics where key = 'no points'",
    "update latest_metrics set value = 99 where key = 'odd'",
    "update latest_metrics set step = 99 where key = 'odd step'",
    # Models and versions that a tag hides from every listing.
    "insert into registered_models (name, workspace) values ('z', 'default')",
    "insert into registered_model_tags (key, value, name, workspace) "
    "values ('mlflow.prompt.is_prompt', 'x', 'z', 'default')",
    "insert into model_versions (name, version, current_stage, status, workspace) "
    "values ('m', 2, 'None', 'READY', 'default')",
    "insert into model_version_tags (key, value, name, version, workspace) "
    "values ('mlflow.prompt.is_prompt', 'x', 'm', 2, 'default')",
    # A run and a logged model that MLflow can't show at all.
    "update inputs set step = 'x' where destination_type = 'MODEL_OUTPUT'",
    "update logged_models set status = 99 where name = 'broken'",
]
KEYS = ("fine", "no latest", "no points", "odd", "odd step")


@pytest.fixture
def damaged(recorded: Recorded) -> tuple[Recorded, Any]:
    """A database with every damage, adopted after it."""
    uri = recorded.uri.removeprefix("chain+")
    tracking: Any = SqlAlchemyStore(uri, str(recorded.file.with_name("artifacts")))
    registry: Any = RegistryStore(uri)
    for name in ("plain", "orphan", "hidden", "broken"):
        run_id = tracking.create_run("0", "me", 1, [], name).info.run_id
        for key in KEYS:
            tracking.log_metric(run_id, Metric(key, 1.0, 1, 1))
        dataset = Dataset(name, "digest", "local", "source")
        tracking.log_inputs(run_id, [DatasetInput(dataset, [])])
        model = tracking.create_logged_model("0", name, run_id)
        if name == "broken":
            tracking.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
    registry.create_registered_model("m")
    registry.create_model_version("m", "/x")
    for statement in DAMAGE:
        assert recorded.edit(statement) > 0, statement
    mlflow_chain.wrap(tracking, recorded.client)
    return recorded, tracking


def unchecked(recorded: Recorded) -> list[str]:
    (binding,) = recorded.client.folder.bindings()
    found = MlflowHost().compare(binding, recorded.events(), Scope(), lambda *step: None)
    subjects = [item.subject for item in found if isinstance(item, Unchecked)]
    return sorted({" ".join(s.split()[:-1]) for s in subjects if s.startswith(("run", "logged"))})


def test_nothing_that_was_damaged_before_is_a_finding(damaged: tuple[Recorded, Any]) -> None:
    recorded, _ = damaged
    assert recorded.findings() == []
    # Of what MLflow can't show, it is said that nobody can tell.
    assert unchecked(recorded) == ["logged model", "run"]


def test_what_is_written_afterwards_is_none_either(damaged: tuple[Recorded, Any]) -> None:
    recorded, tracking = damaged
    for name in ("plain", "orphan"):
        for run_id in runs_named(recorded, name):
            tracking.log_param(run_id, Param("p", "1"))
            for key in KEYS:
                tracking.log_metric(run_id, Metric(key, 2.0, 200, 200))
    assert recorded.findings() == []


AFTERWARDS = [
    ("update runs set user_id = 'x' where name = 'orphan'", {"run_field_changed"}),
    ("update runs set user_id = 'x' where name = 'hidden'", {"run_field_changed"}),
    ("delete from runs where name = 'orphan'", {"run_missing"}),
    (
        "update logged_models set model_type = 'x' where name = 'orphan'",
        {"logged_model_field_changed"},
    ),
    ("delete from metrics where key = 'no latest'", {"metric_missing"}),
    ("update latest_metrics set value = 98 where key = 'odd'", {"metric_changed"}),
    ("delete from latest_metrics where key = 'odd'", {"metric_missing"}),
    ("update model_versions set source = 'x' where version = 2", {"version_field_changed"}),
    ("update registered_models set description = 'x' where name = 'z'", {"model_field_changed"}),
]


def test_what_is_changed_afterwards_is(damaged: tuple[Recorded, Any], tmp_path: Path) -> None:
    recorded, _ = damaged
    original = tmp_path / "original.db"
    shutil.copy(recorded.file, original)
    for statement, kinds in AFTERWARDS:
        assert recorded.edit(statement) > 0
        assert set(recorded.kinds()) == kinds, statement
        shutil.copy(original, recorded.file)


def runs_named(recorded: Recorded, name: str) -> list[str]:
    return [
        event.subject.id
        for event in recorded.events()
        if event.type == "run.baseline" and event.payload["fields"]["name"] == name  # type: ignore[index, call-overload]
    ]
