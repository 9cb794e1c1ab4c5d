"""Every recorded method of MLflow's stores: what it changes in the database is what its event says.

Both ways: an event without its change is a finding, and a change without its event is one.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import (
    Dataset,
    DatasetInput,
    ExperimentTag,
    InputTag,
    LoggedModelInput,
    LoggedModelOutput,
    LoggedModelParameter,
    LoggedModelStatus,
    LoggedModelTag,
    Metric,
    Param,
    RunStatus,
    RunTag,
)
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.entities.workspace import Workspace, WorkspaceDeletionMode
from mlflow.models import Model
from mlflow.store.model_registry.sqlalchemy_workspace_store import (
    WorkspaceAwareSqlAlchemyStore as RegistryStore,
)
from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from mlflow.utils.workspace_context import WorkspaceContext

import mlflow_chain
from chain_client.events import Event
from chain_client.hosts import Finding, Scope
from mlflow_chain.building import build_workspace_store
from mlflow_chain.reading.sql import SqlReader
from mlflow_chain.stores.methods import REGISTRY, TRACKING, WORKSPACES, Recorded
from mlflow_chain.verifying.comparison import Comparison
from mlflow_chain.verifying.replay import replay
from tests.recorded_database import Recorded as Database

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

Rows = dict[tuple[str, int], dict[str, Any]]
"""By table and row id."""


@dataclass
class Stage:
    """Recorded stores, and what the calls before made."""

    tracking: Any
    registry: Any
    workspaces: Any
    experiment: str = ""
    run: str = ""
    model: str = ""


@dataclass(frozen=True)
class Drive:
    """A call of one method, and what it changes.

    Args:
        call: the call.
        changes: ``+table`` and ``-table`` for rows that come and go, ``table.column`` for cells.
        is_compared: whether what it changes is part of what verification compares.
    """

    call: Callable[[Stage], Any]
    changes: str
    is_compared: bool = True


def _create_experiment(stage: Stage) -> None:
    stage.experiment = stage.tracking.create_experiment("e", tags=[ExperimentTag("a", "1")])


def _create_run(stage: Stage) -> None:
    run = stage.tracking.create_run(stage.experiment, "me", 5, [RunTag("k", "v")], "name")
    stage.run = run.info.run_id


def _create_logged_model(stage: Stage) -> None:
    tags, params = [LoggedModelTag("t", "1")], [LoggedModelParameter("p", "1")]
    model = stage.tracking.create_logged_model(
        stage.experiment, "net", stage.run, tags, params, "kind"
    )
    stage.model = model.model_id


def _log_inputs(stage: Stage) -> None:
    dataset = Dataset("data", "digest", "local", "source", "schema", "profile")
    stage.tracking.log_inputs(
        stage.run,
        [DatasetInput(dataset, [InputTag("context", "train")])],
        [LoggedModelInput(stage.model)],
    )


def _log_batch(stage: Stage) -> None:
    metrics = [Metric("m", 2.0, 7, 1), Metric("n", 3.0, 8, 2)]
    stage.tracking.log_batch(stage.run, metrics, [Param("q", "2")], [RunTag("k", "w")])


def _in_other_workspace(stage: Stage) -> None:
    stage.workspaces.delete_workspace("team", WorkspaceDeletionMode.SET_DEFAULT)


M = "m"
DRIVES: dict[str, Drive] = {
    "create_experiment": Drive(_create_experiment, "+experiments +experiment_tags"),
    "rename_experiment": Drive(
        lambda s: s.tracking.rename_experiment(s.experiment, "f"),
        "experiments.name experiments.last_update_time",
    ),
    "set_experiment_tag": Drive(
        lambda s: s.tracking.set_experiment_tag(s.experiment, ExperimentTag("a", "2")),
        "experiment_tags.value",
    ),
    "delete_experiment_tag": Drive(
        lambda s: s.tracking.delete_experiment_tag(s.experiment, "a"), "-experiment_tags"
    ),
    "create_run": Drive(_create_run, "+runs +tags"),
    "update_run_info": Drive(
        lambda s: s.tracking.update_run_info(s.run, RunStatus.FINISHED, 9, "other"),
        "runs.status runs.end_time runs.name tags.value",
    ),
    "log_metric": Drive(
        lambda s: s.tracking.log_metric(s.run, Metric("m", 1.0, 6, 0)), "+metrics +latest_metrics"
    ),
    "log_param": Drive(lambda s: s.tracking.log_param(s.run, Param("p", "1")), "+params"),
    "set_tag": Drive(lambda s: s.tracking.set_tag(s.run, RunTag("t", "1")), "+tags"),
    "delete_tag": Drive(lambda s: s.tracking.delete_tag(s.run, "t"), "-tags"),
    "log_batch": Drive(
        _log_batch,
        "+metrics +latest_metrics +params tags.value latest_metrics.value "
        "latest_metrics.timestamp latest_metrics.step",
    ),
    "create_logged_model": Drive(
        _create_logged_model, "+logged_models +logged_model_tags +logged_model_params"
    ),
    "finalize_logged_model": Drive(
        lambda s: s.tracking.finalize_logged_model(s.model, LoggedModelStatus.READY),
        "logged_models.status logged_models.last_updated_timestamp_ms",
    ),
    "set_logged_model_tags": Drive(
        lambda s: s.tracking.set_logged_model_tags(s.model, [LoggedModelTag("t", "2")]),
        "logged_model_tags.tag_value",
    ),
    "delete_logged_model_tag": Drive(
        lambda s: s.tracking.delete_logged_model_tag(s.model, "t"), "-logged_model_tags"
    ),
    "log_logged_model_params": Drive(
        lambda s: s.tracking.log_logged_model_params(s.model, [LoggedModelParameter("q", "2")]),
        "+logged_model_params",
    ),
    "log_inputs": Drive(_log_inputs, "+datasets +inputs +input_tags"),
    "log_outputs": Drive(
        lambda s: s.tracking.log_outputs(s.run, [LoggedModelOutput(s.model, 3)]), "+inputs"
    ),
    "record_logged_model": Drive(
        lambda s: s.tracking.record_logged_model(s.run, Model("model", s.run)), "+tags"
    ),
    "create_registered_model": Drive(
        lambda s: s.registry.create_registered_model(M, [RegisteredModelTag("a", "1")], "d"),
        "+registered_models +registered_model_tags",
    ),
    "create_model_version": Drive(
        lambda s: s.registry.create_model_version(M, "/x", s.run, [ModelVersionTag("t", "1")]),
        "+model_versions +model_version_tags registered_models.last_updated_time",
    ),
    "update_registered_model": Drive(
        lambda s: s.registry.update_registered_model(M, "new"),
        "registered_models.description registered_models.last_updated_time",
    ),
    "set_registered_model_tag": Drive(
        lambda s: s.registry.set_registered_model_tag(M, RegisteredModelTag("a", "2")),
        "registered_model_tags.value",
    ),
    "delete_registered_model_tag": Drive(
        lambda s: s.registry.delete_registered_model_tag(M, "a"), "-registered_model_tags"
    ),
    "set_registered_model_alias": Drive(
        lambda s: s.registry.set_registered_model_alias(M, "champion", 1),
        "+registered_model_aliases",
    ),
    "delete_registered_model_alias": Drive(
        lambda s: s.registry.delete_registered_model_alias(M, "champion"),
        "-registered_model_aliases",
    ),
    "update_model_version": Drive(
        lambda s: s.registry.update_model_version(M, 1, "text"),
        "model_versions.description model_versions.last_updated_time",
    ),
    "set_model_version_tag": Drive(
        lambda s: s.registry.set_model_version_tag(M, 1, ModelVersionTag("t", "2")),
        "model_version_tags.value",
    ),
    "delete_model_version_tag": Drive(
        lambda s: s.registry.delete_model_version_tag(M, 1, "t"), "-model_version_tags"
    ),
    "transition_model_version_stage": Drive(
        lambda s: s.registry.transition_model_version_stage(M, 1, "production", False),
        "model_versions.current_stage model_versions.last_updated_time "
        "registered_models.last_updated_time",
    ),
    "rename_registered_model": Drive(
        lambda s: s.registry.rename_registered_model(M, "n"),
        "registered_models.name registered_models.last_updated_time "
        "model_versions.name model_versions.last_updated_time",
    ),
    "delete_model_version": Drive(
        lambda s: s.registry.delete_model_version("n", 1),
        "registered_models.last_updated_time model_versions.current_stage "
        "model_versions.last_updated_time model_versions.description model_versions.source "
        "model_versions.run_id model_versions.run_link",
    ),
    "delete_registered_model": Drive(
        lambda s: s.registry.delete_registered_model("n"), "-registered_models -model_versions"
    ),
    "delete_logged_model": Drive(
        lambda s: s.tracking.delete_logged_model(s.model),
        "logged_models.lifecycle_stage logged_models.last_updated_timestamp_ms",
    ),
    "_hard_delete_logged_model": Drive(
        lambda s: s.tracking._hard_delete_logged_model(s.model),
        "-logged_models -logged_model_params",
    ),
    "delete_run": Drive(
        lambda s: s.tracking.delete_run(s.run), "runs.lifecycle_stage runs.deleted_time"
    ),
    "restore_run": Drive(
        lambda s: s.tracking.restore_run(s.run), "runs.lifecycle_stage runs.deleted_time"
    ),
    "delete_experiment": Drive(
        lambda s: s.tracking.delete_experiment(s.experiment),
        "experiments.lifecycle_stage experiments.last_update_time "
        "runs.lifecycle_stage runs.deleted_time",
    ),
    "restore_experiment": Drive(
        lambda s: s.tracking.restore_experiment(s.experiment),
        "experiments.lifecycle_stage experiments.last_update_time "
        "runs.lifecycle_stage runs.deleted_time",
    ),
    "_hard_delete_run": Drive(
        lambda s: s.tracking._hard_delete_run(s.run),
        "-runs -metrics -latest_metrics -params -tags",
    ),
    "_hard_delete_experiment": Drive(
        lambda s: s.tracking._hard_delete_experiment(s.experiment), "-experiments -datasets"
    ),
    "create_workspace": Drive(
        lambda s: s.workspaces.create_workspace(Workspace(name="team")), "+workspaces", False
    ),
    "update_workspace": Drive(
        lambda s: s.workspaces.update_workspace(Workspace(name="team", description="d")),
        "workspaces.description",
        False,
    ),
    "delete_workspace": Drive(
        _in_other_workspace, "-workspaces registered_models.workspace model_versions.workspace"
    ),
}
"""In the order of the calls."""

BETWEEN: dict[str, Callable[[Stage], Any]] = {
    "_hard_delete_experiment": lambda s: s.tracking.delete_experiment(s.experiment),
    "delete_workspace": lambda s: _fill_workspace(s),
}
"""What has to be done before a call, so that it has something to change."""

NOT_TOLD = {
    # What MLflow fills in beside what was asked; the API shows none of it.
    "datasets.dataset_uuid",
    "input_tags.input_uuid",
    "inputs.input_uuid",
    "inputs.source_id",
    "inputs.source_type",
    "inputs.destination_id",
    "inputs.destination_type",
    "inputs.step",
    "datasets.experiment_id",
    "logged_model_params.experiment_id",
    "runs.source_type",
    "runs.source_name",
    "runs.entry_point_name",
    "runs.source_version",
    "runs.deleted_time",
    # What follows from the type of the event.
    "experiments.lifecycle_stage",
    "runs.lifecycle_stage",
    "logged_models.lifecycle_stage",
    "logged_models.status",
    "model_versions.current_stage",
    "model_versions.status",
    # A version that is deleted keeps its row, with these blackened.
    "model_versions.source",
    "model_versions.run_id",
    "model_versions.run_link",
}
"""Cells whose values need not stand in the event, each for the reason above."""


def _fill_workspace(stage: Stage) -> None:
    with WorkspaceContext("team"):
        stage.registry.create_registered_model("w")
        stage.registry.create_model_version("w", "/x")


@pytest.fixture
def stage(recorded: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    uri = recorded.uri.removeprefix("chain+")
    with WorkspaceContext("default"):
        tracking = WorkspaceAwareSqlAlchemyStore(uri, str(recorded.file.with_name("artifacts")))
        yield Stage(
            mlflow_chain.wrap(tracking, recorded.client),
            mlflow_chain.wrap(RegistryStore(uri), recorded.client),
            build_workspace_store(recorded.uri),
        )


def dump(file: Path) -> Rows:
    """Every row of MLflow's tables."""
    rows: Rows = {}
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        tables = connection.execute(
            "select name from sqlite_master where type = 'table'"
        ).fetchall()
        for (table,) in tables:
            if not table.startswith(("mlops_chain_", "alembic_", "sqlite_")):
                for row in connection.execute(f"select rowid as row_id_, * from {table}"):
                    cells = dict(row)
                    rows[table, cells.pop("row_id_")] = cells
    return rows


