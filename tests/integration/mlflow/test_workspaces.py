"""The same names in several workspaces: recorded apart, compared apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from mlflow.entities import Metric
from mlflow.entities.model_registry import ModelVersionTag
from mlflow.entities.workspace import Workspace, WorkspaceDeletionMode
from mlflow.store.model_registry.sqlalchemy_workspace_store import (
    WorkspaceAwareSqlAlchemyStore as RegistryStore,
)
from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from mlflow.utils.workspace_context import WorkspaceContext

import mlflow_chain
from mlflow_chain.building import build_workspace_store
from tests.recorded_database import Recorded


class Stores:
    """Recorded stores of one database with the workspaces ``aa`` and ``bb``."""

    def __init__(self, recorded: Recorded) -> None:
        uri = recorded.uri.removeprefix("chain+")
        self.tracking: Any = mlflow_chain.wrap(
            WorkspaceAwareSqlAlchemyStore(uri, str(recorded.file.with_name("artifacts"))),
            recorded.client,
        )
        self.registry: Any = mlflow_chain.wrap(RegistryStore(uri), recorded.client)
        self.workspaces: Any = build_workspace_store(recorded.uri)
        for name in ("aa", "bb"):
            self.workspaces.create_workspace(Workspace(name=name))

    @contextmanager
    def fill(self, workspace: str) -> Iterator[str]:
        """A model, a run, and the rest of the block, in a workspace."""
        with WorkspaceContext(workspace):
            experiment = self.tracking.create_experiment(f"in {workspace}")
            run_id: str = self.tracking.create_run(experiment, "me", 1, [], "r").info.run_id
            self.tracking.log_metric(run_id, Metric("loss", 1.0, 1, 1))
            self.registry.create_registered_model("m", description=workspace)
            self.registry.create_model_version("m", "/x", run_id)
            self.registry.set_registered_model_alias("m", "champion", 1)
            yield run_id


@pytest.fixture
def stores(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> Stores:
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    with WorkspaceContext("default"):
        made = Stores(recorded)
        for workspace in ("default", "aa", "bb"):
            with made.fill(workspace):
                pass
        return made


def test_one_name_in_three_workspaces_is_three_models(stores: Stores, recorded: Recorded) -> None:
    assert recorded.findings() == []
    created = [e for e in recorded.events() if e.type == "registered_model.created"]
    assert [(e.subject.id, e.payload.get("workspace")) for e in created] == [
        ("m", None),
        ("aa/m", "aa"),
        ("bb/m", "bb"),
    ]
    versions = [e for e in recorded.events() if e.type == "model_version.created"]
    assert [e.subject.id for e in versions] == ["m/1", "aa/m/1", "bb/m/1"]
    assert recorded.findings(model="aa/m") == []
    recorded.edit("update registered_models set description = 'x' where workspace = 'aa'")
    assert [f.subject for f in recorded.findings()] == ["model aa/m/description"]
    assert [f.subject for f in recorded.findings(model="aa/m")] == ["model aa/m/description"]
    assert recorded.findings(model="bb/m") == []
    assert recorded.findings(model="m") == []


def test_calls_in_a_workspace_change_nothing_of_another(stores: Stores, recorded: Recorded) -> None:
    with WorkspaceContext("aa"):
        stores.registry.set_model_version_tag("m", "1", ModelVersionTag("t", "1"))
        stores.registry.rename_registered_model("m", "n")
        stores.registry.create_registered_model("m")
        stores.registry.delete_model_version("n", "1")
    with WorkspaceContext("bb"):
        stores.registry.delete_registered_model("m")
    assert recorded.findings() == []
    assert recorded.kinds(model="bb/m") == []
    assert recorded.kinds(model="aa/n") == []


def test_what_is_moved_past_the_stores_is_named(stores: Stores, recorded: Recorded) -> None:
    recorded.edit("update experiments set workspace = 'bb' where name = 'in aa'")
    (finding,) = recorded.findings()
    assert finding.kind == "experiment_field_changed"
    assert (finding.expected, finding.actual) == ("aa", "bb")


def test_a_deleted_workspace_gives_what_it_had_to_the_default_one(
    stores: Stores, recorded: Recorded
) -> None:
    with WorkspaceContext("aa"):
        stores.registry.rename_registered_model("m", "of a")
    stores.workspaces.delete_workspace("aa", WorkspaceDeletionMode.SET_DEFAULT)
    assert recorded.findings() == []
    assert recorded.findings(model="of a") == []
    recorded.edit("update registered_models set description = 'x' where name = 'of a'")
    assert [f.subject for f in recorded.findings()] == ["model of a/description"]


def test_a_deleted_workspace_takes_what_it_had_along(stores: Stores, recorded: Recorded) -> None:
    stores.workspaces.delete_workspace("bb", mode=WorkspaceDeletionMode.CASCADE)
    assert recorded.findings() == []
    types = [t for t in recorded.types() if t.startswith("workspace.")]
    assert types == ["workspace.created", "workspace.created", "workspace.deleted"]


def test_workspaces_that_were_there_before_are_in_the_baseline(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.workspace.sqlalchemy_store import SqlAlchemyStore

    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    uri = recorded.uri.removeprefix("chain+")
    registry: Any = RegistryStore(uri)
    workspaces: Any = SqlAlchemyStore(uri)
    with WorkspaceContext("default"):
        workspaces.create_workspace(Workspace(name="aa"))
    for workspace in ("default", "aa"):
        with WorkspaceContext(workspace):
            registry.create_registered_model("m")
    mlflow_chain.wrap(registry, recorded.client)
    assert recorded.findings() == []
    with WorkspaceContext("aa"):
        registry.delete_registered_model("m")
    assert recorded.findings() == []
    assert recorded.edit("update registered_models set description = 'x'") == 1
    assert recorded.kinds() == ["model_field_changed"]
