"""Files that a recorded server takes for plain clients, on both of its stacks."""

from __future__ import annotations

import hashlib
import http.client
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlflow
import pytest
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.tracking import MlflowClient

from chain_client.events import Event, OutcomeStatus
from tests.integration.files.conftest import Kept
from tests.mlflow_server import Site, launch, wait_until

pytestmark = pytest.mark.filterwarnings("ignore")

STREAMS = hasattr(LocalArtifactRepository, "log_artifact_from_stream")
"""Whether this MLflow hands an upload on as it arrives; else it comes whole, from a file."""

_STACKS = {"fastapi": (), "flask": ("--gunicorn-opts", "--timeout 60")}


def digest(data: bytes) -> tuple[int, str]:
    """As recorded."""
    return len(data), hashlib.sha256(data).hexdigest()


class Work:
    """What plain clients did to a server, which was killed in the middle of an upload."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.client = MlflowClient(kept.server.url)
        self.run_id = str(self.client.create_run("0").info.run_id)
        self.expected: dict[str, bytes] = {}

    @property
    def root(self) -> Path:
        """Where the run's files are."""
        return self.kept.artifacts / "0" / self.run_id / "artifacts"

    def do(self, folder: Path) -> None:
        """One upload of each kind; each way of changing one's mind."""
        client, run_id = self.client, self.run_id
        (folder / "sub").mkdir(parents=True)
        for name, data in [("a.bin", b"a" * 3_000_000), ("sub/b.txt", b"b"), ("empty", b"")]:
            (folder / name).write_bytes(data)
            self.expected[f"all/{name}"] = data
        client.log_artifacts(run_id, str(folder), "all")
        client.log_artifact(run_id, str(folder / "sub" / "b.txt"))
        self.expected["b.txt"] = b"b"
        client.log_text(run_id, "Grüße", "text/ä ö.txt")
        self.expected["text/ä ö.txt"] = "Grüße".encode()
        for number in (1, 2):
            client.log_text(run_id, f"twice {number}", "twice.txt")
        self.expected["twice.txt"] = b"twice 2"
        client.log_text(run_id, "old", "again.txt")
        client._tracking_client._get_artifact_repo(run_id).delete_artifacts("again.txt")
        client.log_text(run_id, "new", "again.txt")
        self.expected["again.txt"] = b"new"
        self._log_model()
        self._from_two_threads()
        client.set_terminated(run_id)

    def _log_model(self) -> None:
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(self.kept.server.url)
        try:
            with mlflow.start_run(run_id=self.run_id):
                info = mlflow.pyfunc.log_model(
                    name="net",
                    python_model=_predict,
                    pip_requirements=[],
                    registered_model_name="m",
                )
            loaded = mlflow.pyfunc.load_model("models:/m/1")
            assert loaded.predict(["x"]) == ["x!"]
        finally:
            mlflow.set_tracking_uri(before)
        self.model_id = info.model_id

    def _from_two_threads(self) -> None:
        def log(name: str) -> None:
            MlflowClient(self.kept.server.url).log_text(self.run_id, name, f"{name}.txt")
            self.expected[f"{name}.txt"] = name.encode()

        threads = [threading.Thread(target=log, args=(f"thread-{n}",)) for n in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def die_in_an_upload(self) -> None:
        """Overwrite a file, and kill the server when half of the new one is there."""
        address = urlsplit(self.kept.server.url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
        path = f"/api/2.0/mlflow-artifacts/artifacts/0/{self.run_id}/artifacts/twice.txt"
        connection.putrequest("PUT", path)
        connection.putheader("Content-Length", str(4_000_000))
        connection.endheaders()
        connection.send(b"x" * 2_500_000)

        def is_staged() -> bool:
            return any(f.stat().st_size for f in self.root.glob(".artifact.uploading.*"))

        if STREAMS:
            wait_until(is_staged, 30)
        self.kept.server.kill()
        connection.close()


def _predict(model_input: list[str]) -> list[str]:
    return [f"{item}!" for item in model_input]


@pytest.fixture(scope="module", params=sorted(_STACKS))
def work(
    request: pytest.FixtureRequest,
    new_site: Callable[..., Site],
    tmp_path_factory: pytest.TempPathFactory,
) -> Work:
    """Work done on a server that is dead now; a relay has seen all of it."""
    server = launch(new_site(), *_STACKS[request.param])
    try:
        done = Work(Kept(server))
        done.do(tmp_path_factory.mktemp("logged") / "all")
        done.die_in_an_upload()
    finally:
        server.stop()
    done.kept.relay()
    return done


def uploads(work: Work) -> list[Event]:
    """The leaves of the run's files."""
    root = f"mlflow-artifacts:/0/{work.run_id}/artifacts"
    found = work.kept.events("artifacts.uploaded", "artifacts.logged")
    return [event for event in found if event.subject.id.startswith(root)]


def test_every_file_has_a_leaf_with_the_digest_of_the_bytes_that_passed(work: Work) -> None:
    found: dict[str, tuple[object, object]] = {}
    for event in uploads(work):
        if event.status is not OutcomeStatus.DONE:
            continue
        files: Any = event.payload.get("files")
        if STREAMS:
            assert event.result is not None
            files = [(event.payload["path"], event.result["size"], event.result["sha256"])]
        folder = event.subject.id.partition("/artifacts")[2].strip("/")
        found.update({f"{folder}/{path}".strip("/"): (size, sha) for path, size, sha in files})
    assert found == {path: digest(data) for path, data in work.expected.items()}


def test_nothing_is_found_while_the_server_is_down(work: Work) -> None:
    report = work.kept.report()
    assert report.findings == []
    assert work.kept.left_out() == ""


def test_an_upload_that_died_is_not_applied_and_what_it_left_is_no_finding(work: Work) -> None:
    died_of = [e for e in uploads(work) if e.status is not OutcomeStatus.DONE]
    if not STREAMS:
        assert died_of == []
        return
    assert list(work.root.glob(".artifact.uploading.*"))
    (died,) = died_of
    assert died.status in (OutcomeStatus.NOT_APPLIED, OutcomeStatus.FAILED)
    details = [check.detail for check in work.kept.report().checks]
    assert any("left by a server that died" in detail for detail in details)


def test_each_file_that_was_touched_is_named(work: Work, tmp_path: Path) -> None:
    swapped, truncated = work.root / "b.txt", work.root / "all" / "a.bin"
    removed, added = work.root / "twice.txt", work.root / "text" / "added.txt"
    model = next(work.kept.artifacts.rglob("MLmodel"))
    before = {file: file.read_bytes() for file in (swapped, truncated, removed, model)}
    swapped.write_bytes(b"c")
    os.truncate(truncated, 2_999_999)
    removed.unlink()
    added.touch()
    model.write_bytes(before[model] + b"#")
    try:
        expected = [
            ("artifact_changed", "MLmodel"),
            ("artifact_changed", "all/a.bin"),
            ("artifact_changed", "b.txt"),
            ("artifact_missing", "twice.txt"),
            ("artifact_unexpected", "text/added.txt"),
        ]
        assert work.kept.findings() == expected
        assert work.kept.findings(model="m")[0] == expected[0]
        assert work.kept.findings(run_id=work.run_id) == expected
    finally:
        added.unlink()
        for file, data in before.items():
            file.write_bytes(data)
    assert work.kept.findings() == []
