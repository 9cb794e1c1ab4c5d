"""An unmodified script with a chain+ URI: each write once, and no finding."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable

import mlflow
import pytest
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking._tracking_service.utils import _get_store

import mlflow_chain
from tests.recorded_database import Recorded


def test_a_script_is_recorded_and_compares_clean(
    tracked: Recorded, plain_run: Callable[[], str]
) -> None:
    run_id = plain_run()
    assert tracked.types() == [
        "run.created",
        "run.metric_logged",
        "run.param_logged",
        "run.tag_set",
        "artifacts.logged",
        "run.updated",
    ]
    assert tracked.findings() == []
    assert tracked.findings(run_id=run_id) == []


def test_a_wrapped_store_stays_what_it_was(tracked: Recorded) -> None:
    store = _get_store()
    assert isinstance(store, SqlAlchemyStore)
    assert type(store).__name__ == "ChainSqlAlchemyStore"
    assert store.db_uri == tracked.uri.removeprefix("chain+")
    assert mlflow_chain.wrap(store) is store


def test_wrapping_twice_records_once(recorded: Recorded) -> None:
    store = SqlAlchemyStore(recorded.uri.removeprefix("chain+"), "artifacts")
    once = mlflow_chain.wrap(store, recorded.client)
    twice = mlflow_chain.wrap(once, recorded.client)
    assert twice is once is store
    store.create_experiment("one")
    assert recorded.types() == ["experiment.created"]


def test_a_copied_store_records_too(tracked: Recorded) -> None:
    run_id = mlflow.start_run().info.run_id
    twin = copy.copy(_get_store())
    twin.log_metric(run_id, Metric("loss", 1.0, 1, 1))
    assert tracked.types().count("run.metric_logged") == 1


def test_calls_of_a_store_to_itself_are_not_recorded_again(tracked: Recorded) -> None:
    run_id = mlflow.start_run().info.run_id
    store = _get_store()
    before = len(tracked.types())
    store.set_tag(run_id, RunTag("mlflow.runName", "new name"))
    store.log_batch(run_id, [], [], [RunTag("mlflow.runName", "newer"), RunTag("a", "1")])
    assert tracked.types()[before:] == ["run.tag_set", "run.batch_logged"]
    assert tracked.findings() == []


def test_async_logging_is_recorded_once(tracked: Recorded) -> None:
    with mlflow.start_run():
        for started in (
            mlflow.log_metric("a", 1, synchronous=False),
            mlflow.log_params({"p": 1}, synchronous=False),
            mlflow.set_tag("t", "1", synchronous=False),
        ):
            assert started is not None
            started.wait()
        mlflow.flush_async_logging()
    assert tracked.types().count("run.batch_logged") == 3
    assert tracked.findings() == []


@pytest.mark.filterwarnings("ignore")
def test_autolog_with_nested_runs_and_a_registered_model_compares_clean(tracked: Recorded) -> None:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    mlflow.sklearn.autolog()
    try:
        data, target = load_iris(return_X_y=True)
        with mlflow.start_run() as parent:
            for c in (0.1, 1.0):
                with mlflow.start_run(nested=True):
                    LogisticRegression(C=c, max_iter=300).fit(data, target)
            model = LogisticRegression(max_iter=300).fit(data, target)
            model.score(data, target)
            mlflow.sklearn.log_model(model, name="best", registered_model_name="iris")
    finally:
        mlflow.sklearn.autolog(disable=True)
    client = mlflow.MlflowClient()
    client.set_registered_model_alias("iris", "champion", "1")
    assert mlflow.sklearn.load_model("models:/iris@champion").predict(data).shape == (150,)
    assert tracked.findings() == []
    assert tracked.findings(model="iris") == []
    assert tracked.findings(run_id=parent.info.run_id) == []
    created = [e for e in tracked.events() if e.type == "run.created"]
    assert len({e.subject.id for e in created}) == len(created) == 3


def test_errors_of_mlflow_pass_unchanged(tracked: Recorded) -> None:
    store = _get_store()
    with pytest.raises(MlflowException, match="not found") as caught:
        store.log_metric("0" * 32, Metric("loss", 1.0, 1, 1))
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(TypeError):
        store.log_metric()
    assert tracked.findings() == []


ODD_VALUES = [float("nan"), float("inf"), float("-inf"), -0.0, 1e-320, 3, 2**70, 1.5]


def _refused_by_old_mlflow() -> contextlib.suppress:
    """MLflow 3.12 does not know a NaN again that is there already, and fails."""
    return contextlib.suppress(MlflowException)


def test_odd_values_give_no_finding(tracked: Recorded) -> None:
    store = _get_store()
    with mlflow.start_run() as run:
        run_id = run.info.run_id
        for step, value in enumerate(ODD_VALUES):
            mlflow.log_metric("odd", value, step=step)
            mlflow.log_metric("odd", value, step=step, timestamp=5)
            with _refused_by_old_mlflow():
                mlflow.log_metric("odd", value, step=step, timestamp=5)
        mlflow.log_metric("far", 1.0, step=2**60)
        points = [Metric("many", float(i % 7), 10, i) for i in range(900)]
        same = [Metric("same", float("nan"), 1, 1), Metric("same", 0.0, 1, 1)]
        store.log_batch(run_id, points, [], [])
        with _refused_by_old_mlflow():
            store.log_batch(run_id, same + same, [], [])
        long_key = "k" * 250
        mlflow.log_param(long_key, "v" * 6000)
        mlflow.log_param("long", "ü" * 7000)
        mlflow.set_tag("emoji", "🎉" * 5000)
        mlflow.set_tag("empty", "")
        mlflow.log_param("empty", "")
        store.log_batch(run_id, [], [Param("p", "1")], [RunTag("d", "1"), RunTag("d", "2")])
    assert tracked.findings() == []


def test_a_batch_that_fails_half_way_is_told_apart(tracked: Recorded) -> None:
    store = _get_store()
    run_id = mlflow.start_run().info.run_id
    store.log_param(run_id, Param("p", "1"))
    with pytest.raises(MlflowException):
        store.log_batch(run_id, [Metric("m", 1.0, 1, 1)], [Param("p", "2")], [])
    assert tracked.findings() == []


def test_deleted_and_restored_entities_give_no_finding(
    tracked: Recorded, plain_run: Callable[[], str]
) -> None:
    client = mlflow.MlflowClient()
    first, second, third = plain_run(), plain_run(), plain_run()
    client.delete_run(first)
    client.delete_run(second)
    client.restore_run(second)
    client.delete_tag(third, "stage")
    experiment = client.create_experiment("gone", tags={"a": "1"})
    client.create_run(experiment)
    client.set_experiment_tag(experiment, "b", "2")
    client.rename_experiment(experiment, "still gone")
    client.delete_experiment(experiment)
    back = client.create_experiment("back")
    client.create_run(back)
    client.delete_experiment(back)
    client.restore_experiment(back)
    assert tracked.findings() == []
    store = _get_store()
    store._hard_delete_run(first)
    store._hard_delete_experiment(experiment)
    assert client.create_experiment("another") is not None
    assert tracked.findings() == []


@pytest.mark.filterwarnings("ignore:.*transition_model_version_stage:FutureWarning")
def test_every_registry_write_gives_no_finding(tracked: Recorded) -> None:
    client = mlflow.MlflowClient()
    client.create_registered_model("m", tags={"a": "1"}, description="d")
    for _ in range(3):
        client.create_model_version("m", "/nowhere", tags={"t": "1"}, description="v")
    client.update_registered_model("m", "new")
    client.set_registered_model_tag("m", "b", "2")
    client.delete_registered_model_tag("m", "a")
    client.set_model_version_tag("m", "1", "u", "2")
    client.delete_model_version_tag("m", "1", "t")
    client.update_model_version("m", "2", "changed")
    client.transition_model_version_stage("m", "1", "production")
    client.transition_model_version_stage("m", "2", "Production", archive_existing_versions=True)
    client.set_registered_model_alias("m", "champion", "3")
    client.set_registered_model_alias("m", "other", "1")
    client.delete_registered_model_alias("m", "other")
    client.copy_model_version("models:/m/1", "copied")
    assert tracked.findings() == []
    client.delete_model_version("m", "3")
    client.rename_registered_model("m", "renamed")
    assert tracked.findings() == []
    assert tracked.findings(model="renamed") == []
    client.create_registered_model("m")
    client.create_model_version("m", "/elsewhere")
    client.delete_registered_model("m")
    client.create_registered_model("m", description="again")
    client.create_model_version("m", "/third")
    assert tracked.findings() == []


def test_logged_models_give_no_finding(tracked: Recorded) -> None:
    with mlflow.start_run():
        model = mlflow.initialize_logged_model("net", params={"a": "1"}, tags={"t": "1"})
        mlflow.log_model_params({"b": "2"}, model.model_id)
        mlflow.set_logged_model_tags(model.model_id, {"t": "2", "u": "3"})
        mlflow.delete_logged_model_tag(model.model_id, "u")
        mlflow.log_metric("acc", 0.5, step=3, model_id=model.model_id)
        mlflow.finalize_logged_model(model.model_id, "READY")
        other = mlflow.initialize_logged_model("other")
    mlflow.MlflowClient().delete_logged_model(other.model_id)
    assert tracked.findings() == []


def test_the_same_tag_from_many_threads_gives_no_finding(tracked: Recorded) -> None:
    run_id = mlflow.start_run().info.run_id
    client = mlflow.MlflowClient()

    def write(name: int) -> None:
        for turn in range(5):
            # SQLite may refuse one of two writers; then it is in doubt, and either is allowed.
            with contextlib.suppress(MlflowException):
                client.set_tag(run_id, "contended", f"{name}-{turn}")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tracked.types().count("run.tag_set") == 40
    assert tracked.findings() == []


def test_prompts_are_recorded_through_the_calls_they_make(recorded: Recorded) -> None:
    store = RegistryStore(recorded.uri.removeprefix("chain+"))
    mlflow_chain.wrap(store, recorded.client)
    store.create_prompt("greeting", "a prompt", {"a": "1"})
    store.create_prompt_version("greeting", "Hello {{name}}", tags={"b": "2"})
    store.set_prompt_alias("greeting", "live", 1)
    assert recorded.types() == [
        "registered_model.created",
        "model_version.created",
        "registered_model.alias_set",
    ]
    assert recorded.findings() == []
