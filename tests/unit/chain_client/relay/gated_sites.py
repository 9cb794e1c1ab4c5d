"""A gated registry, its log, and who looks what changed there, for the tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from chain_client.clock import Clock
from chain_client.ledger.deployment import Deployment
from chain_client.log import Log
from chain_client.notices import ProposalChange
from chain_client.registry.identity import Salt
from chain_client.relay.proposal_changes import ProposalChanges
from tests.registries import OpenRegistry
from tests.unit.chain_client.log.stores import MemoryStore


@dataclass
class TurnedClock:
    """The machine's time, which deadlines on an embedded chain go by."""

    ahead_s: int = 0
    now_s: Callable[[], int] = lambda: 0

    def time_us(self) -> int:
        return (self.now_s() + self.ahead_s) * 1_000_000

    def monotonic_us(self) -> int:
        return self.time_us()


@dataclass
class Site:
    """What tests work on.

    Args:
        store: where the log keeps what events say.
    """

    registry: OpenRegistry
    deployment: Deployment
    log: Log
    store: MemoryStore
    clock: TurnedClock

    def changes(self, cursor: str | None = None, salt: Salt | None = None) -> ProposalChanges:
        """A look from a cursor on."""
        clock: Clock = self.clock
        return ProposalChanges(self.deployment, self.registry.ledger, self.log, salt, clock, cursor)

    def from_the_start(self) -> str:
        """The cursor of somebody who was told everything before the first proposal."""
        return json.dumps(["0x" + bytes(self.registry.contract.address).hex(), 0, 0, 0])


def told_now(changes: ProposalChanges) -> list[tuple[ProposalChange, str]]:
    """What is to be told now, each with the cursor after it."""
    changes.read()
    found = []
    while (told := changes.next()) is not None:
        found += [(change, told.cursor) for change in told.changes]
    return found
