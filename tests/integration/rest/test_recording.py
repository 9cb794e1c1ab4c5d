"""Every write over a server's API is recorded once, from the client, and compares clean."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import mlflow
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
    RunTag,
)
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException, RestException
from mlflow.store.model_registry.rest_store import RestStore as RegistryRestStore
from mlflow.store.tracking.rest_store import RestStore
from mlflow.tracking._model_registry.utils import _get_store as get_registry_store
from mlflow.tracking._tracking_service.utils import _get_store

from chain_client.events import Event, OutcomeStatus
from mlflow_chain.stores.methods import REGISTRY, TRACKING
from tests.recorded_database import Recorded


def unique(name: str) -> str:
    """A name that no other test of the shared server uses."""
    return f"{name}-{uuid.uuid4().hex}"


class World:
    """The two stores of a server with something in them, and a call for every recorded method."""

    def __init__(self) -> None:
        tracking: Any = _get_store()
        registry: Any = get_registry_store()
        self.tracking, self.registry = tracking, registry
        self.experiment = tracking.create_experiment(unique("live"), tags=[ExperimentTag("a", "1")])
        self.run = self._run()
        self.gone = self._run()
        tracking.delete_run(self.gone)
        self.leaving = self._run()
        self.deleted = tracking.create_experiment(unique("deleted"))
        tracking.delete_experiment(self.deleted)
        tracking.set_tag(self.run, RunTag("a", "1"))
        tags = [LoggedModelTag("a", "1")]
        self.model = tracking.create_logged_model(self.experiment, "net", tags=tags).model_id
        self.dead_model = tracking.create_logged_model(self.experiment, "dead").model_id
        self.name, self.extra, self.doomed = unique("m"), unique("extra"), unique("doomed")
        registry.create_registered_model(self.name, tags=[RegisteredModelTag("a", "1")])
        for _ in range(3):
            registry.create_model_version(
                self.name, "s3://x/y", self.run, tags=[ModelVersionTag("a", "1")]
            )
        registry.set_registered_model_alias(self.name, "old", 1)
        registry.create_registered_model(self.extra, description="")
        registry.create_registered_model(self.doomed)

    def _run(self) -> str:
        run_id: str = self.tracking.create_run(self.experiment, "me", 1, [], "n").info.run_id
        return run_id

    def calls(self) -> dict[str, Callable[[], Any]]:
        """One successful call of every recorded method that a client has."""
        t, r, run, name, model = self.tracking, self.registry, self.run, self.name, self.model
        dataset = DatasetInput(Dataset("d", "x1", "t", "s", "{}", ""), [InputTag("k", "")])
        flavor = mlflow.models.Model(artifact_path="m", run_id=run)
        metric = Metric("nan", float("nan"), 1, 1)
        batch = ([Metric("m", 1.0, 1, 1)], [Param("q", "")], [RunTag("b", "")])
        return {
            "create_experiment": lambda: t.create_experiment(unique("new")),
            "set_experiment_tag": lambda: t.set_experiment_tag(
                self.experiment, ExperimentTag("b", "1")
            ),
            "delete_experiment_tag": lambda: t.delete_experiment_tag(self.experiment, "a"),
            "rename_experiment": lambda: t.rename_experiment(self.experiment, unique("renamed")),
            "restore_experiment": lambda: t.restore_experiment(self.deleted),
            "delete_experiment": lambda: t.delete_experiment(self.deleted),
            "create_run": lambda: t.create_run(self.experiment, "", None, [RunTag("a", "1")], None),
            "update_run_info": lambda: t.update_run_info(run, 3, 9, "name"),
            "delete_run": lambda: t.delete_run(self.leaving),
            "restore_run": lambda: t.restore_run(self.gone),
            "log_metric": lambda: t.log_metric(run, metric),
            "log_param": lambda: t.log_param(run, Param("p", "1")),
            "set_tag": lambda: t.set_tag(run, RunTag("mlflow.runName", "other")),
            "delete_tag": lambda: t.delete_tag(run, "a"),
            "log_batch": lambda: t.log_batch(run, *batch),
            "log_inputs": lambda: t.log_inputs(run, [dataset], [LoggedModelInput(model)]),
            "log_outputs": lambda: t.log_outputs(run, [LoggedModelOutput(model, 1)]),
            "record_logged_model": lambda: t.record_logged_model(run, flavor),
            "create_logged_model": lambda: t.create_logged_model(
                self.experiment,
                params=[LoggedModelParameter(f"p{i}", "1") for i in range(150)],
            ),
            "finalize_logged_model": lambda: t.finalize_logged_model(
                model, LoggedModelStatus.READY
            ),
            "delete_logged_model": lambda: t.delete_logged_model(self.dead_model),
            "set_logged_model_tags": lambda: t.set_logged_model_tags(
                model, [LoggedModelTag("b", "1")]
            ),
            "delete_logged_model_tag": lambda: t.delete_logged_model_tag(model, "a"),
            "log_logged_model_params": lambda: t.log_logged_model_params(
                model, [LoggedModelParameter(f"p{i}", "1") for i in range(250)]
            ),
            "create_registered_model": lambda: r.create_registered_model(unique("new")),
            "update_registered_model": lambda: r.update_registered_model(name, None),
            "set_registered_model_tag": lambda: r.set_registered_model_tag(
                name, RegisteredModelTag("b", "")
            ),
            "delete_registered_model_tag": lambda: r.delete_registered_model_tag(name, "a"),
            "set_registered_model_alias": lambda: r.set_registered_model_alias(name, "new", 2),
            "delete_registered_model_alias": lambda: r.delete_registered_model_alias(name, "old"),
            "create_model_version": lambda: r.create_model_version(
                name, "s3://x/z", run, description=""
            ),
            "update_model_version": lambda: r.update_model_version(name, 1, "text"),
            "transition_model_version_stage": lambda: (
                r.transition_model_version_stage(name, 1, "Production", False),
                r.transition_model_version_stage(name, 2, "production", True),
            ),
            "set_model_version_tag": lambda: r.set_model_version_tag(
                name, 1, ModelVersionTag("b", "1")
            ),
            "delete_model_version_tag": lambda: r.delete_model_version_tag(name, 1, "a"),
            "delete_model_version": lambda: r.delete_model_version(name, 3),
            "rename_registered_model": lambda: r.rename_registered_model(
                self.extra, unique("renamed")
            ),
            "delete_registered_model": lambda: r.delete_registered_model(self.doomed),
        }


def recordable(table: dict[str, Any], store_class: type) -> set[str]:
    return {name for name in table if callable(getattr(store_class, name, None))}


def test_every_write_is_recorded_once_and_compares_clean(tracked: Recorded) -> None:
    world = World()
    calls = world.calls()
    expected = recordable(TRACKING, RestStore) | recordable(REGISTRY, RegistryRestStore)
    assert calls.keys() == expected
    by_name = {**TRACKING, **REGISTRY}
    for name, call in calls.items():
        before = len(tracked.types())
        call()
        new = tracked.types()[before:]
        assert set(new) == {by_name[name].type}, name
        assert len(new) == (2 if name == "transition_model_version_stage" else 1), name
    assert tracked.findings() == []
    assert tracked.findings(run_id=world.run) == []
    assert tracked.findings(model=world.name) == []
    assert {event.status for event in tracked.events()} == {OutcomeStatus.DONE}
    created = next(e for e in tracked.events() if e.type == "run.created")
    assert created.result is not None
    assert created.result["artifact_uri"]


def test_nothing_is_asked_of_the_server_before_the_first_write(tracked: Recorded) -> None:
    store = _get_store()
    assert isinstance(store, RestStore)
    assert type(store).__name__ == "ChainRestStore"
    store.search_experiments(max_results=1)
    assert tracked.client.folder.bindings() == []
    assert tracked.events() == []


def test_one_server_is_one_store_however_its_address_is_written(
    tracked: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow.MlflowClient().create_experiment(unique("one"))
    (binding,) = tracked.client.folder.bindings()
    shouted = tracked.uri.replace("http://127.0.0.1", "http://me:pw-4711@127.0.0.1") + "/"
    mlflow.MlflowClient(shouted).create_experiment(unique("two"))
    assert tracked.client.folder.bindings() == [binding]
    assert "pw-4711" not in binding.uri
    assert [e.type for e in tracked.events()].count("store.adopted") == 1
    for file in tracked.client.home.rglob("*"):
        assert not file.is_file() or b"pw-4711" not in file.read_bytes()


def test_what_a_server_held_before_is_its_baseline(recorded: Recorded) -> None:
    plain = mlflow.MlflowClient(recorded.uri.removeprefix("chain+"))
    experiment = plain.create_experiment(unique("before"), tags={"empty": ""})
    run_id = plain.create_run(experiment).info.run_id
    for step in range(3):
        plain.log_metric(run_id, "loss", float("nan") if step == 1 else 1 / (step + 1), step=step)
    plain.log_param(run_id, "empty", "")
    plain.create_registered_model(unique("before"))
    mlflow.MlflowClient(recorded.uri).set_tag(run_id, "after", "1")
    assert recorded.findings() == []
    plain.set_tag(run_id, "unrecorded", "1")
    (found,) = recorded.findings(run_id=run_id)
    assert (found.kind, found.actual) == ("tag_unexpected", "1")
    plain.delete_tag(run_id, "unrecorded")


ODD_VALUES = [float("nan"), float("inf"), float("-inf"), -0.0, 1e-320, 3, 2**70, 1.5]


def test_odd_values_give_no_finding(tracked: Recorded) -> None:
    store = _get_store()
    client = mlflow.MlflowClient()
    experiment = client.create_experiment(unique("odd"))
    with mlflow.start_run(experiment_id=experiment) as run:
        run_id = run.info.run_id
        for step, value in enumerate(ODD_VALUES):
            mlflow.log_metric("odd", value, step=step)
            mlflow.log_metric("odd", value, step=step, timestamp=5)
        mlflow.log_metric("far", 1.0, step=2**60)
        points = [Metric("many", float(i % 7), 10, i) for i in range(900)]
        same = [Metric("same", float("nan"), 1, 1), Metric("same", 0.0, 1, 1)]
        extremes = [Metric("extreme", value, 2**62, -(2**62)) for value in ODD_VALUES]
        store.log_batch(run_id, points + same + extremes, [], [])
        mlflow.log_param("k" * 250, "v" * 6000)
        mlflow.log_param("long", "ü" * 7000)
        mlflow.set_tag("emoji", "🎉" * 5000)
        mlflow.set_tag("empty", "")
        mlflow.log_param("empty", "")
        store.log_batch(run_id, [], [Param("p", "1")], [RunTag("d", "1"), RunTag("d", "2")])
        for started in (
            mlflow.log_metric("later", 1, synchronous=False),
            mlflow.set_tag("later", "1", synchronous=False),
        ):
            assert started is not None
            started.wait()
    assert tracked.types().count("run.batch_logged") == 4
    assert tracked.findings(run_id=run_id) == []


def test_refusals_and_errors_stay_those_of_mlflow(tracked: Recorded) -> None:
    store = _get_store()
    with pytest.raises(RestException, match="not found") as caught:
        store.log_param("0" * 32, Param("p", "1"))
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(RestException, match="already exists"):
        store.create_experiment("Default")
    with pytest.raises(TypeError):
        store.create_run("0", "me", "no time", [], "n")
    with pytest.raises(TypeError):
        store.log_metric()
    failed = [event for event in tracked.events() if event.error]
    assert {event.status for event in failed} == {OutcomeStatus.FAILED}
    assert len(failed) == 4
    assert tracked.findings() == []


def test_a_server_that_is_down_gets_the_error_of_mlflow(
    tracked: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    store = mlflow.MlflowClient("chain+http://127.0.0.1:9")
    with pytest.raises(MlflowException, match="API request to http"):
        store.create_experiment("nowhere")
    assert tracked.client.folder.bindings() == []


def test_a_batch_that_fails_half_way_is_in_doubt(tracked: Recorded) -> None:
    store = _get_store()
    run_id = World().run
    store.log_param(run_id, Param("p", "1"))
    with pytest.raises(MlflowException):
        store.log_batch(run_id, [Metric("m", 1.0, 1, 1)], [Param("p", "2")], [])
    last: Event = tracked.events()[-1]
    assert (last.type, last.status) == ("run.batch_logged", OutcomeStatus.UNDETERMINED)
    assert tracked.findings() == []


def test_a_write_in_a_workspace_is_refused_rather_than_not_recorded(
    tracked: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_WORKSPACE", "team-a")
    with pytest.raises(MlflowException, match="not recorded, so not done: the workspace 'team-a'"):
        _get_store().create_experiment(unique("elsewhere"))
    assert tracked.events() == []
