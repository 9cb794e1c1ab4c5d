"""No method of MLflow's stores by which something gated could change is forgotten."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from mlflow.store.model_registry.abstract_store import AbstractStore as AbstractRegistry
from mlflow.store.model_registry.sqlalchemy_workspace_store import (
    WorkspaceAwareSqlAlchemyStore as RegistryStore,
)
from mlflow.store.tracking.abstract_store import AbstractStore as AbstractTracking
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.workspace.abstract_store import AbstractStore as AbstractWorkspaces
from mlflow.store.workspace.sqlalchemy_store import SqlAlchemyStore as Workspaces

import mlflow_chain
from mlflow_chain.gating.doors import DOORS, NO_DOORS
from mlflow_chain.stores.methods import REGISTRY, TRACKING, WORKSPACES
from mlflow_chain.stores.passed import PASSED, READING_PREFIXES
from tests.integration.gate.conftest import Refusal, World

_PRIVATE_DOORS = ("_hard_delete_experiment", "_hard_delete_logged_model", "_hard_delete_run")


def _methods(*classes: Any) -> set[str]:
    return {
        name
        for kind in classes
        for name, _ in inspect.getmembers(kind, callable)
        if not name.startswith("_") and not name.startswith(READING_PREFIXES)
    }


def test_somebody_has_decided_about_every_method_of_registries_and_workspaces() -> None:
    found = _methods(AbstractRegistry, RegistryStore, AbstractWorkspaces, Workspaces)
    reads = PASSED["reads only"] | {"ManagedSessionMaker", "supports_workspaces"}
    decided = set(DOORS).union(*NO_DOORS.values()) | reads
    undecided = {name for name in found if name not in decided and name != name.upper()}
    assert undecided - {"resolve_artifact_root"} == set(), (
        "decide in mlflow_chain.gating.doors whether these are doors"
    )


def test_no_method_is_a_door_and_none() -> None:
    assert set(DOORS).isdisjoint(set().union(*NO_DOORS.values()))


def test_every_door_is_recorded_so_that_it_is_asked() -> None:
    assert set(DOORS) <= {*REGISTRY, *TRACKING, *WORKSPACES}


def test_what_is_recorded_of_a_registry_is_a_door_or_named_as_none() -> None:
    recorded = {*REGISTRY, *WORKSPACES}
    assert recorded <= set(DOORS).union(*NO_DOORS.values())


def test_whatever_removes_for_ever_in_a_tracking_store_is_a_door() -> None:
    found = {
        name
        for name, _ in inspect.getmembers(SqlAlchemyStore, callable)
        if name.startswith("_hard_delete")
    }
    assert found == set(_PRIVATE_DOORS)
    assert found <= set(DOORS)
    assert callable(AbstractTracking.delete_logged_model)


def test_a_door_that_another_recorded_call_opens_is_asked_too(
    make_world: Callable[..., World], refused: Callable[..., Refusal]
) -> None:
    world = make_world()
    world.make_model()

    def update(store: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """By which a description moves an alias."""
        return store.set_registered_model_alias(name, "champion", 3)

    sly: Any = type("Sly", (RegistryStore,), {"update_registered_model": update})
    store = mlflow_chain.wrap(sly(world.uri), world.client)
    refused(store.update_registered_model, "fraud", "text")
    assert world.alias() is None


@pytest.mark.parametrize("name", ["set_prompt_alias", "delete_prompt", "delete_prompt_version"])
def test_what_is_named_after_prompts_is_no_way_around(
    world: World, refused: Callable[..., Refusal], name: str
) -> None:
    world.crown(1)
    arguments: dict[str, tuple[Any, ...]] = {
        "set_prompt_alias": ("fraud", "champion", 2),
        "delete_prompt": ("fraud",),
        "delete_prompt_version": ("fraud", 1),
    }
    refused(getattr(world.registry, name), *arguments[name])
    assert world.alias() == 1
