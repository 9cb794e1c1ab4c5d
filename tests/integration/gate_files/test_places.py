"""A version's files are at one place, also where MLflow has several names for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from chain_client.errors import InvalidInput
from tests.governed import Registry
from tests.integration.gate_files.conftest import Keeping, Version, write_model
from tests.mlflow_server import Site, launch

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
UPLOAD = "/ajax-api/2.0/mlflow/upload-artifact"
TEAM = {"X-MLFLOW-WORKSPACE": "team"}
LOAD = "import mlflow_chain; print(mlflow_chain.load_model('models:/fraud@champion').predict([]))"

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def spaces(new_site: Callable[..., Site]) -> Iterator[Keeping]:
    """A server with workspaces, its aliases and stages gated."""
    server = launch(new_site(), "--enable-workspaces")
    keeping = Keeping(server)
    try:
        MlflowClient(server.url).search_experiments()
        with keeping.opened() as client:
            Registry(client).govern()
        yield keeping
    finally:
        server.stop()


def ask(keeping: Keeping, path: str, body: dict[str, Any], **more: Any) -> Any:
    """What a server answers, if it does what it was asked for."""
    answer = keeping.server.ask(f"{API}/{path}", body, **more)
    assert answer.ok, answer.text
    return answer.json()


def put(keeping: Keeping, below: str, model: Path, **headers: str) -> list[int]:
    """Upload a model behind a server."""
    return [
        keeping.server.ask(
            f"{FILES}/{below}/{file.relative_to(model)}",
            method="PUT",
            data=file.read_bytes(),
            headers=headers,
        ).status_code
        for file in sorted(model.rglob("*"))
        if file.is_file()
    ]


def test_in_a_workspace_with_a_root_of_its_own_what_it_loads_is_what_was_attested(
    spaces: Keeping, tmp_path: Path
) -> None:
    workspace = {"name": "team", "default_artifact_root": "mlflow-artifacts:/foo"}
    made = spaces.server.ask("/api/3.0/mlflow/workspaces", workspace)
    assert made.ok, made.text
    number = ask(spaces, "experiments/create", {"name": "e"}, headers=TEAM)["experiment_id"]
    run = ask(spaces, "runs/create", {"experiment_id": number}, headers=TEAM)["run"]["info"]
    assert run["artifact_uri"].startswith("mlflow-artifacts:/foo/")
    below = run["artifact_uri"].removeprefix("mlflow-artifacts:/") + "/model"
    evil, good = (write_model(tmp_path / answer, "spaced", answer) for answer in ("evil", "good"))
    assert put(spaces, below, evil) == [200] * 3
    assert put(spaces, below, good, **TEAM) == [200] * 3
    ask(spaces, "registered-models/create", {"name": "fraud"}, headers=TEAM)
    body = {"name": "fraud", "source": run["artifact_uri"] + "/model", "run_id": run["run_id"]}
    ask(spaces, "model-versions/create", body, headers=TEAM)
    spaces.relay()
    with spaces.opened() as client:
        registry = Registry(client)
        registry.promote("fraud", 1, workspace="team")
        registry.client.recorder.close()
        registry.drain()
    alias = {"name": "fraud", "alias": "champion", "version": "1"}
    ask(spaces, "registered-models/alias", alias, headers=TEAM)
    assert put(spaces, below, evil, **TEAM) == [403] * 3
    assert put(spaces, f"workspaces/team/{below}", evil, **TEAM) == [403] * 3
    assert put(spaces, below, evil) == [200] * 3
    variables = {"MLFLOW_TRACKING_URI": spaces.server.url, "MLFLOW_WORKSPACE": "team"}
    done = spaces.site.run("-c", LOAD, **variables)
    assert done.stdout.strip() == "good", done.stderr


@pytest.mark.parametrize("source", ["RUNS:/{0}/model", "MODELS:/{0}/1"])
def test_a_name_in_capitals_is_no_place_either(
    spaces: Keeping, tmp_path: Path, source: str
) -> None:
    client = MlflowClient(spaces.server.url)
    name = source.partition(":")[0]
    run = client.create_run("0").info.run_id
    client.log_artifacts(run, str(write_model(tmp_path / "m", "cased")), "model")
    client.create_registered_model(name)
    if "MODELS" in source:
        client.create_registered_model(run)
        body = {"name": run, "source": f"runs:/{run}/model", "run_id": run}
        ask(spaces, "model-versions/create", body)
    body = {"name": name, "source": source.format(run), "run_id": run}
    answer = spaces.server.ask(f"{API}/model-versions/create", body)
    assert answer.ok, answer.text
    spaces.relay()
    with pytest.raises(InvalidInput, match="can be changed later"):
        spaces.attest(Version(name, 1, "", tmp_path, ""))


def test_a_storage_named_in_capitals_is_the_same_storage(parts: Keeping, tmp_path: Path) -> None:
    client = MlflowClient(parts.server.url)
    root = f"{parts.site.folder}/direct"
    run = client.create_run(client.create_experiment("e", f"parts://Host{root}")).info
    assert run.artifact_uri.startswith("parts://Host/")
    plain = run.artifact_uri.replace("Host", "host") + "/model"

    def upload(path: str, content: bytes) -> int:
        query = f"{UPLOAD}?run_uuid={run.run_id}&path={path}"
        return int(parts.server.ask(query, method="POST", data=content).status_code)

    assert upload("model/MLmodel", b"flavors: {}") == 200
    client.create_registered_model("cased")
    client.create_model_version("cased", plain, run.run_id)
    parts.attest(Version("cased", 1, "", tmp_path, ""))
    assert upload("model/MLmodel", b"flavors: []") == 403
    assert upload("model/new.bin", b"evil") == 403
    assert upload("model2/MLmodel", b"flavors: []") == 200
    client.create_registered_model("capitals")
    for number, named in enumerate(("parts://Host", "PARTS://host"), 1):
        source = run.artifact_uri.replace("parts://Host", named) + "/model2"
        client.create_model_version("capitals", source, run.run_id)
        with pytest.raises(InvalidInput, match=r"capitals|small letters"):
            parts.attest(Version("capitals", number, "", tmp_path, ""))
