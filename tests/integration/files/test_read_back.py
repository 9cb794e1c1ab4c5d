"""Files that pass a server by: in parts, or written by its clients into the storage themselves."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from chain_client.events import Event, OutcomeStatus
from chain_client.wishes import Wishes
from tests.integration.files.conftest import Kept

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def direct_run(parts_server: Kept, tmp_path: Path) -> Iterator[str]:
    """A run of the server whose clients write its files themselves, with one file."""
    client = MlflowClient(parts_server.server.url)
    experiment = client.create_experiment(tmp_path.name, str(tmp_path / "shared"))
    run_id = client.create_run(experiment).info.run_id
    client.log_text(run_id, "weights", "model/weights.txt")
    yield run_id
    client.set_terminated(run_id)
    parts_server.relay()


def read(kept: Kept, root: str) -> dict[str, str]:
    """What was read back below a root, by path."""
    found = {}
    for event in kept.events("artifacts.read_back"):
        if event.subject.id.startswith(root) and event.result is not None:
            files: object = event.result["files"]
            assert isinstance(files, list)
            found.update({path: digest for path, _, digest in files})
    return found


def sha256(data: bytes) -> str:
    """As recorded."""
    return hashlib.sha256(data).hexdigest()


def test_a_file_in_parts_is_read_back(parts_server: Kept) -> None:
    client = MlflowClient(parts_server.server.url)
    run_id = client.create_run("0").info.run_id
    folder = f"0/{run_id}/artifacts/net"
    route = "/api/2.0/mlflow-artifacts/mpu"
    begun = parts_server.server.ask(f"{route}/create/{folder}", {"path": "big.bin", "num_parts": 2})
    assert begun.status_code == 200, begun.text
    stored = parts_server.artifacts / ".parts" / "big.bin"
    (stored / "1").write_bytes(b"first")
    (stored / "2").write_bytes(b"second")
    whole = {
        "path": "big.bin",
        "upload_id": "big.bin",
        "parts": [{"part_number": n, "etag": "e", "url": "u"} for n in (1, 2)],
    }
    ended = parts_server.server.ask(f"{route}/complete/{folder}", whole)
    assert ended.status_code == 200, ended.text
    client.log_text(run_id, "small", "net/small.txt")
    client.set_terminated(run_id)

    assert parts_server.findings() == []
    assert "wait to be read back" in parts_server.left_out()
    parts_server.relay()
    root = f"mlflow-artifacts:/{folder}"
    assert read(parts_server, root) == {"big.bin": sha256(b"firstsecond")}
    assert parts_server.report().findings == []
    assert parts_server.left_out() == ""

    (parts_server.artifacts / folder / "big.bin").write_bytes(b"firstSecond")
    assert parts_server.findings(run_id=run_id) == [("artifact_changed", "net/big.bin")]
    (parts_server.artifacts / folder / "big.bin").write_bytes(b"firstsecond")


def test_files_that_clients_write_themselves_are_read_when_the_run_ends(
    parts_server: Kept, direct_run: str, tmp_path: Path
) -> None:
    client = MlflowClient(parts_server.server.url)
    parts_server.relay()
    assert parts_server.findings() == []
    assert "clients write them into the storage themselves" in parts_server.left_out()

    client.set_terminated(direct_run)
    assert parts_server.findings() == []
    assert "wait to be read back" in parts_server.left_out()
    parts_server.relay()
    root = client.get_run(direct_run).info.artifact_uri
    assert read(parts_server, root) == {"model/weights.txt": sha256(b"weights")}
    assert parts_server.left_out() == ""
    assert parts_server.wishes() == 0

    (file,) = tmp_path.rglob("weights.txt")
    file.with_name("more.txt").touch()
    file.write_bytes(b"Weights")
    assert parts_server.findings(run_id=direct_run) == [
        ("artifact_changed", "model/weights.txt"),
        ("artifact_unexpected", "model/more.txt"),
    ]
    file.with_name("more.txt").unlink()
    file.write_bytes(b"weights")


def test_a_run_that_goes_on_and_overwrites_its_files_is_read_again(
    parts_server: Kept, direct_run: str
) -> None:
    client = MlflowClient(parts_server.server.url)
    for text in ("weights", "Weights"):
        client.update_run(direct_run, status="RUNNING")
        client.log_text(direct_run, text, "model/weights.txt")
        assert parts_server.findings(run_id=direct_run) == []
        client.set_terminated(direct_run)
        parts_server.relay()
        assert parts_server.findings(run_id=direct_run) == []
    root = client.get_run(direct_run).info.artifact_uri
    assert read(parts_server, root) == {"model/weights.txt": sha256(b"Weights")}


def test_what_cannot_be_read_is_said_and_tried_again(
    parts_server: Kept, direct_run: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = os.open

    def refuse(file: str | Path, *args: int, **names: int) -> int:
        # Tests may run as root, whom no mode of a file keeps out.
        if Path(file).name == "weights.txt":
            raise PermissionError(13, "Permission denied")
        return real(file, *args, **names)

    MlflowClient(parts_server.server.url).set_terminated(direct_run)
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        parts_server.relay()
    (unread,) = unverified(parts_server, tmp_path)
    assert unread.payload["files"] == [["model/weights.txt", "PermissionError"]]
    assert parts_server.findings(run_id=direct_run) == []
    assert "could not be read back (PermissionError)" in parts_server.left_out()
    assert parts_server.wishes() == 1

    wishes = Wishes(parts_server.site.home / "read-back")
    (wish,) = wishes.read()
    assert (wish.tries, wish.not_before_us > 0) == (1, True)
    MlflowClient(parts_server.server.url).set_terminated(direct_run)
    parts_server.relay()
    assert parts_server.left_out() == ""
    wishes.remove(wish)


def unverified(kept: Kept, folder: Path) -> list[Event]:
    """What was said to be unreadable below a folder."""
    found = kept.events("artifacts.unverified")
    return [event for event in found if event.subject.id.startswith(str(folder))]


def test_a_relay_that_dies_before_it_forgets_a_wish_reads_again(
    parts_server: Kept, direct_run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MlflowClient(parts_server.server.url)
    client.set_terminated(direct_run)
    assert parts_server.wishes() == 1
    child = os.fork()
    if child == 0:
        try:
            die: Callable[..., None] = lambda *given: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
            monkeypatch.setattr(Wishes, "remove", die)
            parts_server.relay()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert parts_server.wishes() == 1
    parts_server.relay()
    assert parts_server.wishes() == 0
    root = client.get_run(direct_run).info.artifact_uri
    assert read(parts_server, root) == {"model/weights.txt": sha256(b"weights")}
    assert parts_server.findings(run_id=direct_run) == []
    statuses = {event.status for event in parts_server.events("artifacts.read_back")}
    assert statuses <= {OutcomeStatus.DONE, OutcomeStatus.NOT_APPLIED}


def test_relay_once_waits_for_what_another_relay_reads_back(
    parts_server: Kept, direct_run: str, mlops_chain: Callable[..., tuple[int, str, str]]
) -> None:
    MlflowClient(parts_server.server.url).set_terminated(direct_run)
    with parts_server.opened() as client:
        service = client.relay()
        service.start()
        thread = threading.Thread(target=service.run, kwargs={"until_idle": False})
        thread.start()
        try:
            code, _, errors = mlops_chain("--home", parts_server.site.home, "relay", "--once")
            assert (code, errors) == (0, "")
            assert parts_server.left_out() == ""
        finally:
            service.stop()
            thread.join()
            service.close()


def test_a_wish_whose_call_is_under_way_waits(parts_server: Kept, direct_run: str) -> None:
    from chain_client.wishes import Wish

    with parts_server.opened() as client:
        (binding,) = client.folder.bindings()
        live = next(path for path in client.folder.spool.iterdir() if len(path.name) == 32)
    wish = Wish(binding.store_id, {"run": direct_run}, live.name, 10**6)
    wishes = Wishes(parts_server.site.home / "read-back")
    wishes.put(wish)
    parts_server.relay()
    assert wishes.read() == [wish]
    wishes.remove(wish)
