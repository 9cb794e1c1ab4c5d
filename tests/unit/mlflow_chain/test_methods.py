"""The table of what is recorded knows every method of the installed MLflow."""

from __future__ import annotations

import warnings

import pytest

from mlflow_chain.stores.methods import BY_TYPE, REGISTRY, TRACKING, WORKSPACES, is_classed
from mlflow_chain.stores.passed import PASSED
from mlflow_chain.verifying.replay import _APPLY, REGISTRY_KINDS


def _classes() -> list[type]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.store.model_registry.rest_store import RestStore as RegistryRestStore
        from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
        from mlflow.store.tracking.rest_store import RestStore
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
        from mlflow.store.workspace.sqlalchemy_store import SqlAlchemyStore as WorkspaceStore
    return [SqlAlchemyStore, RestStore, RegistryStore, RegistryRestStore, WorkspaceStore]


@pytest.mark.parametrize("store_class", _classes())
def test_somebody_has_decided_about_every_public_method(store_class: type) -> None:
    public = {
        name
        for name in dir(store_class)
        if not name.startswith("_") and callable(getattr(store_class, name))
    }
    assert {name for name in public if not is_classed(name)} == set()


def test_every_method_that_is_recorded_exists() -> None:
    tracking, _, registry, _, workspaces = _classes()
    assert [name for name in TRACKING if not hasattr(tracking, name)] == []
    assert [name for name in REGISTRY if not hasattr(registry, name)] == []
    assert [name for name in WORKSPACES if not hasattr(workspaces, name)] == []


def test_no_method_is_both_recorded_and_passed() -> None:
    passed = [name for names in PASSED.values() for name in names]
    assert len(passed) == len(set(passed))
    assert not (TRACKING.keys() | REGISTRY.keys()) & set(passed)


def test_every_type_of_event_has_one_method_and_is_replayed() -> None:
    assert len(BY_TYPE) == len(TRACKING) + len(REGISTRY) + len(WORKSPACES)
    forgotten = [
        type_
        for type_ in BY_TYPE
        if type_ not in _APPLY and type_.partition(".")[0] not in REGISTRY_KINDS
    ]
    assert forgotten == []
