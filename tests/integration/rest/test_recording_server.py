"""A server that records says so; then its chain+http clients record nothing and need no home."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import mlflow
import pytest
from mlflow.store.tracking.rest_store import RestStore

import mlflow_chain
from chain_client.client import ChainClient
from mlflow_chain.stores.wrapping import find_recording
from tests.integration.rest.conftest import tracking
from tests.integration.rest.test_recording import unique
from tests.mlflow_server import Server


def test_each_write_is_recorded_once_in_the_home_of_the_server(
    recording_server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    nowhere = tmp_path / "nowhere"
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(nowhere))
    caplog.set_level(logging.INFO, "mlflow_chain")
    before = Counter(event.type for event in recording_server.site.events())
    with tracking(f"chain+{recording_server.url}"):
        client = mlflow.MlflowClient()
        name = unique("m")
        with mlflow.start_run() as run:
            mlflow.log_metric("loss", 0.5)
            mlflow.log_params({"a": "1", "b": "2"})
            mlflow.set_tag("t", "1")
            mlflow.log_text("weights", "model/weights.txt")
        client.create_registered_model(name)
        client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id)
        client.set_registered_model_alias(name, "champion", "1")
        assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/model/weights.txt") == "weights"
    new = Counter(event.type for event in recording_server.site.events()) - before
    assert {k: n for k, n in new.items() if not k.startswith(("store.", "source."))} == {
        "run.created": 1,
        "run.metric_logged": 1,
        "run.batch_logged": 1,
        "run.tag_set": 1,
        "artifacts.uploaded": 1,
        "run.updated": 1,
        "registered_model.created": 1,
        "model_version.created": 1,
        "registered_model.alias_set": 1,
    }
    assert not nowhere.exists()
    said = [r for r in caplog.records if "the server records by itself" in r.getMessage()]
    assert len(said) == 2  # one for each store


def test_a_store_wrapped_by_hand_leaves_it_to_the_server_too(
    recording_server: Server, client: ChainClient
) -> None:
    from mlflow.utils.rest_utils import MlflowHostCreds

    store = RestStore(lambda: MlflowHostCreds(recording_server.url))
    assert mlflow_chain.wrap(store, client) is store
    store.create_experiment(unique("by hand"))
    source = find_recording(store)
    assert source is not None
    assert source.current() is None
    assert client.folder.bindings() == []


def test_a_server_that_does_not_say_is_recorded_until_it_does(
    server: Server, client: ChainClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.utils.rest_utils import MlflowHostCreds

    from mlflow_chain.stores import remote

    url = server.url
    store = RestStore(lambda: MlflowHostCreds(url))
    mlflow_chain.wrap(store, client)
    answers = iter([None, None, True])
    monkeypatch.setattr(remote, "says_that_it_records", lambda *_: next(answers))
    for _ in range(4):
        store.create_experiment(unique("undecided"))
    from chain_client.verify import read_spooled

    found = read_spooled(client.folder.spool, client.log).events.values()
    assert [event.type for event in found].count("experiment.created") == 2
