"""Whatever is changed behind MLflow's back is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Metric, Param, RunTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

import mlflow_chain
from chain_client.hosts import Scope, Unchecked
from mlflow_chain.host import MlflowHost
from tests.recorded_database import Recorded

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

POINT = "key, value, timestamp, run_uuid, step, is_nan"

EDITS = [
    ("update metrics set value = 0.9 where key = 'loss'", {"metric_changed"}),
    ("update latest_metrics set value = 0.9 where key = 'loss'", {"metric_changed"}),
    ("update metrics set step = 77 where key = 'loss'", {"metric_changed"}),
    ("update metrics set timestamp = 77 where key = 'loss'", {"metric_changed"}),
    ("update metrics set is_nan = 0 where key = 'nan'", {"metric_changed"}),
    ("delete from metrics where key = 'loss'", {"metric_missing"}),
    ("delete from latest_metrics where key = 'loss'", {"metric_missing"}),
    (
        f"insert into metrics ({POINT}) select key, 9, timestamp, run_uuid, step, is_nan "
        "from metrics where key = 'loss'",
        {"metric_unexpected"},
    ),
    ("update params set value = '9'", {"param_changed"}),
    ("delete from params", {"param_missing"}),
    ("insert into params select 'zz', value, run_uuid from params", {"param_unexpected"}),
    ("update tags set value = 'x' where key = 'stage'", {"tag_changed"}),
    ("delete from tags where key = 'stage'", {"tag_missing"}),
    ("insert into tags select 'zz', 'v', run_uuid from runs", {"tag_unexpected"}),
    *(
        (f"update runs set {column} = {value}", {"run_field_changed"})
        for column, value in [
            ("name", "'x'"),
            ("user_id", "'x'"),
            ("status", "'FAILED'"),
            ("start_time", "start_time + 1"),
            ("end_time", "end_time + 1"),
            ("lifecycle_stage", "'deleted'"),
            ("artifact_uri", "artifact_uri || 'x'"),
            ("experiment_id", "77"),
        ]
    ),
    ("delete from runs", {"run_missing"}),
    (
        "insert into runs (run_uuid, name, status, experiment_id, user_id, start_time, "
        "lifecycle_stage) select 'f', name, status, experiment_id, user_id, start_time, "
        "lifecycle_stage from runs",
        {"run_unexpected"},
    ),
    *(
        (f"update experiments set {column} = {value}", {"experiment_field_changed"})
        for column, value in [
            ("name", "'x'"),
            ("artifact_location", "'x'"),
            ("creation_time", "1"),
            ("last_update_time", "1"),
            ("lifecycle_stage", "'deleted'"),
        ]
    ),
    ("delete from experiments", {"experiment_missing"}),
    *(
        (f"update logged_models set {column} = {value}", {"logged_model_field_changed"})
        for column, value in [
            ("name", "'x'"),
            ("status", "1"),
            ("artifact_location", "'x'"),
            ("creation_timestamp_ms", "1"),
            ("last_updated_timestamp_ms", "1"),
            ("model_type", "'x'"),
            ("source_run_id", "'x'"),
            ("lifecycle_stage", "'deleted'"),
            ("status_message", "'x'"),
        ]
    ),
    ("update logged_model_params set param_value = 'x'", {"param_changed"}),
    ("update logged_model_tags set tag_value = 'x' where tag_key = 't'", {"tag_changed"}),
    ("update logged_model_metrics set metric_value = 3", {"metric_changed"}),
    ("update logged_model_metrics set dataset_name = 'x'", {"logged_model_unreadable"}),
    (
        "update logged_model_metrics set dataset_name = 'x', dataset_digest = 'y'",
        {"metric_changed"},
    ),
    ("delete from logged_model_metrics", {"metric_missing"}),
    ("delete from logged_models", {"logged_model_missing"}),
    *(
        (f"update registered_models set {column} = {value}", {"model_field_changed"})
        for column, value in [
            ("description", "'x'"),
            ("creation_time", "1"),
            ("last_updated_time", "1"),
        ]
    ),
    ("update registered_model_tags set value = 'x'", {"tag_changed"}),
    *(
        (f"update model_versions set {column} = {value}", {"version_field_changed"})
        for column, value in [
            ("description", "'x'"),
            ("current_stage", "'Archived'"),
            ("source", "'x'"),
            ("storage_location", "'x'"),
            ("run_id", "'x'"),
            ("run_link", "'x'"),
            ("user_id", "'x'"),
            ("status", "'FAILED_REGISTRATION'"),
            ("status_message", "'x'"),
            ("creation_time", "1"),
            ("last_updated_time", "1"),
        ]
    ),
    ("update model_versions set version = 2", {"version_missing", "version_unexpected"}),
    ("delete from model_versions", {"version_missing"}),
    ("update model_version_tags set value = 'x'", {"tag_changed"}),
    ("update registered_model_aliases set version = 2", {"alias_changed"}),
    ("update registered_model_aliases set alias = 'x'", {"alias_missing", "alias_unexpected"}),
    ("delete from registered_model_aliases", {"alias_missing"}),
    ("delete from registered_models", {"model_missing"}),
    ("update datasets set dataset_source = 'x'", {"dataset_changed"}),
    ("update datasets set dataset_schema = 'x'", {"dataset_changed"}),
    ("update datasets set digest = 'x'", {"dataset_missing", "dataset_unexpected"}),
    ("update input_tags set value = 'x'", {"dataset_changed"}),
    (
        f"insert into metrics ({POINT}) select 'zz', 9, timestamp, run_uuid, step, is_nan "
        "from metrics where key = 'loss'",
        {"metric_unexpected"},
    ),
    *(
        (
            "insert into runs (run_uuid, name, status, experiment_id, user_id, start_time, "
            f"lifecycle_stage) select 'f', name, status, {experiment}, user_id, start_time, "
            f"'{stage}' from runs",
            {"run_unexpected"},
        )
        for experiment, stage in [("experiment_id", "hidden"), ("77", "active")]
    ),
    *(
        (
            "insert into logged_models (model_id, experiment_id, name, artifact_location, "
            "creation_timestamp_ms, last_updated_timestamp_ms, status, lifecycle_stage) "
            f"select 'm-f', {experiment}, name, artifact_location, creation_timestamp_ms, "
            f"last_updated_timestamp_ms, status, '{stage}' from logged_models",
            {"logged_model_unexpected"},
        )
        for experiment, stage in [("77", "active"), ("77", "deleted"), ("experiment_id", "hidden")]
    ),
    ("delete from inputs where source_type = 'DATASET'", {"dataset_missing"}),
    ("delete from inputs where destination_type = 'MODEL_INPUT'", {"input_missing"}),
]


@pytest.fixture
def history(tracked: Recorded) -> Recorded:
    """A database with one entity of each kind."""
    import numpy as np
    from mlflow.data.numpy_dataset import from_numpy

    client = mlflow.MlflowClient()
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 0.5, step=1)
        mlflow.log_metric("nan", float("nan"))
        mlflow.log_param("depth", 3)
        mlflow.set_tag("stage", "dev")
        mlflow.log_text("weights", "model/weights.txt")
        mlflow.log_text("more", "model/more.txt")
        mlflow.log_input(from_numpy(np.zeros(3), name="zeros"), context="training")
        model = mlflow.initialize_logged_model("net", params={"a": "1"}, tags={"t": "1"})
        mlflow.log_metric("acc", 0.5, step=3, model_id=model.model_id)
        mlflow.finalize_logged_model(model.model_id, "READY")
    client.create_registered_model("m", tags={"a": "1"}, description="d")
    client.create_model_version("m", model.model_uri, run.info.run_id, tags={"t": "1"})
    client.set_registered_model_alias("m", "champion", "1")
    assert tracked.findings() == []
    return tracked


def test_every_edit_of_the_database_is_named(history: Recorded, tmp_path: Path) -> None:
    original = tmp_path / "original.db"
    shutil.copy(history.file, original)
    wrong = []
    for statement, expected in EDITS:
        assert history.edit(statement) > 0, statement
        kinds = set(history.kinds())
        if kinds != expected:
            wrong.append((statement, kinds))
        shutil.copy(original, history.file)
    assert wrong == []
    assert history.findings() == []


def test_a_second_dataset_of_the_same_name_and_digest_is_named(history: Recorded) -> None:
    history.edit(
        "insert into datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, "
        "dataset_source, dataset_schema, dataset_profile) select 'f', 77, name, digest, "
        "dataset_source_type, dataset_source, dataset_schema, dataset_profile from datasets"
    )
    assert history.kinds() == []
    history.edit(
        "insert into inputs (input_uuid, source_type, source_id, destination_type, "
        "destination_id, step) select 'f', source_type, 'f', destination_type, destination_id, "
        "step from inputs where source_type = 'DATASET'"
    )
    assert history.kinds() == ["dataset_unexpected"]


def test_models_and_versions_that_a_tag_hides_from_listings_are_named(history: Recorded) -> None:
    history.edit("insert into registered_models (name, workspace) values ('z', 'default')")
    history.edit(
        "insert into registered_model_tags (key, value, name, workspace) "
        "values ('mlflow.prompt.is_prompt', 'x', 'z', 'default')"
    )
    assert history.kinds() == ["model_unexpected"]
    history.edit("delete from registered_models where name = 'z'")
    history.edit(
        "insert into model_versions (name, version, current_stage, status, workspace) "
        "values ('m', 2, 'None', 'READY', 'default')"
    )
    history.edit(
        "insert into model_version_tags (key, value, name, version, workspace) "
        "values ('mlflow.prompt.is_prompt', 'x', 'm', 2, 'default')"
    )
    assert history.kinds() == ["version_unexpected"]


def test_a_changed_metric_is_named_with_old_and_new_value(history: Recorded) -> None:
    history.edit("update metrics set value = 0.9 where key = 'loss'")
    (finding,) = history.findings()
    (run_id,) = {e.subject.id for e in history.events() if e.type == "run.created"}
    assert finding.kind == "metric_changed"
    assert finding.subject == f"run {run_id}/metric loss"
    assert (finding.expected, finding.actual) == (0.5, 0.9)
    assert history.kinds(run_id=run_id) == ["metric_changed"]
    assert history.kinds(model="m") == []


def test_swapped_cut_added_and_removed_files_are_named(history: Recorded, tmp_path: Path) -> None:
    (file,) = tmp_path.rglob("weights.txt")
    file.write_bytes(b"Weights")
    assert history.kinds() == ["artifact_changed"]
    file.write_bytes(b"weight")
    assert history.kinds() == ["artifact_changed"]
    file.unlink()
    assert history.kinds() == ["artifact_missing"]
    file.write_bytes(b"weights")
    (file.parent / "added").touch()
    (finding,) = history.findings()
    assert finding.kind == "artifact_unexpected"
    assert finding.subject.endswith("/artifact model/added")


def test_a_file_that_only_looks_like_a_loading_note_is_named(
    history: Recorded, tmp_path: Path
) -> None:
    (file,) = tmp_path.rglob("weights.txt")
    note = file.with_name("registered_model_meta")
    note.write_text("model_name: m\nmodel_version: '1'\n")
    assert history.kinds() == []
    note.write_text("model_name: m\nmodel_version: '1'\nmore: 1\n")
    assert history.kinds() == ["artifact_unexpected"]


def test_only_a_run_or_model_that_was_recorded_can_be_missing(history: Recorded) -> None:
    (binding,) = history.client.folder.bindings()

    def notes(scope: Scope) -> list[tuple[str, str]]:
        found = MlflowHost().compare(binding, history.events(), scope, lambda *step: None)
        return [(item.subject, item.reason) for item in found if isinstance(item, Unchecked)]

    (run_id,) = {e.subject.id for e in history.events() if e.type == "run.created"}
    assert history.kinds(run_id=run_id[:8]) == history.kinds(model="nobody") == []
    ((subject, reason),) = notes(Scope(run_id=run_id[:8]))
    assert subject == f"run {run_id[:8]}"
    assert reason == "no run of that id is recorded or there; give the whole id"
    ((subject, reason),) = notes(Scope(model="nobody"))
    assert subject == "model nobody"
    assert "no registered model of that name is recorded or there" in reason
    history.edit("delete from runs")
    history.edit("delete from registered_models")
    assert history.kinds(run_id=run_id) == ["run_missing"]
    assert history.kinds(model="m") == ["model_missing"]
    assert notes(Scope(run_id=run_id)) == notes(Scope(model="m")) == []


def test_what_is_recorded_of_a_run_that_nobody_recorded_is_compared(recorded: Recorded) -> None:
    inner = recorded.uri.removeprefix("chain+")
    store = mlflow_chain.wrap(SqlAlchemyStore(inner, "artifacts"), recorded.client)
    plain = SqlAlchemyStore(inner, "artifacts")
    run_id = plain.create_run("0", "me", 1, [], "unseen").info.run_id
    plain.log_param(run_id, Param("before", "1"))
    store.log_metric(run_id, Metric("loss", 0.5, 1, 1))
    store.set_tag(run_id, RunTag("stage", "late"))
    assert recorded.kinds() == ["run_unexpected"]
    recorded.edit("update metrics set value = 0.1")
    recorded.edit("update tags set value = 'early' where key = 'stage'")
    assert sorted(recorded.kinds()) == ["metric_changed", "run_unexpected", "tag_changed"]
