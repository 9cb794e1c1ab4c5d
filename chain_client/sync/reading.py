"""Reading the registry's events, each block once."""

from __future__ import annotations

from typing import Literal

from chain_client.ledger.base import Block, Ledger
from chain_client.ledger.model_registry import ModelRegistryContract
from chain_client.ledger.ranges import block_ranges
from chain_client.sync.timeline import Timeline


class TimelineReader:
    """Keeps a timeline up with the chain.

    Guarantee: what `advance` gives holds every event up to the block that it gives, and no later
    one; a chain that went back is read anew from the beginning.

    Args:
        ledger: the chain.
        contract: the registry.
        first_block: block in which it was deployed.
    """

    def __init__(self, ledger: Ledger, contract: ModelRegistryContract, first_block: int) -> None:
        self._ledger = ledger
        self._contract = contract
        self._first = first_block
        self._begin()

    def _begin(self) -> None:
        self.timeline = Timeline()
        self._next = self._first
        self._last: Block | None = None

    def advance(self, at: Literal["latest", "finalized"] = "latest") -> tuple[Block, int]:
        """Read on; the block up to which it was read, and how many events were new.

        Raises:
            LedgerUnavailable: the chain does not answer.
        """
        newest = self._ledger.block(at)
        if self._last is not None and newest.hash == self._last.hash:
            return newest, 0
        if self._last is not None and not self._is_still_there(self._last, newest):
            self._begin()
        found = 0
        for first, last in block_ranges(self._next, newest.number):
            found += self._read(first, last)
            self._next = last + 1
        self._last = newest
        return newest, found

    def _is_still_there(self, known: Block, newest: Block) -> bool:
        if newest.number < known.number:
            return False
        return self._ledger.block(known.number).hash == known.hash

    def _read(self, first: int, last: int) -> int:
        events = self._contract.events(first, last)
        times: dict[int, int] = {}
        for number in {event.block_number for event in events}:
            times[number] = self._ledger.block(number).timestamp_s
        # Nothing is asked of the chain from here on: a range is taken whole or not at all.
        for event in events:
            self.timeline.add(event, times[event.block_number])
        return len(events)
