"""What a node was asked and what it did wrong, in order."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

from chain_client.testing.faulty_node.exchange import Request
from chain_client.testing.faulty_node.fault import Fault


@dataclass(frozen=True, slots=True)
class Injection:
    """One fault that happened.

    Args:
        number: of the request, from 1.
        fault: what was injected.
        methods: of the request's calls.
    """

    number: int
    fault: Fault
    methods: tuple[str, ...]

    def __str__(self) -> str:
        return f"request {self.number} ({', '.join(self.methods)}): {self.fault!r}"


class Journal:
    """Grows while a node runs; any thread may read it."""

    def __init__(self, seed: int | None = None) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._injections: list[Injection] = []
        self._asked: Counter[str] = Counter()
        self._raw: list[str] = []
        self._failures: list[str] = []

    @property
    def injections(self) -> tuple[Injection, ...]:
        """Every fault that was injected, in order."""
        with self._lock:
            return tuple(self._injections)

    @property
    def failures(self) -> tuple[str, ...]:
        """Faults that could not be injected, such as a reorg that is deeper than the chain."""
        with self._lock:
            return tuple(self._failures)

    @property
    def sent_raw(self) -> tuple[str, ...]:
        """Every signed transaction that clients handed in, as hex, whatever became of it."""
        with self._lock:
            return tuple(self._raw)

    def asked(self, method: str) -> int:
        """How often clients called a method."""
        with self._lock:
            return self._asked[method]

    def injected(self, kind: type[Fault]) -> int:
        """How often a kind of fault was injected."""
        return sum(isinstance(one.fault, kind) for one in self.injections)

    def add_request(self, request: Request) -> None:
        """Count the calls of a request."""
        with self._lock:
            for call in request.calls:
                self._asked[call.method] += 1
                if call.method == "eth_sendRawTransaction" and call.params:
                    self._raw.append(str(call.params[0]))

    def add(self, injection: Injection) -> None:
        """Note a fault."""
        with self._lock:
            self._injections.append(injection)

    def add_failure(self, text: str) -> None:
        """Note that a fault could not be injected."""
        with self._lock:
            self._failures.append(text)

    def __repr__(self) -> str:
        lines = [f"  {injection}" for injection in self.injections]
        failed = [f"  FAILED {failure}" for failure in self.failures]
        return "\n".join([f"<Journal of seed {self._seed}: {len(lines)} faults>", *lines, *failed])
