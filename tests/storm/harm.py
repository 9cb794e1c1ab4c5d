"""What is done to the processes of a storm on a network: killed, or stopped for a while."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from random import Random

import psutil

from tests.storm.processes import Clients, Server
from tests.storm.services import LEASE_S, RelayServices

_OF_TWENTY = (
    ("relay killed", 5),
    ("relay stopped", 2),
    ("relay stopped, and another started", 1),
    ("worker killed", 4),
    ("worker stopped", 2),
    ("client killed", 6),
)
_SERVER_EACH = 3
"""Of so many rounds one has a kill of the whole server too, which takes long to start again."""
_STOPPED_S = (0.3, 2.0)
_ANSWERS = 20


class Harm:
    """Carries out what the seed gives, and counts it.

    Args:
        seed: gives all choices.
        clients: of the storm.
        server: of the storm.
        services: of the storm.
        answered: how many calls the server has answered so far.
    """

    def __init__(
        self,
        seed: int,
        clients: Clients,
        server: Server,
        services: RelayServices,
        answered: Callable[[], int],
    ) -> None:
        self._rng = Random(f"{seed}/harm")
        self._clients = clients
        self._server = server
        self._services = services
        self._answered = answered
        self._seen = 0
        self._ending = threading.Event()
        self._resuming: list[threading.Thread] = []
        self.count: Counter[str] = Counter()
        self.problems: list[str] = []

    def go_on_for(self, seconds: float, ended_early: Callable[[], list[str]]) -> None:
        """Do harm, one after the other, until the time is over or a client ends by itself."""
        until = time.monotonic() + seconds
        round_: list[str] = []
        rounds = 0
        while time.monotonic() < until:
            if not round_:
                round_ = [name for name, count in _OF_TWENTY for _ in range(count)]
                rounds += 1
                if rounds % _SERVER_EACH == 0:
                    round_.append("server killed")
                self._rng.shuffle(round_)
            time.sleep(min(self._rng.uniform(0.5, 4), max(0.0, until - time.monotonic())))
            early = ended_early()
            if early:
                self.problems += early
                return
            self._do(round_.pop())

    def end(self) -> None:
        """Let everything that is stopped go on."""
        self._ending.set()
        for thread in self._resuming:
            thread.join()

    def _do(self, what: str) -> None:
        choice = self._rng.random()
        if what in ("worker killed", "server killed") and not self._has_worked():
            what = "relay killed"
        match what:
            case "relay killed":
                is_done = self._services.kill(choice)
            case "relay stopped" | "relay stopped, and another started":
                seconds = self._rng.uniform(0.5, 3) * LEASE_S
                is_done = self._services.pause(choice, seconds, with_rival="another" in what)
            case "worker killed":
                is_done = self._signal_worker(choice, signal.SIGKILL)
            case "worker stopped":
                is_done = self._signal_worker(choice, signal.SIGSTOP)
            case "client killed":
                slots = self._clients.slots(direct=True) + self._clients.slots(direct=False)
                self._clients.kill(slots[int(choice * len(slots))])
                is_done = True
            case _:
                self._server.kill()
                is_done = True
        self.count[what] += is_done

    def _has_worked(self) -> bool:
        """Whether the server has since the last kill: on a busy machine it takes long to start."""
        if self._answered() < self._seen + _ANSWERS:
            return False
        self._seen = self._answered()
        return True

    def _signal_worker(self, choice: float, number: signal.Signals) -> bool:
        workers = self._server.workers()
        if not workers:
            return False
        chosen = workers[int(choice * len(workers))]
        try:
            chosen.send_signal(number)
        except psutil.Error:
            return False
        if number is signal.SIGSTOP:
            thread = threading.Thread(target=self._resume, args=(chosen,), name="resuming")
            thread.start()
            self._resuming.append(thread)
        return True

    def _resume(self, worker: psutil.Process) -> None:
        self._ending.wait(_STOPPED_S[0] + (worker.pid % 100) / 100 * _STOPPED_S[1])
        with contextlib.suppress(psutil.Error):
            worker.send_signal(signal.SIGCONT)
