"""A registry in a database of its own: the files of its versions are kept by the other store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from mlflow.tracking import MlflowClient

from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.errors import InvalidInput
from chain_client.governing.attesting import attest
from chain_client.governing.logged import bring_in
from chain_client.governing.models import find_model
from tests.mlflow_server import Server, Site, launch

pytestmark = pytest.mark.filterwarnings("ignore")

UPLOAD = "/ajax-api/2.0/mlflow/upload-artifact"
PROXY = "/api/2.0/mlflow-artifacts/artifacts"


@dataclass
class Two:
    """A server with two recorded databases, and a version whose files are attested.

    Args:
        server: the server.
        client: a plain client.
        version: of model "fraud", to be attested next.
    """

    server: Server
    client: MlflowClient
    version: int = 0

    def register(self, run_id: str, source: str) -> None:
        """Make the files of a run a version."""
        body = {"name": "fraud", "source": source, "run_id": run_id}
        said = self.server.call("model-versions/create", body)
        self.version = int(said["model_version"]["version"])

    def attest(self) -> str:
        """Attest the files of the version, as a command does; the location."""
        home = self.server.site.home
        client = ChainClient.open(Settings(home=home, relay_autostart=False))
        try:
            bring_in(client)
            found = find_model(client, "fraud", None)
            assert found.binding.uri.endswith("registry.db")
            return attest(client, found, self.version, 30, lambda text: None).files.location
        finally:
            client.recorder.close()
            client.close()


@pytest.fixture(scope="module", params=["chain+", ""], ids=["both-recorded", "registry-only"])
def two(request: pytest.FixtureRequest, new_site: Callable[..., Site]) -> Iterator[Two]:
    """A server whose registry lies in another database than its runs."""
    site = new_site()
    site.prefix = request.param
    registry = f"chain+sqlite:///{site.folder / 'registry.db'}"
    server = launch(site, "--registry-store-uri", registry, workers=2)
    try:
        client = MlflowClient(server.url)
        client.create_registered_model("fraud")
        yield Two(server, client)
    finally:
        server.stop()


def is_refused(answer: requests.Response, version: int) -> bool:
    """Whether it is refused for good, and names the version."""
    said = json.loads(answer.text) if answer.status_code == 403 else {}
    return f"version {version} of model 'fraud'" in str(said.get("message"))


def test_files_of_a_run_are_write_once_when_the_other_database_s_registry_has_them(
    two: Two, tmp_path: Path
) -> None:
    experiment = two.client.create_experiment("local", str(tmp_path / "local"))
    run = two.client.create_run(experiment)
    url = f"{UPLOAD}?run_uuid={run.info.run_id}&path=model/"
    assert two.server.ask(f"{url}MLmodel", method="POST", data=b"good").status_code == 200
    two.register(run.info.run_id, f"{run.info.artifact_uri}/model")
    location = two.attest()
    assert (Path(location) / "MLmodel").read_bytes() == b"good"
    for name in ("MLmodel", "new.py"):
        answer = two.server.ask(url + name, method="POST", data=b"evil")
        assert is_refused(answer, two.version), answer.text
    assert [file.name for file in Path(location).iterdir()] == ["MLmodel"]
    assert (Path(location) / "MLmodel").read_bytes() == b"good"


def test_files_that_the_server_keeps_can_be_attested_and_are_write_once_too(two: Two) -> None:
    run = two.client.create_run("0")
    below = f"{run.info.artifact_uri.removeprefix('mlflow-artifacts:/')}/model"
    url = f"{PROXY}/{below}/MLmodel"
    assert two.server.ask(url, method="PUT", data=b"good").status_code == 200
    two.register(run.info.run_id, f"{run.info.artifact_uri}/model")
    assert two.attest() == f"mlflow-artifacts:/{below}"
    assert is_refused(two.server.ask(url, method="PUT", data=b"evil"), two.version)
    assert is_refused(two.server.ask(url, method="DELETE"), two.version)
    kept = two.server.site.folder / "artifacts" / below / "MLmodel"
    assert kept.read_bytes() == b"good"


def test_files_that_are_not_those_that_the_other_database_s_run_logged_are_not_attested(
    two: Two,
) -> None:
    run = two.client.create_run("0")
    below = f"{run.info.artifact_uri.removeprefix('mlflow-artifacts:/')}/model"
    url = f"{PROXY}/{below}/MLmodel"
    assert two.server.ask(url, method="PUT", data=b"good").status_code == 200
    two.register(run.info.run_id, f"{run.info.artifact_uri}/model")
    (two.server.site.folder / "artifacts" / below / "MLmodel").write_bytes(b"evil")
    if two.server.site.prefix:
        with pytest.raises(InvalidInput, match="recorded when they were logged"):
            two.attest()
    else:
        two.attest()
