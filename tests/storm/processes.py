"""The processes of a storm: clients, a server with its workers, and relays that clients start."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import psutil

from tests.storm.client import Plan, found_shared, run_client

MARK = "STORM_MARK"
"""Inherited by every process of one storm."""

_LOOK_S = 0.05


def wait_until(what: str, condition: object, timeout_s: float) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it did not come true in time.
    """
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s:.0f} s")
        time.sleep(_LOOK_S)


def of_this_storm() -> list[psutil.Process]:
    """Every process that the storm started, directly or not, but helpers of multiprocessing."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.environ().get(MARK) != os.environ[MARK]:
                continue
            words = " ".join(process.cmdline())
            if "resource_tracker" in words or _is_fork_server(process, words):
                continue
            found.append(process)
    return found


def _is_fork_server(process: psutil.Process, words: str) -> bool:
    return "forkserver" in words and process.ppid() == os.getpid()


class Clients:
    """Client processes, forked from a warm one that has opened nothing: MLflow is loaded once."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.storm.client"])
        self._alive: dict[int, tuple[Plan, ForkServerProcess]] = {}

    def found(self, plan: Plan) -> None:
        """Have a client make what all write to."""
        process = self._context.Process(target=found_shared, args=(plan,))
        process.start()
        process.join(120)
        if process.exitcode != 0:
            raise RuntimeError(f"the first client ended with {process.exitcode}")

    def start(self, plan: Plan) -> None:
        """Start a client in its slot."""
        process = self._context.Process(target=run_client, args=(plan,))
        process.start()
        self._alive[plan.slot] = plan, process

    def slots(self, *, direct: bool) -> list[int]:
        """The slots of one kind."""
        return [slot for slot, (plan, _) in self._alive.items() if plan.is_direct is direct]

    def pids(self) -> dict[int, int]:
        """The slot of each direct client, by its process id."""
        return {
            process.pid: slot
            for slot, (plan, process) in self._alive.items()
            if plan.is_direct and process.pid is not None
        }

    def kill(self, slot: int) -> None:
        """SIGKILL, and the next life in the same slot."""
        plan, process = self._alive[slot]
        process.kill()
        process.join()
        self.start(replace(plan, life=plan.life + 1))

    def children(self) -> list[psutil.Process]:
        """Children that the clients forked or spawned."""
        found: list[psutil.Process] = []
        for _, process in self._alive.values():
            with contextlib.suppress(psutil.Error):
                found += psutil.Process(process.pid).children()
        return found

    def ended_early(self) -> list[str]:
        """Clients that ended though nobody killed or stopped them."""
        return [
            f"client {slot} ended with {process.exitcode}"
            for slot, (_, process) in self._alive.items()
            if process.exitcode is not None
        ]

    def join(self, timeout_s: float) -> list[str]:
        """Wait until all have ended; how those ended that did not do so in order."""
        deadline = time.monotonic() + timeout_s
        odd = []
        for slot, (_, process) in self._alive.items():
            process.join(max(0.0, deadline - time.monotonic()))
            if process.exitcode != 0:
                odd.append(f"client {slot} ended with {process.exitcode}")
                process.kill()
                process.join()
        return odd


class Server:
    """``mlflow server`` in a process group of its own.

    Args:
        folder: where it writes its output.
        uri: of the database, with our prefix.
        environment: variables.
        workers: how many worker processes.
    """

    def __init__(
        self, folder: Path, uri: str, environment: dict[str, str], workers: int = 4
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]
        self._folder = folder
        self._environment = environment
        self._command = [
            *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri),
            *("--host", "127.0.0.1", "--port", str(self._port), "--workers", str(workers)),
            *("--default-artifact-root", str(folder / "mlruns"), "--no-serve-artifacts"),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it; it answers later."""
        with (self._folder / "server.out").open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                env=os.environ | self._environment,
                start_new_session=True,
            )

    def answers(self) -> bool:
        """Whether it does."""
        try:
            answer = urllib.request.urlopen(f"{self.url}/health", timeout=5)  # noqa: S310 - ours
        except OSError:
            return False
        with answer:
            return bool(answer.status == 200)

    def workers(self) -> list[psutil.Process]:
        """Its worker processes."""
        found = []
        if self._process is not None:
            with contextlib.suppress(psutil.Error):
                for process in psutil.Process(self._process.pid).children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        if "spawn_main" in " ".join(process.cmdline()):
                            found.append(process)
        return found

    def kill(self) -> None:
        """SIGKILL to the server and all its workers, and start it again."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()
        self.start()

    def stop(self, timeout_s: float) -> None:
        """End it in order."""
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def relays() -> list[psutil.Process]:
    """Relays of this storm's home; recorders start them."""
    found = []
    for process in of_this_storm():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if "chain_client.cli" in words and "relay" in words:
                found.append(process)
    return found


def end_all(timeout_s: float) -> list[str]:
    """Wait until no process of the storm is left, then kill; what had to be killed."""
    left = of_this_storm()
    deadline = time.monotonic() + timeout_s
    while left and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
        left = of_this_storm()
    killed = []
    for process in left:
        with contextlib.suppress(psutil.Error):
            killed.append(f"{process.pid} {' '.join(process.cmdline())[:200]}")
            process.kill()
    return killed
