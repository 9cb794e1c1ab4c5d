"""What is written to an MLflow database on Postgres is recorded, by either driver."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking._tracking_service.utils import _get_store
from sqlalchemy import event

from chain_client.events import OutcomeStatus
from mlflow_chain.host import MlflowHost
from mlflow_chain.stores.methods import REGISTRY, TRACKING
from tests.every_call import World
from tests.integration.postgres.conftest import RecordedPostgres, close_engines
from tests.postgres import DRIVERS

pytestmark = pytest.mark.filterwarnings("ignore")

FIRST: Any = 1
"""A version as a number: MLflow 3.12 can't ask psycopg 3 for one that is given as text."""

ODD_TEXTS = [
    "ü",
    "🎉 emoji",
    "日本語",
    "a'b\"c",
    " both ends ",
    "tab\tand\nline",
    "%_like",
    "\u200b",
]

Track = Callable[[str], None]


def test_every_method_is_recorded_and_recovers_to_what_it_recorded(
    recorded: RecordedPostgres,
) -> None:
    host = MlflowHost()
    world = World(recorded)
    (binding,) = recorded.client.folder.bindings()
    lives = {}
    for name, call in world.calls().items():
        call()
        live = max(recorded.events(), key=lambda event: event.sequence)
        assert live.status is OutcomeStatus.DONE, name
        assert live.type == (TRACKING.get(name) or REGISTRY[name]).type
        # A call that a later one undoes must be looked at before.
        if name in ("log_metric", "log_param", "log_batch", "log_inputs", "log_outputs"):
            (found,) = host.resolve(binding, [live])
            assert (found.status, found.result) == (OutcomeStatus.RECOVERED, live.result), name
        else:
            lives[name] = live
    for name, found in zip(lives, host.resolve(binding, list(lives.values())), strict=True):
        assert (found.status, found.result) == (OutcomeStatus.RECOVERED, lives[name].result), name
    assert recorded.findings() == []


@pytest.mark.parametrize("driver", DRIVERS)
def test_odd_values_give_no_finding(
    recorded: RecordedPostgres, tracked: Track, driver: str
) -> None:
    tracked(driver)
    client, store = MlflowClient(), _get_store()
    for text in ODD_TEXTS:
        client.create_registered_model(text, {"text": text}, text)
        client.create_model_version(text, "/x", tags={"text": text})
        client.set_registered_model_alias(text, "champion", FIRST)
    with mlflow.start_run(run_name="🎉") as run:
        for text in ODD_TEXTS:
            mlflow.set_tag("text", text)
            with contextlib.suppress(MlflowException):
                mlflow.set_tag(text, text)
                mlflow.log_param(text, text)
                mlflow.log_metric(text, 1.0)
        mlflow.log_params({"long": "v" * 6_000, "empty": ""})
        mlflow.set_tag("k" * 250, "v" * 8_000)
        # Postgres has no such character; the refused call leaves nothing behind, and no doubt.
        with pytest.raises((MlflowException, ValueError), match="NUL"):
            mlflow.set_tag("nul", "a\0b")
        values = [float("nan"), float("inf"), float("-inf"), -0.0, 0.0, 1e-320, 2.0**60, 1e308]
        points = [Metric("m", value, 5, 2**60) for value in values]
        store.log_batch(run.info.run_id, points, [], [])
        # MLflow 3.12 does not know a NaN again that is there already, and fails.
        with contextlib.suppress(MlflowException):
            store.log_batch(run.info.run_id, points + points, [], [])
        for point in points:
            with contextlib.suppress(MlflowException):
                store.log_metric(run.info.run_id, point)
        many = [Metric(f"k{n % 7}", n / 3, n, -n) for n in range(900)]
        store.log_batch(run.info.run_id, many, [], [])
    experiment = client.create_experiment(" 日本語 ", tags={"empty": ""})
    client.rename_experiment(experiment, "'quoted' \"twice\"")
    assert recorded.findings() == []


@pytest.mark.parametrize("failing_commit", [1, 2, 3, 4])
def test_a_batch_of_which_any_commit_fails(
    recorded: RecordedPostgres, tracked: Track, failing_commit: int
) -> None:
    tracked("psycopg")
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
            tags = [RunTag("t", "1"), RunTag("mlflow.runName", "renamed")]
            store.log_batch(run_id, [Metric("m", 1.0, 1, 1)], [Param("p", "1")], tags)
    finally:
        event.remove(store.engine, "commit", fail)
    assert seen >= failing_commit
    assert recorded.findings() == []
    store.log_batch(run_id, [Metric("m", 1.0, 1, 1)], [Param("p", "1")], [RunTag("t", "2")])
    assert recorded.findings() == []


