"""The services of examples/topology start, record, and end with what started them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import psutil

UP = Path(__file__).parents[3] / "examples/topology/up.py"
TRAIN = """
import mlflow, os, sys
mlflow.set_experiment("topology")
with mlflow.start_run():
    mlflow.log_metric("loss", 0.5)
    mlflow.log_text("hello", "note.txt")
os.environ["MLFLOW_TRACKING_PASSWORD"] = "wrong"
try:
    mlflow.search_experiments()
except mlflow.exceptions.MlflowException:
    sys.exit(7)
"""


def up(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(UP), *words], capture_output=True, text=True, check=False, timeout=300
    )


def of_folder(folder: Path) -> list[psutil.Process]:
    """Processes that work in a folder."""
    found = []
    for process in psutil.process_iter(["cwd"]):
        if process.info["cwd"] == str(folder):
            found.append(process)
    return found


def test_the_topology_records_what_an_authenticated_client_does(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    done = up("--folder", str(folder), "--", sys.executable, "-c", TRAIN)
    assert done.returncode == 7, done.stderr
    assert of_folder(folder) == []
    # Passwords are for their owner only, and stand in no service's output.
    password = (folder / "admin-password").read_text()
    for secret in ("admin-password", "basic-auth.ini"):
        assert (folder / secret).stat().st_mode & 0o77 == 0
    for log in folder.glob("*.log"):
        assert password not in log.read_text(errors="replace")

    command = [sys.executable, "-m", "chain_client.cli", "--home", str(folder / "home")]
    for words in (["relay", "--once"], ["verify", "--json"]):
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["ok"] is True


def test_a_service_that_can_not_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = up("--folder", str(folder), "--port", port, "--", sys.executable, "-c", "")
    assert done.returncode == 1
    assert "mlflow: ended; it said:" in done.stderr
    assert "address already in use" in done.stderr.lower()
    assert of_folder(folder) == []
