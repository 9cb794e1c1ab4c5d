"""Honest use in its odd corners gives no finding."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    Metric,
    Param,
    RunTag,
)
from mlflow.exceptions import MlflowException
from mlflow.tracking._model_registry.utils import _get_store as registry_store
from mlflow.tracking._tracking_service.utils import _get_store
from sqlalchemy import event

from chain_client.events import OutcomeStatus
from tests.recorded_database import Recorded

pytestmark = pytest.mark.filterwarnings("ignore")

ODD_TEXTS = ["ü", "🎉 emoji", "日本語", "a'b\"c", "x" * 250, "with space", "%_like", "\u200b", "ǅ"]


def test_odd_names_keys_and_values(tracked: Recorded) -> None:
    client = MlflowClient()
    for text in ODD_TEXTS:
        client.create_registered_model(text, {"text": text}, text)
        client.create_model_version(text, "/x", tags={"text": text})
        client.set_registered_model_alias(text, "champion", "1")
    with mlflow.start_run(run_name="🎉"):
        for text in ODD_TEXTS:
            mlflow.set_tag("text", text)
            # Of a key MLflow allows less; what it refuses leaves nothing behind.
            with contextlib.suppress(MlflowException):
                mlflow.set_tag(text, text)
                mlflow.log_param(text, text)
                mlflow.log_metric(text, 1.0)
        mlflow.set_tag("none", None)
        mlflow.log_params({"long": "v" * 500, "longer": "v" * 6_000, "empty": ""})
    experiment = client.create_experiment("🎉 日本語", tags={"empty": ""})
    client.rename_experiment(experiment, "'quoted' \"twice\"")
    with mlflow.start_run():
        pass  # an empty run
    assert tracked.findings() == []


def test_duplicate_points_in_batches_and_alone(tracked: Recorded) -> None:
    store = _get_store()
    run_id = mlflow.start_run().info.run_id
    values = [float("nan"), float("inf"), float("-inf"), -0.0, 0.0, 1e-320, 2.0**60, 1e308]
    points = [Metric("m", value, 5, 2**60) for value in values]
    # MLflow 3.12 refuses a NaN that is there already.
    with contextlib.suppress(MlflowException):
        store.log_batch(run_id, points + points, [], [])
    for point in points:
        with contextlib.suppress(MlflowException):
            store.log_metric(run_id, point)
    store.log_batch(run_id, [Metric(f"k{n % 7}", n / 3, n, -n) for n in range(1000)], [], [])
    store.log_batch(run_id, [], [], [])
    assert tracked.findings() == []


@pytest.mark.parametrize("failing_commit", [1, 2, 3, 4])
def test_a_batch_of_which_any_commit_fails(tracked: Recorded, failing_commit: int) -> None:
    store: Any = _get_store()
    run_id = mlflow.start_run().info.run_id
    seen = 0

    def fail(connection: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == failing_commit:
            raise RuntimeError("the disk is full")

    event.listen(store.engine, "commit", fail)
    try:
        with contextlib.suppress(MlflowException, RuntimeError):
            store.log_batch(
                run_id,
                [Metric("m", 1.0, 1, 1), Metric("n", 2.0, 1, 1)],
                [Param("p", "1")],
                [RunTag("t", "1"), RunTag("mlflow.runName", "renamed")],
            )
    finally:
        event.remove(store.engine, "commit", fail)
    assert seen >= failing_commit
    assert tracked.findings() == []
    store.log_batch(run_id, [Metric("m", 1.0, 1, 1)], [Param("p", "1")], [RunTag("t", "2")])
    assert tracked.findings() == []


def test_what_gc_removes_takes_others_along(tracked: Recorded) -> None:
    store: Any = _get_store()
    client = MlflowClient()
    doomed = client.create_experiment("doomed")
    kept = mlflow.start_run().info.run_id
    model = mlflow.initialize_logged_model("kept").model_id
    mlflow.end_run()
    gone = client.create_run(doomed).info.run_id
    inside = store.create_logged_model(doomed, "inside", gone).model_id
    data = [DatasetInput(Dataset("d", "1", "local", "s"), [InputTag("a", "1")])]
    store.log_inputs(gone, data)
    store.log_inputs(kept, data)
    store.log_metric(gone, Metric("acc", 0.5, 1, 1, model_id=model))
    store.log_outputs(kept, [LoggedModelOutput(inside, 1)])
    client.delete_experiment(doomed)
    client.restore_experiment(doomed)
    client.delete_run(gone)
    assert tracked.findings() == []
    store._hard_delete_run(gone)
    assert tracked.findings() == []
    client.delete_experiment(doomed)
    store._hard_delete_experiment(doomed)
    assert tracked.findings() == []
    again = client.create_experiment("doomed")
    client.set_experiment_tag(again, "a", "1")
    client.create_run(again)
    client.delete_logged_model(model)
    store._hard_delete_logged_model(model)
    assert tracked.findings() == []


def test_a_dataset_that_is_logged_over_and_over(tracked: Recorded) -> None:
    store = _get_store()
    client = MlflowClient()
    other = client.create_experiment("other")
    runs = [client.create_run(e).info.run_id for e in ("0", "0", other)]
    for source in ("one", "two"):
        for run_id in runs:
            for tag in ("train", "test"):
                dataset = Dataset("d", "same", "local", source, schema=tag)
                store.log_inputs(run_id, [DatasetInput(dataset, [InputTag("context", tag)])] * 2)
    assert tracked.findings() == []


def test_names_of_models_that_come_back(tracked: Recorded) -> None:
    client = MlflowClient()

    def fill(name: str) -> None:
        client.create_registered_model(name, {"t": name}, f"as {name}")
        client.create_model_version(name, "/x", tags={"v": "1"})
        client.set_registered_model_alias(name, "champion", "1")

    fill("m")
    client.rename_registered_model("m", "n")
    fill("m")
    client.delete_registered_model("n")
    client.rename_registered_model("m", "n")
    fill("m")
    client.delete_model_version("m", "1")
    client.create_model_version("m", "/y")
    client.rename_registered_model("m", "m")
    client.delete_registered_model("n")
    client.rename_registered_model("m", "n")
    assert tracked.findings() == []
    assert tracked.findings(model="n") == []


def test_stages_that_archive_and_copies(tracked: Recorded) -> None:
    client = MlflowClient()
    client.create_registered_model("m")
    for _ in range(3):
        client.create_model_version("m", "/x")
    for version in ("1", "2", "3"):
        client.transition_model_version_stage("m", version, "staging", True)
    client.transition_model_version_stage("m", "1", "STAGING", archive_existing_versions=True)
    client.transition_model_version_stage("m", "1", "none")
    client.copy_model_version("models:/m/2", "copy")
    client.copy_model_version("models:/m/3", "copy")
    client.copy_model_version("models:/copy/1", "m")
    assert tracked.findings() == []


def test_prompts(tracked: Recorded) -> None:
    mlflow.genai.register_prompt("p", "Hello {{name}}", tags={"a": "1"})
    mlflow.genai.register_prompt("p", "Goodbye {{name}}", commit_message="second")
    mlflow.genai.set_prompt_alias("p", "live", 2)
    with mlflow.start_run():
        mlflow.genai.load_prompt("prompts:/p@live")
    client = MlflowClient()
    client.delete_prompt_alias("p", "live")
    client.set_prompt_tag("p", "b", "2")
    client.delete_prompt_version("p", "1")
    assert tracked.findings() == []


WRITERS = """
import contextlib, os, sys, warnings
warnings.simplefilter("ignore")
import mlflow
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry import sqlalchemy_store
from mlflow.store.tracking import sqlalchemy_store
uri, run_id = sys.argv[1:]
ready, go = os.pipe(), os.pipe()

