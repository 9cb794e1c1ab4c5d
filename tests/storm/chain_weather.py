"""What goes wrong between relays and chain, and on the chain: as the seed gives it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from random import Random

from chain_client.errors import InvalidInput, LedgerUnavailable
from chain_client.testing.faulty_node import (
    RECOVERABLE,
    BaseFeeSpike,
    ConnectionReset,
    FaultPlan,
    Reorg,
    on,
)
from tests.storm.network import Network

_OUT = on(fault=ConnectionReset(), times=None)
_DEPTHS = (1, 1, 2, 3, 7, 7, 16, 32, 64)
_KINDS = tuple(kind for kind in RECOVERABLE if not isinstance(kind.make(Random(0)), Reorg))
"""Reorgs come one at a time: anvil refuses one within another."""
_OF_TWENTY = (("faults", 9), ("calm", 4), ("reorg", 3), ("outage", 2), ("spike", 1), ("stall", 1))


class ChainWeather:
    """A thread that lets faults happen, one after the other and some at once.

    Args:
        network: what goes wrong.
        seed: gives all choices.
        tell: called with a line about what goes on.
    """

    def __init__(self, network: Network, seed: int, tell: Callable[[str], None]) -> None:
        self._network = network
        self._seed = seed
        self._tell = tell
        self._rng = Random(f"{seed}/chain")
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chain weather")
        self.count: Counter[str] = Counter()
        self.outages: list[tuple[float, float]] = []
        self.problems: list[str] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def clear(self) -> None:
        """End every fault."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()
        for node in self._network.nodes:
            node.follow()

    def injected(self) -> Counter[str]:
        """How often each kind of fault hit a request."""
        return Counter(
            type(injection.fault).__name__
            for node in self._network.nodes
            for injection in node.journal.injections
        )

    def _run(self) -> None:
        round_: list[str] = []
        number = 0
        while not self._end.is_set():
            if not round_:
                round_ = [name for name, count in _OF_TWENTY for _ in range(count)]
                self._rng.shuffle(round_)
            number += 1
            what = round_.pop()
            try:
                getattr(self, f"_{what}")(number)
            except (LedgerUnavailable, InvalidInput) as exc:
                self.problems.append(f"{what} could not be injected: {exc}")
            self.count[what] += 1
            self._end.wait(self._rng.uniform(0.5, 6))

    def _faults(self, number: int) -> None:
        node = self._rng.choice(self._network.nodes)
        seed = self._seed * 10_000 + number
        plan = FaultPlan.from_seed(seed, count=3, within=15, kinds=_KINDS)
        node.follow(*plan.rules)

    def _calm(self, number: int) -> None:
        for node in self._network.nodes:
            node.follow()

    def _reorg(self, number: int) -> None:
        depth, kept = self._rng.choice(_DEPTHS), self._rng.choice(["kept", "dropped"])
        with self._network.miner.paused():
            Reorg(depth, kept).happen(self._network.nodes[0].upstream)
        self.count[f"reorg of {depth}"] += 1

    def _spike(self, number: int) -> None:
        BaseFeeSpike(20).happen(self._network.nodes[0].upstream)

    def _outage(self, number: int) -> None:
        """Every endpoint is away for a while."""
        began = time.monotonic()
        for node in self._network.nodes:
            node.follow(_OUT)
        self._end.wait(self._rng.uniform(8, 25))
        for node in self._network.nodes:
            node.follow()
        self.outages.append((began, time.monotonic()))

    def _stall(self, number: int) -> None:
        """The real node keeps its port and says nothing."""
        began = time.monotonic()
        group = self._network.anvil.process.pid
        with self._network.miner.paused(), contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGSTOP)
            self._end.wait(self._rng.uniform(3, 8))
            os.killpg(group, signal.SIGCONT)
        self.outages.append((began, time.monotonic()))
