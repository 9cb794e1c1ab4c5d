"""What a wrapped store does is what the plain one does: results, errors, rows, logs and SQL."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.model_registry.sqlalchemy_workspace_store import (
    WorkspaceAwareSqlAlchemyStore as WorkspaceRegistryStore,
)
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from mlflow.utils.workspace_context import WorkspaceContext

import mlflow_chain
from chain_client.client import ChainClient
from tests.integration.mlflow_stays import registry_operations, tracking_operations
from tests.integration.mlflow_stays.side_by_side import Operation, Seen

MakeStore = Callable[[Path], Any]


@pytest.fixture
def in_workspaces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With workspaces, in the default one."""
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    with WorkspaceContext("default"):
        yield


def tracking(store_class: Any) -> MakeStore:
    return lambda file: store_class(f"sqlite:///{file}", str(file.parent / "artifacts"))


def registry(store_class: Any) -> MakeStore:
    return lambda file: store_class(f"sqlite:///{file}")


def test_tracking_stores_do_the_same(
    client: ChainClient, new_database: Callable[[str], Path]
) -> None:
    make = tracking(SqlAlchemyStore)
    assert compare(client, new_database, make, tracking_operations.operations) >= 300


def test_registry_stores_do_the_same(
    client: ChainClient, new_database: Callable[[str], Path]
) -> None:
    make = registry(RegistryStore)
    assert compare(client, new_database, make, registry_operations.operations) >= 150


@pytest.mark.usefixtures("in_workspaces")
def test_tracking_stores_with_workspaces_do_the_same_where_everything_is_recorded(
    eager_client: ChainClient, new_database: Callable[[str], Path]
) -> None:
    make = tracking(WorkspaceAwareSqlAlchemyStore)
    assert compare(eager_client, new_database, make, tracking_operations.operations) >= 300


@pytest.mark.usefixtures("in_workspaces")
def test_registry_stores_with_workspaces_do_the_same_where_everything_is_recorded(
    eager_client: ChainClient, new_database: Callable[[str], Path]
) -> None:
    make = registry(WorkspaceRegistryStore)
    assert compare(eager_client, new_database, make, registry_operations.operations) >= 150


def compare(
    client: ChainClient,
    new_database: Callable[[str], Path],
    make: MakeStore,
    operations: Callable[[Any], list[tuple[str, Operation]]],
) -> int:
    """Run all operations on both; gives their number."""
    both = []
    for name in ("plain", "chain"):
        file = new_database(name)
        store = make(file)
        if name == "chain":
            assert mlflow_chain.wrap(store, client) is store
        seen = Seen(file.parent)
        seen.run(store, operations(store))
        engine = sqlalchemy.create_engine(f"sqlite:///{file}")
        both.append((seen, seen.rows(engine)))
        engine.dispose()
        with contextlib.suppress(AttributeError):
            store._dispose_engine()
        store.engine.dispose()
    (plain, plain_rows), (wrapped, wrapped_rows) = both
    differing = {
        name: (outcome, wrapped.outcomes[name])
        for name, outcome in plain.outcomes.items()
        if outcome != wrapped.outcomes[name]
    }
    assert differing == {}, _only_differing_parts(differing)
    assert wrapped_rows == plain_rows
    return len(plain.outcomes)


def _only_differing_parts(differing: dict[str, tuple[Any, Any]]) -> str:
    lines = []
    for name, (plain, wrapped) in differing.items():
        for part, value in plain.items():
            if value != wrapped[part]:
                here = [v for v in value if v not in wrapped[part]]
                there = [v for v in wrapped[part] if v not in value]
                lines.append(f"{name}, {part}: {str(here)[:600]} became {str(there)[:600]}")
    return "\n".join(lines)