EDITS = [
    ("update metrics set value = 0.9 where key = 'loss'", "metric_changed"),
    ("update metrics set value = 'NaN' where key = 'loss'", "metric_changed"),
    ("update latest_metrics set value = 0.9 where key = 'loss'", "metric_changed"),
    ("delete from metrics where key = 'loss'", "metric_missing"),
    ("update params set value = '9'", "param_changed"),
    ("insert into params select 'zz', value, run_uuid from params", "param_unexpected"),
    ("update tags set value = 'dev ' where key = 'stage'", "tag_changed"),
    ("update runs set start_time = start_time + 1", "run_field_changed"),
    ("delete from runs", "run_missing"),
    ("update experiments set name = 'x' where experiment_id > 0", "experiment_field_changed"),
    ("update registered_model_aliases set version = 2", "alias_changed"),
    ("update model_versions set source = 'x' where version = 1", "version_field_changed"),
    ("delete from model_versions where version = 2", "version_missing"),
    ("update registered_models set name = 'M' where name = 'm'", "model_missing"),
]


def test_what_is_changed_behind_mlflow_is_named(recorded: RecordedPostgres, tracked: Track) -> None:
    tracked("psycopg2")
    client = MlflowClient()
    with mlflow.start_run(experiment_id=client.create_experiment("e")):
        mlflow.log_metric("loss", 0.5, step=1)
        mlflow.log_param("depth", 3)
        mlflow.set_tag("stage", "dev")
    client.create_registered_model("m")
    client.create_model_version("m", "/x")
    client.create_model_version("m", "/y")
    client.set_registered_model_alias("m", "champion", "1")
    assert recorded.findings() == []
    close_engines()
    missed = []
    for statement, kind in EDITS:
        copy = recorded.server.create(recorded.name)
        recorded.server.execute(f"alter database {recorded.name} rename to aside")
        recorded.server.execute(f"alter database {copy} rename to {recorded.name}")
        assert recorded.edit(statement) > 0, statement
        if kind not in recorded.kinds():
            missed.append((statement, kind, recorded.findings()))
        recorded.server.execute(f"drop database {recorded.name} (force)")
        recorded.server.execute(f"alter database aside rename to {recorded.name}")
    assert missed == []


WORKERS = """
import os, sys, warnings
warnings.simplefilter("ignore")
import mlflow
from mlflow.entities import Metric, RunTag
run_id, *uris = sys.argv[1:]

def write(name, uri):
    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient()
    for step in range(12):
        client.log_metric(run_id, "loss", float(name), step=step)
        client.set_tag(run_id, "contended", f"{name}-{step}")
        tags = [RunTag("contended", f"{name}+{step}"), RunTag(f"mine-{name}", str(step))]
        client.log_batch(run_id, [Metric("m", float(step), step, step)], [], tags)
        client.set_registered_model_alias("m", "champion", 1 + step % 2)
    client.create_run("0")

children = []
for name, uri in enumerate(uris):  # MLflow is imported once; nothing is open yet
    child = os.fork()
    if child == 0:
        try:
            write(name, uri)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        sys.exit()
    children.append(child)
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""


def test_four_processes_with_two_drivers_write_to_the_same_tags(
    recorded: RecordedPostgres, tracked: Track
) -> None:
    tracked("psycopg")
    client = MlflowClient()
    run_id = mlflow.start_run().info.run_id
    client.create_registered_model("m")
    client.create_model_version("m", "/x")
    client.create_model_version("m", "/y")
    # Two that write a tag or an alias for the first time at once fail in plain MLflow, too: it
    # looks whether there is one, and then inserts.
    client.set_registered_model_alias("m", "champion", "1")
    client.set_tag(run_id, "contended", "not yet")
    uris = [recorded.by(driver).uri for driver in (*DRIVERS, *DRIVERS)]
    workers = [sys.executable, "-c", WORKERS, run_id, *uris]
    done = subprocess.run(workers, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    types = recorded.types()
    assert types.count("run.tag_set") == 49
    assert types.count("run.batch_logged") == 48
    assert types.count("run.created") == 5
    assert recorded.findings() == []
    assert recorded.edit("update tags set value = 'x' where key = 'contended'") == 1
    assert recorded.kinds() == ["tag_changed"]
