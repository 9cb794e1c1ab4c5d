"""Who is killed, and when: a schedule that the seed gives."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import TypeVar

import psutil

from tests.storm.aim import Moment, stop_at
from tests.storm.processes import Clients, Server, relays

_Item = TypeVar("_Item")


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

_MOMENTS = (None, Moment.COMMITTING, *[Moment.COMMITTED] * 3)
_AIM_S = 4.0


@dataclass(frozen=True, slots=True)
class Kill:
    """One planned kill.

    Args:
        after_s: seconds after the one before.
        victim: what it hits.
        choice: from 0 to 1, which of several.
        moment: of its writing, at which a victim is hit; None: whenever the time comes.
    """

    after_s: float
    victim: Victim
    choice: float
    moment: Moment | None


def schedule(seed: int, mean_s: float) -> Iterator[Kill]:
    """Kills without end: of any twenty in a row from the first on, each kind gets its share."""
    rng = Random(f"{seed}/kills")
    while True:
        round_ = [victim for victim, count in _OF_TWENTY for _ in range(count)]
        rng.shuffle(round_)
        for victim in round_:
            after_s = rng.uniform(0.2, 1.8) * mean_s
            yield Kill(after_s, victim, rng.random(), rng.choice(_MOMENTS))


class Killer:
    """Carries kills out, and counts them.

    Args:
        clients: of the storm.
        server: of the storm.
        database: what they write to.
    """

    def __init__(self, clients: Clients, server: Server, database: Path) -> None:
        self._clients = clients
        self._server = server
        self._database = database
        self.count: Counter[Victim] = Counter()
        self.aimed: Counter[Moment] = Counter()

    def carry_out(self, kill: Kill) -> None:
        """Kill one; a direct client in the place of what is not there just now."""
        hit = kill.victim
        if not self._hits(kill):
            hit = Victim.DIRECT
            self._clients.kill(_one_of(self._clients.slots(direct=True), kill.choice))
        self.count[hit] += 1

    def _hits(self, kill: Kill) -> bool:
        if kill.victim is Victim.SERVER:
            self._server.kill()
            return True
        if kill.victim is Victim.HTTP:
            self._clients.kill(_one_of(self._clients.slots(direct=False), kill.choice))
            return True
        if kill.victim is Victim.DIRECT:
            pids = self._clients.pids()
            aimed = self._aim(kill, list(pids))
            slot = None if aimed is None else pids[aimed]
            if slot is None:
                slot = _one_of(self._clients.slots(direct=True), kill.choice)
            self._clients.kill(slot)
            return True
        among = {
            Victim.CHILD: self._clients.children,
            Victim.WORKER: self._server.workers,
            Victim.RELAY: relays,
        }[kill.victim]()
        if not among:
            return False
        chosen = _one_of(among, kill.choice)
        if kill.victim is Victim.WORKER:
            by_pid = {process.pid: process for process in among}
            chosen = by_pid.get(self._aim(kill, list(by_pid)) or 0, chosen)
        with contextlib.suppress(psutil.Error):
            chosen.kill()
            return True
        return False

    def _aim(self, kill: Kill, pids: list[int]) -> int | None:
        """A process at the moment that was asked for, killed at once."""
        if kill.moment is None:
            return None
        found = stop_at(kill.moment, self._database, pids, _AIM_S)
        if found is not None:
            self.aimed[kill.moment] += 1
            with contextlib.suppress(ProcessLookupError):
                os.kill(found, signal.SIGKILL)
        return found


def _one_of(items: Sequence[_Item], choice: float) -> _Item:
    return items[int(choice * len(items))]
