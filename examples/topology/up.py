"""Start the services of `services.yaml`: an MLflow server with 4 workers, basic auth, a relay.

    python examples/topology/up.py --folder /tmp/mlflow            # until Ctrl-C
    python examples/topology/up.py -- python your_check.py         # until that has ended

What follows ``--`` finds the server in ``MLFLOW_TRACKING_URI``, and the admin's name and password
in ``MLFLOW_TRACKING_USERNAME`` and ``MLFLOW_TRACKING_PASSWORD``. Its exit code is ours.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

SERVICES = Path(__file__).with_name("services.yaml")
START_S = 180
STOP_S = 30


class ServiceFailed(Exception):
    """A service ended, or did not answer in time; the text holds the end of its output."""


class Topology:
    """The services of a file, in a folder of their own.

    Args:
        folder: an existing folder; everything that the services write is in it.
        port: of the MLflow server; by default a free one.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder.resolve()
        self.url = f"http://127.0.0.1:{port or _free_port()}"
        self.password = self._password()
        values = {
            "FOLDER": str(self.folder),
            "PORT": self.url.rpartition(":")[2],
            "PASSWORD": self.password,
        }
        self._content: dict[str, Any] = _filled(yaml.safe_load(SERVICES.read_text()), values)
        ours = ("MLFLOW_", "MLOPS_CHAIN_")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
            # The programs of this environment, also where it is not activated.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
            **self._content["environment"],
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @contextlib.contextmanager
    def up(self) -> Iterator[Topology]:
        """All services, in the order of what they depend on; ended with the block.

        Raises:
            ServiceFailed: one did not start.
        """
        for path, text in self._content["files"].items():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
        try:
            for name in self._in_order():
                self._start(name, self._content["services"][name])
            yield self
        finally:
            self._down()

    def watch(self) -> None:
        """Wait until a service ends.

        Raises:
            ServiceFailed: one did; none should.
        """
        while True:
            for name, process in self._running.items():
                if process.poll() is not None:
                    raise ServiceFailed(self._said(name, "ended"))
            threading.Event().wait(0.5)

    def client_environment(self) -> dict[str, str]:
        """Environment of a plain MLflow client that is the server's admin."""
        return {
            **{n: v for n, v in self.environment.items() if not n.startswith("MLOPS_CHAIN_")},
            "MLOPS_CHAIN_HOME": str(self.folder / "home"),
            "MLFLOW_TRACKING_URI": self.url,
            "MLFLOW_TRACKING_USERNAME": "admin",
            "MLFLOW_TRACKING_PASSWORD": self.password,
        }

    def _in_order(self) -> list[str]:
        services: dict[str, dict[str, Any]] = self._content["services"]
        order: list[str] = []
        while len(order) < len(services):
            order += [
                name
                for name, service in services.items()
                if name not in order and set(service.get("depends_on", ())) <= set(order)
            ]
        return order

    def _start(self, name: str, service: dict[str, Any]) -> None:
        with self._log(name).open("ab") as log:
            process = subprocess.Popen(
                service["command"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # its workers end with it
            )
        if service.get("once"):
            if process.wait(START_S) != 0:
                raise ServiceFailed(self._said(name, f"exit code {process.returncode}"))
            return
        self._running[name] = process
        deadline = time.monotonic() + START_S
        while "healthcheck" in service and not _answers(service["healthcheck"]):
            if process.poll() is not None:
                raise ServiceFailed(self._said(name, "ended"))
            if time.monotonic() > deadline:
                raise ServiceFailed(self._said(name, f"no answer in {START_S} s"))
            threading.Event().wait(0.2)

    def _down(self) -> None:
        # The server first: what it recorded last, the relay still brings in.
        for process in reversed(self._running.values()):
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_S)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._running.clear()

    def _password(self) -> str:
        """The admin's password: drawn once, kept in the folder."""
        file = self.folder / "admin-password"
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as new:
                new.write(secrets.token_urlsafe(24))
        return file.read_text(encoding="ascii")

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _said(self, name: str, what: str) -> str:
        text = self._log(name).read_text(encoding="utf-8", errors="replace")
        return f"{name}: {what}; it said:\n{text[-3000:]}"


def _filled(value: Any, values: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {_filled(key, values): _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    return string.Template(value).substitute(values) if isinstance(value, str) else value


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own loopback
            return bool(answer.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description="MLflow with a gate, as a team runs it.")
    parser.add_argument("--folder", type=Path, help="where everything is kept (default: nowhere)")
    parser.add_argument("--port", type=int, help="of the MLflow server (default: a free one)")
    parser.add_argument("command", nargs="*", help="what is run meanwhile, after --")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="mlops-chain-"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with Topology(folder, options.port).up() as topology:
            if options.command:
                return subprocess.run(
                    options.command, env=topology.client_environment(), check=False
                ).returncode
            print(f"MLflow: {topology.url} (user admin, password in {folder}/admin-password)")
            print(f"Home:   {folder}/home\nStop it with Ctrl-C.", flush=True)
            topology.watch()
    except KeyboardInterrupt:
        return 0
    except ServiceFailed as exc:
        print(exc, file=sys.stderr)
        return 1
    finally:
        if options.folder is None:
            shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
