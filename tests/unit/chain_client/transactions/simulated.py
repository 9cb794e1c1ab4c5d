"""A queue on a simulated chain, with a clock that waiting turns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from chain_client.ledger import Call
from chain_client.signing import Signer
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.transactions import SettledTransaction, TransactionQueue
from chain_client.types import Address
from tests.embedded_chains import OWNER
from tests.queues import Owner, Row, make_log, own, stored

TARGET = Address(b"\1" * 20)


def call(number: int = 1) -> Call:
    """A call that differs from other numbers' calls."""
    return Call(TARGET, b"call %d" % number)


class Clock:
    """Stands still until somebody waits."""

    def __init__(self) -> None:
        self.now_us = 1_700_000_000_000_000
        self.on_wait: Callable[[], None] = lambda: None

    def time_us(self) -> int:
        return self.now_us

    def monotonic_us(self) -> int:
        return self.now_us

    def wait(self, seconds: float) -> None:
        self.now_us += round(seconds * 1e6)
        self.on_wait()


class Bench:
    """A log, a chain, and the queue of the key's present owner.

    Args:
        place: folder where the log's file is made, or a log's URL.
        ledger: the chain; by default one that mines at once.
        options: of every owner's `TransactionQueue`.
    """

    def __init__(
        self, place: Path | str, ledger: SimulatedLedger | None = None, **options: Any
    ) -> None:
        self._options = options
        self.log_url = place if isinstance(place, str) else f"sqlite:///{make_log(place)}"
        self.ledger = ledger or SimulatedLedger()
        self.clock = Clock()
        self._owners: list[Owner] = []
        self.take_over()

    @property
    def log_file(self) -> Path:
        """The log's file, where it has one."""
        return Path(self.log_url.removeprefix("sqlite:///"))

    @property
    def owner(self) -> Owner:
        return self._owners[-1]

    @property
    def queue(self) -> TransactionQueue:
        return self.owner.queue

    def take_over(self, *, signer: Signer = OWNER, **options: Any) -> TransactionQueue:
        """The key's next owner; the one before is dead, or believes itself to be alive."""
        owner = own(
            self.log_url,
            self.ledger,
            signer=signer,
            chain_id=options.pop("chain_id", 31337),
            clock=self.clock,
            wait=self.clock.wait,
            **self._options | options,
        )
        self._owners.append(owner)
        return owner.queue

    def pay(self, number: int = 1, **options: Any) -> SettledTransaction:
        """Submit and settle a call."""
        return self.queue.settle(self.queue.submit(call(number), f"pay:{number}"), **options)

    def rows(self) -> list[Row]:
        """What the log holds."""
        return stored(self.log_url)

    def close(self) -> None:
        for owner in self._owners:
            owner.log.close()