def write(name):
    client = mlflow.MlflowClient(uri, uri)
    client.get_run(run_id)
    os.write(ready[1], b".")
    os.read(go[0], 1)
    for turn in range(2):
        value = f"{name}-{turn}"
        for call in (
            lambda: client.set_tag(run_id, "contended", value),
            lambda: client.set_registered_model_alias("m", "champion", str(turn % 2 + 1)),
            lambda: client.update_run(run_id, "FINISHED" if turn % 2 else "FAILED", value),
            lambda: client.transition_model_version_stage("m", "1", "Staging", turn % 2 == 0),
            lambda: client.transition_model_version_stage("m", "2", "Staging", turn % 2 == 1),
            lambda: client.update_registered_model("m", value),
            lambda: client.set_experiment_tag("0", "contended", value),
        ):
            with contextlib.suppress(MlflowException):
                call()
    os.write(1, b".")
    os.read(0, 1)
    with contextlib.suppress(MlflowException):
        client.set_tag(run_id, "contended", f"{name}-last")

# Forked before any store is open: MLflow is imported once, all else is each process's own.
children = []
for number in range(4):
    child = os.fork()
    if not child:
        write(f"w{number}")
        sys.exit()
    children.append(child)
for _ in children:
    os.read(ready[0], 1)
os.write(go[1], b"....")
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def contended(recorded: Recorded, status: OutcomeStatus) -> set[str]:
    """What the tag was set to by the calls that ended so."""
    tagged = [e for e in recorded.events() if e.type == "run.tag_set" and e.status is status]
    payloads: list[Any] = [event.payload for event in tagged]
    return {value for payload in payloads for _, value in payload["tags"]}


