"""A real ``mlflow server`` in processes of its own, and what tests ask of it and its home."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests

from chain_client.events import Event

START_S = 200
STOP_S = 30


@dataclass
class Site:
    """A folder with a home, a database and artifacts, and how processes are run there."""

    folder: Path
    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    prefix: str = "chain+"

    @property
    def database(self) -> Path:
        """MLflow's database file."""
        return self.folder / "mlflow.db"

    @property
    def plain_uri(self) -> str:
        """The database as MLflow knows it."""
        return f"sqlite:///{self.database}"

    @property
    def uri(self) -> str:
        """The database as the server is given it."""
        return f"{self.prefix}{self.plain_uri}"

    @property
    def environment(self) -> dict[str, str]:
        """Of every process of this site."""
        return {
            **os.environ,
            "MLOPS_CHAIN_HOME": str(self.home),
            "MLOPS_CHAIN_RELAY_AUTOSTART": "false",
            "PYTHONWARNINGS": "ignore",
            **self.variables,
        }

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a Python program to its end."""
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def command(self, *words: str) -> tuple[int, str]:
        """Run a command of ours in this process, which has loaded MLflow: exit code and output."""
        from click.testing import CliRunner

        from chain_client.cli import cli

        logger = logging.getLogger("chain_client")
        level = logger.level
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # as the environment says for processes
                done = CliRunner().invoke(cli, words, env=self.environment)
        finally:
            logger.setLevel(level)
        assert done.stdout, (done.stderr, done.exception)
        return done.exit_code, done.stdout

    def relay(self) -> None:
        """Bring everything that was spooled into the log, and anchor it."""
        code, said = self.command("relay", "--once", "--json")
        assert code == 0, said

    def verify(self) -> None:
        """`mlops-chain verify` must find nothing, after a relay has seen everything."""
        self.relay()
        _, said = self.command("verify", "--json")
        report = json.loads(said)
        assert report["findings"] == []
        assert report["ok"], [check for check in report["checks"] if not check["ok"]]

    def events(self) -> list[Event]:
        """Everything in the spool, before a relay has taken it."""
        from chain_client.client import ChainClient
        from chain_client.config import Settings
        from chain_client.verify import read_spooled

        client = ChainClient.open(Settings(home=self.home, relay_autostart=False))
        try:
            return list(read_spooled(client.folder.spool, client.log).events.values())
        finally:
            client.close()

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What stands in MLflow's database."""
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            return database.execute(query, values).fetchall()


@dataclass
class Server:
    """A server that answers."""

    site: Site
    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def ask(self, path: str, body: dict[str, Any] | None = None, **more: Any) -> requests.Response:
        """One request on a connection of its own: POST if there is a body, else GET."""
        method = "GET" if body is None else "POST"
        answer = requests.request(
            more.pop("method", method), self.url + path, json=body, timeout=60, **more
        )
        answer.close()
        return answer

    def call(self, path: str, body: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """As `ask` below ``/api/2.0/mlflow/``; the answer must be good."""
        answer = self.ask(f"/api/2.0/mlflow/{path}", body, **more)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def upload(self, artifact_uri: str, name: str, content: bytes, **more: Any) -> None:
        """Log a file through the server, as MLflow's clients do."""
        root = artifact_uri.removeprefix("mlflow-artifacts:")
        path = f"/api/2.0/mlflow-artifacts/artifacts{root}/{name}"
        answer = self.ask(path, method="PUT", data=content, **more)
        assert answer.status_code == 200, answer.text

    def workers(self) -> list[psutil.Process]:
        """The processes that answer requests."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                words = " ".join(process.cmdline())
                is_spawned = "spawn_main" in words
                is_gunicorn = "gunicorn" in words and not _is_first_gunicorn(process)
                if is_spawned or is_gunicorn:
                    found.append(process)
        return found

    def stop(self) -> None:
        """End it as a service manager does."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_S)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to all of its processes at once."""
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children(recursive=True)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_S)
        with contextlib.suppress(UnboundLocalError):
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            psutil.wait_procs(children, timeout=STOP_S)


def _is_first_gunicorn(process: psutil.Process) -> bool:
    parent = process.parent()
    return parent is None or "gunicorn" not in " ".join(parent.cmdline())


def launch(site: Site, *words: str, workers: int = 1) -> Server:
    """Start a server and wait until it answers; whoever starts it stops it."""
    port = _free_port()
    log = site.folder / f"server-{port}.log"
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", site.uri),
        *("--artifacts-destination", str(site.folder / "artifacts")),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)),
        *words,
    ]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            cwd=site.folder,
            env=site.environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(site, process, f"http://127.0.0.1:{port}", log)
    try:
        wait_until(lambda: _answers(server), START_S, lambda: log.read_text()[-4000:])
    except BaseException:
        server.kill()
        raise
    return server


@contextlib.contextmanager
def serving(site: Site, *words: str, workers: int = 1) -> Iterator[Server]:
    """A server, stopped with the block."""
    server = launch(site, *words, workers=workers)
    try:
        yield server
    finally:
        server.stop()


def wait_until(
    reached: Any, patience_s: float, explain: Any = lambda: "", *, every_s: float = 0.05
) -> None:
    """Look until it is so; the test fails if it never is."""
    deadline = time.monotonic() + patience_s
    while not reached():
        assert time.monotonic() < deadline, f"it did not happen in time\n{explain()}"
        threading.Event().wait(every_s)


def _answers(server: Server) -> bool:
    assert server.process.poll() is None, server.log.read_text()[-4000:]
    with contextlib.suppress(requests.ConnectionError):
        return bool(server.ask("/health").ok)
    return False


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
