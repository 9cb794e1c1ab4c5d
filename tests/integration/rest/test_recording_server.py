"""A server that records says so; then its chain+http clients record nothing and need no home."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import mlflow
import pytest
from mlflow.store.tracking.rest_store import RestStore

import mlflow_chain
from chain_client.client import ChainClient
from mlflow_chain.stores.reclassing import find_recording
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
    # MLflow 3.12 keeps an upload in a file of its own and logs that.
    new["artifacts.uploaded"] += new.pop("artifacts.logged", 0)
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
    said = [r for r in caplog.records if "records by itself" in r.getMessage()]
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


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """Starts tiny servers that always give one answer."""
    running: list[HTTPServer] = []

    def answer(status: int, **headers: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *ignored: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        running.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield answer
    for server in running:
        server.shutdown()
        server.server_close()


SAID = {"X_Mlops_Chain_Deployment": "d1", "X_Mlops_Chain_Stores": "tracking=s1"}
PENDING_SAID = {"X_Mlops_Chain_Deployment": "pending"}


@pytest.mark.parametrize(
    ("status", "headers", "tracking_says", "registry_says"),
    [
        (200, SAID, True, False),
        (401, SAID, True, False),
        (403, SAID, True, False),
        (200, {}, False, False),
        (401, {}, False, False),
        (404, {}, False, False),
        (200, PENDING_SAID, None, None),
        (500, PENDING_SAID, None, None),
        (502, {}, None, None),
        (503, {}, None, None),
    ],
)
def test_any_answer_of_the_server_itself_decides(
    answering: Callable[..., str],
    status: int,
    headers: dict[str, str],
    tracking_says: bool | None,
    registry_says: bool | None,
) -> None:
    from mlflow.utils.rest_utils import MlflowHostCreds

    from mlflow_chain.stores.remote import says_that_it_records

    creds = MlflowHostCreds(answering(status, **headers))
    assert says_that_it_records(lambda: creds, "tracking") is tracking_says
    assert says_that_it_records(lambda: creds, "registry") is registry_says


def test_a_server_that_does_not_answer_has_said_nothing() -> None:
    from mlflow.utils.rest_utils import MlflowHostCreds

    from mlflow_chain.stores.remote import says_that_it_records

    assert says_that_it_records(lambda: MlflowHostCreds("http://127.0.0.1:9"), "tracking") is None
