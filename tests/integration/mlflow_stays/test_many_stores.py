"""Hundreds of stores, each on a database of its own, that come and go in one process and home."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow.entities import RunTag
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

import mlflow_chain
from chain_client.client import ChainClient
from chain_client.verify import read_spooled


def wrapped(client: ChainClient | None, file: Path) -> Any:
    return mlflow_chain.wrap(SqlAlchemyStore(f"sqlite:///{file}", "/artifacts"), client)


def use_and_remove(client: ChainClient, file: Path) -> None:
    store = wrapped(client, file)
    store.create_run("0", "me", 1, [], "n")
    registry: Any = RegistryStore(f"sqlite:///{file}")
    mlflow_chain.wrap(registry, client).create_registered_model("m")
    store._dispose_engine()
    registry.engine.dispose()
    file.unlink()


def test_stores_that_come_and_go_leave_no_handle_and_no_thread(
    client: ChainClient, new_database: Callable[[str], Path]
) -> None:
    process = psutil.Process()
    use_and_remove(client, new_database("first"))
    gc.collect()
    before = process.num_fds(), process.num_threads()
    for number in range(25):
        use_and_remove(client, new_database(str(number)))
    gc.collect()
    assert (process.num_fds(), process.num_threads()) == before
    assert len(client.folder.addresses()) == 26
    events = read_spooled(client.folder.spool, client.log).events.values()
    assert sum(event.type == "run.created" for event in events) == 26
    assert sum(event.type == "registered_model.created" for event in events) == 26


def test_a_home_reads_only_what_is_new_to_learn_its_databases(
    client: ChainClient, new_database: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        wrapped(client, new_database(str(number)))._dispose_engine()
    assert len(client.folder.addresses()) == 5
    reads: list[Path] = []
    read_text = Path.read_text

    def note(path: Path, *args: Any, **kwargs: Any) -> str:
        reads.append(path)
        return read_text(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", note)
    wrapped(client, new_database("new"))._dispose_engine()
    assert len([path for path in reads if path.parent == client.folder.stores]) <= 2
    other = next(iter(client.folder.stores.glob("*.json")))
    other.write_text(other.read_text().replace("mlflow.db", "moved.db"))
    assert any("moved.db" in binding.uri for binding in client.folder.addresses())


def test_a_home_is_made_where_none_is(
    new_database: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    store = wrapped(None, new_database("a"))
    store.create_experiment("e")
    assert (tmp_path / ".mlops-chain" / "deployment.json").exists()
    assert mlflow_chain.wrap(store) is store
    store._dispose_engine()


def test_a_database_in_memory_is_recorded_and_may_be_forgotten(client: ChainClient) -> None:
    names = []
    for _ in range(2):
        store = wrapped_in_memory(client)
        names += [e.name for e in store.search_experiments()]
        store.create_experiment("mine")
        assert wrapped_in_memory(client).get_experiment_by_name("mine") is not None
        engine = SqlAlchemyStore._engine_map.pop("sqlite:///:memory:")
        engine.dispose()
    assert names == ["Default", "Default"]


def wrapped_in_memory(client: ChainClient) -> Any:
    store: Any = SqlAlchemyStore("sqlite:///:memory:", "/artifacts")
    return mlflow_chain.wrap(store, client)


def test_a_store_goes_on_after_its_connections_were_closed(
    client: ChainClient, new_database: Callable[[str], Path]
) -> None:
    store = wrapped(client, new_database("a"))
    run_id = store.create_run("0", "me", 1, [], "n").info.run_id
    store.engine.dispose()
    store.set_tag(run_id, RunTag("a", "1"))
    assert store.get_run(run_id).data.tags["a"] == "1"
    store._dispose_engine()


def test_a_database_that_is_removed_fails_as_it_does_without_us(
    client: ChainClient, new_database: Callable[[str], Path], empty_database: Path
) -> None:
    errors = []
    for name in ("plain", "chain"):
        file = new_database(name)
        store: Any = SqlAlchemyStore(f"sqlite:///{file}", "/artifacts")
        if name == "chain":
            mlflow_chain.wrap(store, client)
        store.engine.dispose()
        shutil.rmtree(file.parent)
        with pytest.raises(Exception) as caught:
            store.create_experiment("e")
        errors.append((type(caught.value), getattr(caught.value, "error_code", None)))
        store._dispose_engine()
    assert errors[0] == errors[1]


def test_a_method_that_somebody_puts_into_the_plain_class_is_called(
    client: ChainClient, new_database: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = wrapped(client, new_database("a"))
    monkeypatch.setattr(SqlAlchemyStore, "create_experiment", lambda self, name: f"got {name}")
    assert store.create_experiment("e") == "got e"
    store._dispose_engine()