def differences(before: Rows, after: Rows) -> tuple[set[str], dict[str, list[Any]]]:
    """What changed, as in `Drive.changes`, and the new values of each cell."""
    changes: set[str] = set()
    values: dict[str, list[Any]] = {}
    for place in before.keys() | after.keys():
        table = place[0]
        old, new = before.get(place), after.get(place)
        if new is None:
            changes.add(f"-{table}")
        else:
            if old is None:
                changes.add(f"+{table}")
            for column, value in new.items():
                if old is None or old[column] != value:
                    values.setdefault(f"{table}.{column}", []).append(value)
                    if old is not None:
                        changes.add(f"{table}.{column}")
    return changes, values


def scalars(value: Any) -> Iterator[str]:
    """Every value in an event, as text."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from scalars(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from scalars(item)
    else:
        yield str(value)


def untold(event: Event, values: dict[str, list[Any]]) -> set[str]:
    """Cells whose new values the event does not tell."""
    told = set(scalars([event.subject.id, dict(event.payload), dict(event.result or {})]))
    told |= set(event.subject.id.split("/")) | {"None", "0", "False"}
    # A workspace is told where it is not the default one; a run's name is a tag, too.
    told |= {"default", "mlflow.runName"}
    return {
        cell
        for cell, found in values.items()
        if cell not in NOT_TOLD and not {str(value) for value in found} <= told
    }


def test_what_each_method_changes_is_what_its_event_says(
    stage: Stage, recorded: Database, tmp_path: Path
) -> None:
    table: dict[str, Recorded] = {**TRACKING, **REGISTRY, **WORKSPACES}
    stores = (stage.tracking, stage.registry, stage.workspaces)
    installed = {name for name in table if any(hasattr(store, name) for store in stores)}
    assert installed - DRIVES.keys() == set(), "a recorded method that nobody drives"
    (binding,) = recorded.client.folder.bindings()
    earlier = tmp_path / "earlier.db"
    shutil.copy(recorded.file, earlier)
    # Opening a database costs MLflow more than reading a small one.
    readers = {file: SqlReader(f"sqlite:///{file}") for file in (recorded.file, earlier)}

    def compare(events: list[Event], file: Path) -> list[Finding]:
        readers[file].tracking.engine.dispose()
        readers[file].registry.engine.dispose()
        state = replay(events, Scope())
        comparison = Comparison(state, readers[file], lambda *step: None, binding)
        return [item for item in comparison.find(Scope()) if isinstance(item, Finding)]

    wrong: list[Any] = []
    for name, drive in DRIVES.items():
        if name not in installed:
            continue
        if name in BETWEEN:
            BETWEEN[name](stage)
        shutil.copy(recorded.file, earlier)
        before, known = dump(recorded.file), recorded.events()
        drive.call(stage)
        events = recorded.events()
        fresh = [event for event in events if event not in known]
        changes, values = differences(before, dump(recorded.file))
        assert [event.type for event in fresh] == [table[name].type], name
        if changes != set(drive.changes.split()):
            wrong.append((name, "changes", changes ^ set(drive.changes.split())))
        if untold(fresh[0], values):
            wrong.append((name, "does not tell", untold(fresh[0], values)))
        if compare(events, recorded.file):
            wrong.append((name, "finding", compare(events, recorded.file)))
        if drive.is_compared and not compare(known, recorded.file):
            wrong.append((name, "the change without its event is no finding"))
        if drive.is_compared and not compare(events, earlier):
            wrong.append((name, "the event without its change is no finding"))
    for reader in readers.values():
        reader.close()
    assert wrong == [], "\n".join(map(str, wrong))