def test_four_processes_that_write_the_same_fields(tracked: Recorded) -> None:
    client = MlflowClient()
    client.create_registered_model("m")
    for _ in range(2):
        client.create_model_version("m", "/x")
    run_id = mlflow.start_run().info.run_id
    lasts = {f"w{number}-last" for number in range(4)}
    command = [sys.executable, "-c", WRITERS, tracked.uri, run_id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writers:
        assert writers.stdin is not None
        assert writers.stdout is not None
        try:
            assert writers.stdout.read(4) == b"...."
            with contextlib.closing(sqlite3.connect(tracked.file, timeout=60)) as database:
                # Nobody can write until all four have begun to.
                database.execute("begin immediate")
                writers.stdin.write(b"....")
                writers.stdin.flush()
                deadline = time.monotonic() + 60
                while not lasts <= contended(tracked, OutcomeStatus.UNDETERMINED):
                    assert time.monotonic() < deadline
                    time.sleep(0.005)
                database.rollback()
            assert writers.wait(timeout=120) == 0
        finally:
            writers.kill()
    assert tracked.findings() == []
    tracked.edit("update tags set value = 'nobody' where key = 'contended'")
    (finding,) = tracked.findings()
    assert finding.kind == "tag_changed"
    assert finding.actual == "nobody"
    _, _, shown = finding.detail.partition("concurrent writes allow any of: ")
    candidates = set(shown.split(", "))
    assert finding.expected in candidates
    # SQLite may have refused one; what it refused is in doubt until a relay looks at it.
    done = lasts & contended(tracked, OutcomeStatus.DONE)
    assert len(lasts & candidates) > 1
    assert done <= candidates <= done | contended(tracked, OutcomeStatus.UNDETERMINED)


@pytest.fixture
def autologged() -> Iterator[Callable[[Any], None]]:
    """Turns autologging of a flavor on, and off at the end."""
    flavors: list[Any] = []

    def turn_on(flavor: Any) -> None:
        flavors.append(flavor)
        flavor.autolog()

    yield turn_on
    for flavor in flavors:
        flavor.autolog(disable=True)


def test_autolog_of_xgboost(tracked: Recorded, autologged: Callable[[Any], None]) -> None:
    import mlflow.xgboost
    import numpy as np
    import xgboost

    autologged(mlflow.xgboost)
    data = np.arange(40.0).reshape(20, 2)
    matrix = xgboost.DMatrix(data, label=data[:, 0] > 10)
    with mlflow.start_run():
        xgboost.train({"max_depth": 2}, matrix, 3, evals=[(matrix, "train")], verbose_eval=False)
    assert {"run.batch_logged", "logged_model.created"} <= set(tracked.types())
    assert tracked.findings() == []


def test_the_registry_may_be_opened_before_anything_else(recorded: Recorded) -> None:
    fresh = Recorded(
        recorded.client,
        f"chain+sqlite:///{recorded.file.with_name('fresh.db')}",
        recorded.file.with_name("fresh.db"),
    )
    registry_store(fresh.uri).create_registered_model("m")
    assert fresh.findings() == []
    # Now MLflow makes its default experiment, by no call of a store.
    store = _get_store(fresh.uri)
    run_id = store.create_run("0", "me", 1, [], "r").info.run_id
    store.set_experiment_tag("0", mlflow.entities.ExperimentTag("a", "1"))
    assert fresh.findings() == []
    fresh.edit("update experiment_tags set value = 'x'")
    fresh.edit("update runs set user_id = 'x' where run_uuid = ?", run_id)
    assert sorted(fresh.kinds()) == ["run_field_changed", "tag_changed"]
