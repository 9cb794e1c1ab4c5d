"""Files over chain+http: logged, loaded, hashed by the client, and compared through the server."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest

from chain_client.events import Event
from tests.integration.rest.test_recording import unique
from tests.recorded_database import Recorded


def files_of(recorded: Recorded) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in recorded.events():
        if event.type.startswith("artifacts."):
            found.setdefault(event.subject.id, []).append(event)
    return found


def on_server(recorded: Recorded, artifact_uri: str) -> Path:
    """Where the server keeps the files of a run."""
    return recorded.file.parent / "artifacts" / artifact_uri.removeprefix("mlflow-artifacts:/")


@pytest.mark.filterwarnings("ignore")
def test_models_and_files_log_and_load_and_are_recorded(tracked: Recorded, tmp_path: Path) -> None:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    data, target = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=300).fit(data, target)
    name = unique("iris")
    experiment = mlflow.create_experiment(unique("files"))
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_text("weights", "notes/weights.txt")
        mlflow.log_dict({"a": 1}, "a.json")
        logged = mlflow.sklearn.log_model(model, name="net", registered_model_name=name)
    client = mlflow.MlflowClient()
    client.set_registered_model_alias(name, "champion", "1")
    for uri in (logged.model_uri, f"models:/{name}@champion", f"models:/{name}/1"):
        assert mlflow.sklearn.load_model(uri).predict(data).shape == (150,)
    fetched = mlflow.artifacts.download_artifacts(
        run_id=run.info.run_id, artifact_path="notes", dst_path=str(tmp_path)
    )
    assert Path(fetched, "weights.txt").read_text() == "weights"
    assert client.list_artifacts(run.info.run_id)[0].path == "a.json"
    assert tracked.findings(run_id=run.info.run_id) == []
    assert tracked.findings(model=name) == []
    assert len(files_of(tracked)) == 2  # the run and the logged model

    kept = on_server(tracked, run.info.artifact_uri)
    (kept / "notes" / "weights.txt").write_text("Weights")
    (kept / "more.txt").write_text("not logged")
    found = {finding.kind for finding in tracked.findings(run_id=run.info.run_id)}
    assert found == {"artifact_changed", "artifact_unexpected"}


def test_large_files_in_parts_are_hashed_by_the_client(
    tracked: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "true")
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", "1000")
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", "1000")
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(range(256)) * 16)
    with mlflow.start_run(experiment_id=mlflow.create_experiment(unique("parts"))) as run:
        mlflow.log_artifact(str(large))
    assert tracked.findings(run_id=run.info.run_id) == []
    (events,) = files_of(tracked).values()
    assert [event.payload["files"][0][:2] for event in events] == [["large.bin", 4096]]  # type: ignore[index]
    mlflow.MlflowClient()._tracking_client._get_artifact_repo(run.info.run_id).delete_artifacts()
    assert tracked.findings(run_id=run.info.run_id) == []
