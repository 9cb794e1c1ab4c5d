"""Calls whose outcome nobody wrote down: what the host says of them is exact."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import mlflow
import pytest
from mlflow.entities import (
    Metric,
    Param,
    RunTag,
)
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from chain_client.events import Event, OutcomeStatus
from chain_client.hosts import Resolution
from chain_client.recorder import Recorder
from mlflow_chain.host import MlflowHost
from mlflow_chain.stores.methods import REGISTRY, TRACKING
from tests.every_call import World
from tests.recorded_database import Recorded


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
