"""The storm's own judgement: it knows each of its writes, and sees what is left out or made up.

Without this a storm that matches nothing against nothing would be as green as one that works.
"""

from __future__ import annotations

import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chain_client import ChainClient, Settings
from chain_client.events import APPLIED, Event, OutcomeStatus
from chain_client.verify import read_spooled
from tests.storm.changes import Comparison, counted
from tests.storm.claims import claims
from tests.storm.names import CONTENDED, Names
from tests.storm.trace import Trace
from tests.storm.truth import Truth
from tests.storm.writer import Shared, Writer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    from tests.storm.client import OPERATIONS

_TIMES = 3
_EXPECTED_REFUSALS = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"}


class Written:
    """What a writer wrote without any kill, recorded and traced."""

    def __init__(self, events: list[Event], trace: Trace) -> None:
        self.events = events
        self.truth = list(Truth(trace.rows()).changes())

    def compare(self, events: list[Event]) -> Comparison:
        """The trace against these events."""
        claimed = counted(change for event in events for change in claims(event))
        return Comparison(counted(self.truth), claimed).compare()

    def first(self, type_: str) -> Event:
        """An event that claims something."""
        return next(e for e in self.events if e.type == type_ and e.status in APPLIED)


@pytest.fixture(scope="module")
def written(founded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("written")
    home, database = folder / "home", folder / "mlflow.db"
    shutil.copytree(founded_home, home)
    store: Any = SqlAlchemyStore
    store(f"sqlite:///{database}", str(folder / "artifacts"))._dispose_engine()
    trace = Trace(database)
    trace.begin()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_CHAIN_HOME", str(home))
        patch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
        patch.setenv("MLOPS_CHAIN_SPOOL_DURABILITY", "process")
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(f"chain+sqlite:///{database}")
        try:
            _write_everything(folder)
        finally:
            mlflow.set_tracking_uri(before)
        client = ChainClient.open(Settings(home=home, relay_autostart=False))
        client.recorder.close()
        events = list(read_spooled(client.folder.spool, client.log).events.values())
        client.close()
    return Written(events, trace)


def _write_everything(folder: Path) -> None:
    client = MlflowClient()
    experiment_id = client.create_experiment(CONTENDED, str(folder / "artifacts"))
    run_id = client.create_run(experiment_id, run_name=CONTENDED).info.run_id
    client.create_registered_model(CONTENDED)
    client.create_model_version(CONTENDED, "models", run_id)
    shared = Shared(experiment_id, run_id, CONTENDED, 1)
    writer = Writer(client, Random(5), Names(0, 0), shared, folder / "files")
    (folder / "files").mkdir()
    refused = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's deprecations: they are recorded too
        for operation in [*OPERATIONS] * _TIMES:
            try:
                operation(writer)
            except MlflowException as exc:
                refused.add(exc.error_code)
    assert refused <= _EXPECTED_REFUSALS


def test_of_each_kind_of_write_the_trace_and_the_leaves_say_the_same(written: Written) -> None:
    compared = written.compare(written.events)
    assert compared.unclaimed == []
    assert compared.invented == []
    recorded = {event.type for event in written.events if event.status in APPLIED}
    assert len(recorded) > 40
    assert len(written.truth) > 1000


@pytest.mark.parametrize(
    "type_",
    [
        "run.created",
        "run.metric_logged",
        "run.tag_set",
        "run.inputs_logged",
        "experiment.deleted",
        "logged_model.finalized",
        "registered_model.renamed",
        "registered_model.deleted",
        "model_version.stage_set",
        "model_version.deleted",
    ],
)
def test_a_leaf_that_is_left_out_or_made_up_is_seen(written: Written, type_: str) -> None:
    leaf = written.first(type_)
    without = [event for event in written.events if event is not leaf]
    assert written.compare(without).unclaimed
    twice = [*written.events, leaf]
    assert written.compare(twice).invented
    denied = replace(leaf, status=OutcomeStatus.NOT_APPLIED)
    assert written.compare([*without, denied]).unclaimed


def test_a_batch_of_which_only_a_part_is_claimed_is_seen(written: Written) -> None:
    leaf = written.first("run.batch_logged")
    without = [event for event in written.events if event is not leaf]
    metrics = leaf.payload["metrics"]
    assert isinstance(metrics, list)
    part = replace(
        leaf, status=OutcomeStatus.PARTLY_APPLIED, detail={**leaf.payload, "metrics": metrics[1:]}
    )
    compared = written.compare([*without, part])
    assert len(compared.unclaimed) == 1
    assert compared.invented == []
