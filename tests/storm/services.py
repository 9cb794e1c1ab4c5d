"""Relays as services: each is started again when it is killed, as systemd would."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LEASE_S = 4.0
_SETTINGS = {
    "MLOPS_CHAIN_RELAY_LEASE_S": str(LEASE_S),
    "MLOPS_CHAIN_RELAY_MAX_WAIT_RPC_S": "1",
    "MLOPS_CHAIN_RELAY_MAX_BATCH": "200",
    "MLOPS_CHAIN_TRANSACTIONS_BUMP_AFTER_S": "5",
    "PYTHONWARNINGS": "ignore",
}
_LOOK_S = 0.5


@dataclass
class RelayService:
    """The relay of one host.

    Args:
        name: of the host.
        environment: leads it to home and chain.
        output: file for what it says.
    """

    name: str
    environment: dict[str, str]
    output: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    killed: set[int] = field(default_factory=set)
    rivals: int = 0

    def start(self) -> subprocess.Popen[bytes]:
        """Start one, which waits where another works for this home."""
        with self.output.open("ab") as output:
            process = subprocess.Popen(
                # What an unexpected error shows of itself needs `--verbose`.
                [sys.executable, "-m", "chain_client.cli", "--verbose", "relay", "--standby"],
                stdout=output,
                stderr=output,
                cwd=self.output.parent,
                env=os.environ | _SETTINGS | self.environment,
                start_new_session=True,
            )
        self.processes.append(process)
        return process


class RelayServices:
    """The relays of all hosts, and what is done to them.

    Guarantee: one that was killed is started again; one that ends by itself although no second
    one took its home over is noted in `problems`.

    Args:
        services: one for each host.
        tell: called with a line about what goes on.
    """

    def __init__(self, services: list[RelayService], tell: Callable[[str], None]) -> None:
        self._services = services
        self._tell = tell
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="relay services")
        self._sleeping: list[threading.Thread] = []
        self.problems: list[str] = []
        self.count: dict[str, int] = {"killed": 0, "stopped": 0, "rivals": 0, "given way": 0}

    def start(self) -> None:
        """Start them all."""
        for service in self._services:
            service.start()
        self._thread.start()

    def kill(self, choice: float) -> bool:
        """SIGKILL to one; whether there was one."""
        with self._lock:
            chosen = self._choose(choice)
            if chosen is None:
                return False
            service, process = chosen
            service.killed.add(process.pid)
            process.kill()
            self.count["killed"] += 1
            return True

    def pause(self, choice: float, seconds: float, *, with_rival: bool) -> bool:
        """SIGSTOP to one, and SIGCONT later; meanwhile perhaps a second one of its home."""
        with self._lock:
            chosen = self._choose(choice)
            if chosen is None:
                return False
            service, process = chosen
            process.send_signal(signal.SIGSTOP)
            self.count["stopped"] += 1
            if with_rival:
                service.start()
                service.rivals += 1
                self.count["rivals"] += 1

        def resume() -> None:
            self._end.wait(seconds)
            process.send_signal(signal.SIGCONT)

        thread = threading.Thread(target=resume, name="resuming a relay")
        thread.start()
        self._sleeping.append(thread)
        return True

    def stop(self, timeout_s: float) -> None:
        """End all in order; one that does not is a problem."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()
        for thread in self._sleeping:
            thread.join()
        for service in self._services:
            for process in service.processes:
                process.terminate()
            for process in service.processes:
                try:
                    process.wait(timeout_s)
                except subprocess.TimeoutExpired:
                    self.problems.append(f"relay {service.name} did not end: {_tail(service)}")
                    process.kill()
                    process.wait()

    def _choose(self, choice: float) -> tuple[RelayService, subprocess.Popen[bytes]] | None:
        alive = []
        for service in self._services:
            for process in service.processes:
                with contextlib.suppress(psutil.Error):
                    status = psutil.Process(process.pid).status()
                    if status not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
                        alive.append((service, process))
        return alive[int(choice * len(alive))] if alive else None

    def _watch(self) -> None:
        while not self._end.wait(_LOOK_S):
            with self._lock:
                for service in self._services:
                    self._keep(service)

    def _keep(self, service: RelayService) -> None:
        for process in list(service.processes):
            if process.poll() is None:
                continue
            service.processes.remove(process)
            if process.pid in service.killed:
                continue
            if process.returncode == 2 and service.rivals:
                service.rivals -= 1  # the one that slept found its spool taken over
                self.count["given way"] += 1
                continue
            self.problems.append(
                f"relay {service.name} ended by itself with {process.returncode}: {_tail(service)}"
            )
        if not service.processes:
            service.start()


def _tail(service: RelayService) -> str:
    return service.output.read_text("utf-8", "replace")[-6000:]
