"""Who is killed, and when: a schedule that the seed gives."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random

import psutil

from tests.storm.processes import Clients, Server, relays


class Victim(StrEnum):
    """What a kill hits."""

    DIRECT = "client on the database"
    HTTP = "client of the server"
    CHILD = "forked or spawned child"
    WORKER = "server worker"
    SERVER = "whole server"
    RELAY = "relay"


_OF_TWENTY = (
    (Victim.DIRECT, 9),
    (Victim.HTTP, 2),
    (Victim.CHILD, 1),
    (Victim.WORKER, 4),
    (Victim.SERVER, 1),
    (Victim.RELAY, 3),
)


@dataclass(frozen=True, slots=True)
class Kill:
    """One planned kill.

    Args:
        after_s: seconds after the one before.
        victim: what it hits.
        choice: from 0 to 1, which of several.
    """

    after_s: float
    victim: Victim
    choice: float


def schedule(seed: int, mean_s: float) -> Iterator[Kill]:
    """Kills without end: of any twenty in a row from the first on, each kind gets its share."""
    rng = Random(f"{seed}/kills")
    while True:
        round_ = [victim for victim, count in _OF_TWENTY for _ in range(count)]
        rng.shuffle(round_)
        for victim in round_:
            yield Kill(rng.uniform(0.2, 1.8) * mean_s, victim, rng.random())


class Killer:
    """Carries kills out, and counts them.

    Args:
        clients: of the storm.
        server: of the storm.
    """

    def __init__(self, clients: Clients, server: Server) -> None:
        self._clients = clients
        self._server = server
        self.count: Counter[Victim] = Counter()

    def carry_out(self, kill: Kill) -> None:
        """Kill one; a direct client in the place of what is not there just now."""
        if not self._hits(kill):
            self._kill_client(kill.choice, direct=True)
            self.count[Victim.DIRECT] += 1
            return
        self.count[kill.victim] += 1

    def _hits(self, kill: Kill) -> bool:
        if kill.victim in (Victim.DIRECT, Victim.HTTP):
            self._kill_client(kill.choice, direct=kill.victim is Victim.DIRECT)
            return True
        if kill.victim is Victim.SERVER:
            self._server.kill()
            return True
        among = {
            Victim.CHILD: self._clients.children,
            Victim.WORKER: self._server.workers,
            Victim.RELAY: relays,
        }[kill.victim]()
        if not among:
            return False
        with contextlib.suppress(psutil.Error):
            among[int(kill.choice * len(among))].kill()
            return True
        return False

    def _kill_client(self, choice: float, *, direct: bool) -> None:
        slots = self._clients.slots(direct=direct)
        self._clients.kill(slots[int(choice * len(slots))])
