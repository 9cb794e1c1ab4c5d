"""Promotions that race with each other and with impatient people: MLflow ends as the chain says."""

from __future__ import annotations

import os
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_workspace_store import (
    WorkspaceAwareSqlAlchemyStore as RegistryStore,
)

import mlflow_chain
from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.ledger.model_registry_values import ProposalFields
from chain_client.registry.identity import target_id
from mlflow_chain.gating.locks import LockTimeout, ModelLocks, lock_key
from tests.embedded_chains import KeyInMemory, transact
from tests.forked import in_fork
from tests.integration.gate.conftest import Refusal, World

CHILDREN = 3
VERSIONS = 6


def _approved(world: World, version: int, target: str = "alias:champion") -> ProposalFields:
    fields = world.people.propose("fraud", version, target)
    world.people.approve(fields)
    return fields


def _promote(world: World, fields: ProposalFields) -> None:
    world.people.send(world.people.owner, world.client.model_registry.promote_call(fields))


def _moving(
    monkeypatch: pytest.MonkeyPatch, name: str, meanwhile: Callable[[], None]
) -> Callable[[], int]:
    """Lets something happen right before MLflow's own write, once; gives how often that wrote."""
    original: Any = getattr(RegistryStore, name)
    calls = []

    def write(store: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 1:
            meanwhile()
        return original(store, *args, **kwargs)

    monkeypatch.setattr(RegistryStore, name, write)
    return lambda: len(calls)


def test_a_promotion_between_question_and_write_wins(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.people.promote("fraud", 1)
    second = _approved(world, 2)
    writes = _moving(monkeypatch, "set_registered_model_alias", lambda: _promote(world, second))
    world.registry.set_registered_model_alias("fraud", "champion", 1)
    assert world.alias() == 2
    assert writes() == 2
    assert [e.payload["version"] for e in world.events("registered_model.alias_set")] == [1, 2]


def test_a_promotion_while_an_alias_is_deleted_brings_it_back(
    make_world: Callable[..., World],
    ungoverned_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = make_world(ungoverned_home)
    world.make_model()
    world.registry.set_registered_model_alias("fraud", "champion", 3)
    world.people.govern()
    first = _approved(world, 1)
    _moving(monkeypatch, "delete_registered_model_alias", lambda: _promote(world, first))
    world.registry.delete_registered_model_alias("fraud", "champion")
    assert world.alias() == 1


def test_a_stage_follows_a_promotion_that_came_between(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.people.promote("fraud", 1, "stage:Production")
    second = _approved(world, 2, "stage:Production")
    _moving(monkeypatch, "transition_model_version_stage", lambda: _promote(world, second))
    world.registry.transition_model_version_stage("fraud", 1, "Production", True)
    assert (world.stage(1), world.stage(2)) == ("Archived", "Production")


def test_what_was_promoted_meanwhile_with_changed_files_is_not_given_the_alias(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.people.promote("fraud", 1)
    second = _approved(world, 2)

    def swap() -> None:
        (world.folder / "fraud-2" / "weights.bin").write_bytes(b"other")
        _promote(world, second)

    _moving(monkeypatch, "set_registered_model_alias", swap)
    world.registry.set_registered_model_alias("fraud", "champion", 1)
    assert world.alias() == 1


def test_nobody_else_changes_the_model_while_a_call_writes(
    world: World, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., Refusal]
) -> None:
    world.people.promote("fraud", 1)
    inside, may_go_on = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert may_go_on.wait(30)

    _moving(monkeypatch, "set_registered_model_alias", wait)
    thread = threading.Thread(
        target=world.registry.set_registered_model_alias, args=("fraud", "champion", 1)
    )
    thread.start()
    assert inside.wait(30)
    monkeypatch.setattr("mlflow_chain.gating.locks.PATIENCE_S", 0.1)
    found = refused(world.registry.delete_registered_model, "fraud")
    assert "another call" in found.text
    refused(world.registry.rename_registered_model, "fraud", "scam")
    may_go_on.set()
    thread.join(30)
    assert world.alias() == 1


def test_a_lock_holds_between_processes_and_dies_with_its_own(world: World) -> None:
    folder = world.client.home / "gate" / "locks"
    key = lock_key("s", "default", "fraud")

    def take(patience_s: float) -> str:
        engine = world.registry.engine
        try:
            with ModelLocks(engine, folder, patience_s=patience_s).held([key]):
                return "got it"
        except LockTimeout:
            return "timeout"

    with ModelLocks(world.registry.engine, folder).held([key]):
        assert in_fork(lambda: take(0.1)) == "timeout"
        assert in_fork(lambda: take_other(world, folder)) == "got it"
    assert in_fork(lambda: take(5)) == "got it"

    def die() -> str:
        ModelLocks(world.registry.engine, folder).held([key]).__enter__()
        os._exit(1)

    in_fork(die)
    assert take(5) == "got it"


def take_other(world: World, folder: Path) -> str:
    """The lock of another model."""
    key = lock_key("s", "default", "other")
    with ModelLocks(world.registry.engine, folder, patience_s=0.1).held([key]):
        return "got it"


def test_names_that_a_database_may_take_for_one_have_one_lock() -> None:
    keys = {lock_key("s", "default", name) for name in ("Fraud", "fraud", "fráud ", "FRAUD")}
    assert len(keys) == 1
    assert lock_key("s", "aa", "fraud") not in keys


def test_racing_processes_leave_mlflow_as_the_chain_says(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each child promotes its versions and sets them; one more sets whatever it likes."""
    for _ in range(VERSIONS - 3):
        world.make_version()
    proposals = {v: _approved(world, v) for v in range(1, VERSIONS + 1)}
    home, uri = world.client.home, world.uri
    world.client.recorder.close()
    children = [
        _fork_child(lambda mine=mine: _race(home, uri, mine, proposals))  # type: ignore[misc]
        for mine in range(CHILDREN)
    ]
    children.append(_fork_child(lambda: _be_impatient(home, uri)))
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0] * len(children)
    people = world.people
    model, target = people.id_of("fraud"), target_id(world.client.salt, "alias:champion")
    current = world.client.model_registry.current(model, target)
    assert current.sequence == VERSIONS
    assert world.alias() == current.version


def _fork_child(work: Callable[[], None]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _open(home: Path, uri: str) -> tuple[ChainClient, Any]:
    engines: Any = RegistryStore
    engines._engine_map.clear()
    settings = Settings(
        home=home, relay_autostart=False, spool_durability="process", registry_sync=False
    )
    client = ChainClient.open(settings)
    plain: Any = RegistryStore
    return client, mlflow_chain.wrap(plain(uri), client)


def _try(action: Callable[..., object], *args: object) -> None:
    """Fails only if it is refused in another way than by the gate."""
    try:
        action(*args)
    except MlflowException as exc:
        code: Any = exc.error_code
        if code not in ("PERMISSION_DENIED", "RESOURCE_CONFLICT"):
            raise


def _race(home: Path, uri: str, mine: int, proposals: dict[int, ProposalFields]) -> None:
    client, registry = _open(home, uri)
    key = KeyInMemory(100 + mine)
    for version in range(1 + mine, VERSIONS + 1, CHILDREN):
        transact(client.ledger, key, client.model_registry.promote_call(proposals[version]))
        # If it is refused, somebody promoted another one meanwhile, and will set that.
        _try(registry.set_registered_model_alias, "fraud", "champion", version)
    client.recorder.close()


def _be_impatient(home: Path, uri: str) -> None:
    client, registry = _open(home, uri)
    deadline = time.monotonic() + 1.5
    version = 0
    while time.monotonic() < deadline:
        version = version % VERSIONS + 1
        _try(registry.set_registered_model_alias, "fraud", "champion", version)
        _try(registry.delete_registered_model_alias, "fraud", "champion")
    client.recorder.close()
