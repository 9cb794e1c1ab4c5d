"""Calls whose outcome nobody wrote down: what the host says of them is exact."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import mlflow
import pytest
from mlflow.entities import (
    Dataset,
    DatasetInput,
    LoggedModelOutput,
    LoggedModelParameter,
    LoggedModelStatus,
    LoggedModelTag,
    Metric,
    Param,
    RunTag,
)
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

import mlflow_chain
from chain_client.events import Event, OutcomeStatus
from chain_client.hosts import Resolution
from chain_client.recorder import Recorder
from mlflow_chain.host import MlflowHost
from mlflow_chain.stores.methods import REGISTRY, TRACKING
from tests.recorded_database import Recorded


class World:
    """Two wrapped stores with something in them, and calls for every recorded method."""

    def __init__(self, recorded: Recorded) -> None:
        uri = recorded.uri.removeprefix("chain+")
        tracking: Any = SqlAlchemyStore(uri, str(recorded.file.with_name("artifacts")))
        registry: Any = RegistryStore(uri)
        self.tracking = mlflow_chain.wrap(tracking, recorded.client)
        self.registry = mlflow_chain.wrap(registry, recorded.client)
        self.run = self._run()
        self.gone = self._run()
        tracking.delete_run(self.gone)
        self.removed = self._run()
        self.experiment = tracking.create_experiment("live")
        tracking.set_experiment_tag(self.experiment, RunTag("a", "1"))
        self.deleted = tracking.create_experiment("deleted")
        tracking.delete_experiment(self.deleted)
        self.dead = tracking.create_experiment("dead")
        tracking.delete_experiment(self.dead)
        tracking.set_tag(self.run, RunTag("a", "1"))
        self.model = tracking.create_logged_model("0", "net", tags=[LoggedModelTag("a", "1")])
        self.dead_model = tracking.create_logged_model("0", "dead")
        registry.create_registered_model("m", tags=[RegisteredModelTag("a", "1")])
        for _ in range(3):
            registry.create_model_version("m", "/x", tags=[ModelVersionTag("a", "1")])
        registry.set_registered_model_alias("m", "old", 1)
        registry.create_registered_model("extra")
        registry.create_registered_model("doomed")

    def _run(self) -> str:
        run_id: str = self.tracking.create_run("0", "me", 1, [], "n").info.run_id
        return run_id

    def calls(self) -> dict[str, Callable[[], Any]]:
        """One successful call of every recorded method."""
        t, r, run = self.tracking, self.registry, self.run
        model_id = self.model.model_id
        dataset = DatasetInput(Dataset("d", "x1", "t", "s", "{}", "{}"), [])
        flavor = mlflow.models.Model(artifact_path="m", run_id=run)
        return {
            "create_experiment": lambda: t.create_experiment("new", tags=[RunTag("a", "1")]),
            "delete_experiment": lambda: t.delete_experiment(self.experiment),
            "restore_experiment": lambda: t.restore_experiment(self.deleted),
            "rename_experiment": lambda: t.rename_experiment("0", "renamed"),
            "set_experiment_tag": lambda: t.set_experiment_tag("0", RunTag("b", "1")),
            "delete_experiment_tag": lambda: (
                t.restore_experiment(self.experiment),
                t.delete_experiment_tag(self.experiment, "a"),
            ),
            "_hard_delete_experiment": lambda: t._hard_delete_experiment(self.dead),
            "create_run": lambda: t.create_run("0", "me", 5, [RunTag("a", "1")], None),
            "update_run_info": lambda: t.update_run_info(run, 3, 9, "name"),
            "delete_run": lambda: t.delete_run(self.removed),
            "restore_run": lambda: t.restore_run(self.gone),
            "_hard_delete_run": lambda: t._hard_delete_run(self.removed),
            "log_metric": lambda: t.log_metric(run, Metric("nan", float("nan"), 1, 1)),
            "log_param": lambda: t.log_param(run, Param("p", "1")),
            "set_tag": lambda: t.set_tag(run, RunTag("mlflow.runName", "other")),
            "delete_tag": lambda: t.delete_tag(run, "a"),
            "log_batch": lambda: t.log_batch(
                run, [Metric("m", 1.0, 1, 1)], [Param("q", "1")], [RunTag("b", "1")]
            ),
            "log_inputs": lambda: t.log_inputs(run, [dataset]),
            "log_outputs": lambda: t.log_outputs(run, [LoggedModelOutput(model_id, 1)]),
            "record_logged_model": lambda: t.record_logged_model(run, flavor),
            "create_logged_model": lambda: t.create_logged_model("0"),
            "finalize_logged_model": lambda: t.finalize_logged_model(
                model_id, LoggedModelStatus.READY
            ),
            "delete_logged_model": lambda: t.delete_logged_model(self.dead_model.model_id),
            "_hard_delete_logged_model": lambda: t._hard_delete_logged_model(
                self.dead_model.model_id
            ),
            "set_logged_model_tags": lambda: t.set_logged_model_tags(
                model_id, [LoggedModelTag("b", "1")]
            ),
            "delete_logged_model_tag": lambda: t.delete_logged_model_tag(model_id, "a"),
            "log_logged_model_params": lambda: t.log_logged_model_params(
                model_id, [LoggedModelParameter("p", "1")]
            ),
            "create_registered_model": lambda: r.create_registered_model("new"),
            "update_registered_model": lambda: r.update_registered_model("m", "text"),
            "set_registered_model_tag": lambda: r.set_registered_model_tag(
                "m", RegisteredModelTag("b", "1")
            ),
            "delete_registered_model_tag": lambda: r.delete_registered_model_tag("m", "a"),
            "set_registered_model_alias": lambda: r.set_registered_model_alias("m", "new", 2),
            "delete_registered_model_alias": lambda: r.delete_registered_model_alias("m", "old"),
            "create_model_version": lambda: r.create_model_version("m", "/y", run),
            "update_model_version": lambda: r.update_model_version("m", 1, "text"),
            "transition_model_version_stage": lambda: r.transition_model_version_stage(
                "m", 2, "Production", True
            ),
            "set_model_version_tag": lambda: r.set_model_version_tag(
                "m", 1, ModelVersionTag("b", "1")
            ),
            "delete_model_version_tag": lambda: r.delete_model_version_tag("m", 1, "a"),
            "delete_model_version": lambda: r.delete_model_version("m", 3),
            "rename_registered_model": lambda: r.rename_registered_model("extra", "extra2"),
            "delete_registered_model": lambda: r.delete_registered_model("doomed"),
        }


@pytest.fixture
def world(recorded: Recorded) -> World:
    return World(recorded)


def resolve(recorded: Recorded, event: Event) -> Resolution:
    (binding,) = recorded.client.folder.bindings()
    (found,) = MlflowHost().resolve(binding, [event])
    return found


def latest(recorded: Recorded) -> Event:
    return max(recorded.events(), key=lambda event: event.sequence)


def test_every_recorded_method_is_driven(world: World) -> None:
    assert world.calls().keys() == TRACKING.keys() | REGISTRY.keys()


def test_every_method_recovers_to_what_it_recorded_live(recorded: Recorded, world: World) -> None:
    for name, call in world.calls().items():
        call()
        live = latest(recorded)
        method = TRACKING.get(name) or REGISTRY[name]
        assert (live.type, live.status) == (method.type, OutcomeStatus.DONE)
        found = resolve(recorded, live)
        assert found.status is OutcomeStatus.RECOVERED, name
        assert found.result == live.result, name
        if method.result.__name__ in ("run", "experiment", "logged_model", "model_version"):
            assert found.subject_id == live.subject.id, name
    assert recorded.findings() == []


def test_every_method_that_never_ran_resolves_to_not_applied(
    recorded: Recorded, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        pass

    begin = Recorder.begin

    def die_after_the_intent(self: Recorder, *args: Any, **kwargs: Any) -> Any:
        begin(self, *args, **kwargs)
        raise Died

    monkeypatch.setattr(Recorder, "begin", die_after_the_intent)
    for name, call in world.calls().items():
        if name == "delete_experiment_tag":
            continue  # made of two calls here
        with pytest.raises(Died):
            call()
        event = latest(recorded)
        assert event.status is OutcomeStatus.UNDETERMINED
        assert resolve(recorded, event).status is OutcomeStatus.NOT_APPLIED, name
    assert recorded.findings() == []


def test_a_failed_batch_resolves_to_the_part_that_stayed(
    recorded: Recorded, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise MlflowException("disk full")

    monkeypatch.setattr(SqlAlchemyStore, "_set_tags", fail)
    with pytest.raises(MlflowException, match="disk full"):
        world.tracking.log_batch(
            world.run, [Metric("m", 1.0, 1, 1)], [Param("q", "1")], [RunTag("b", "1")]
        )
    found = resolve(recorded, latest(recorded))
    assert found.status is OutcomeStatus.PARTLY_APPLIED
    assert found.detail == {"metrics": [["m", 1.0, 1, 1]], "params": [["q", "1"]]}
    assert recorded.findings() == []


def test_files_are_looked_at(tracked: Recorded) -> None:
    with mlflow.start_run():
        mlflow.log_text("hello", "a/b.txt")
    event = next(e for e in tracked.events() if e.type == "artifacts.logged")
    assert resolve(tracked, event).status is OutcomeStatus.RECOVERED
    file = next(tracked.file.parent.rglob("b.txt"))
    file.write_text("hel")
    found = resolve(tracked, event)
    assert found.status is OutcomeStatus.PARTLY_APPLIED
    file.unlink()
    assert resolve(tracked, event).status is OutcomeStatus.NOT_APPLIED


KILLED = """
import os, signal, sys, warnings
warnings.simplefilter("ignore")
import mlflow
from chain_client.recorder import Recorder
mlflow.set_tracking_uri(sys.argv[1])
client = mlflow.MlflowClient()
run = client.create_run("0")
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
Recorder.done = die
client.create_run("0", tags={"killed": "yes"})
"""


def test_a_run_made_by_a_killed_process_is_recovered_by_its_marker(recorded: Recorded) -> None:
    run = subprocess.run(
        [sys.executable, "-c", KILLED, recorded.uri], env=dict(os.environ), check=False
    )
    assert run.returncode == -signal.SIGKILL
    event = latest(recorded)
    assert (event.type, event.status) == ("run.created", OutcomeStatus.UNDETERMINED)
    found = resolve(recorded, event)
    assert found.status is OutcomeStatus.RECOVERED
    assert found.result is not None
    assert str(found.result["artifact_uri"]).endswith(f"{found.subject_id}/artifacts")
