"""Events of long stretches of a chain, in pieces that the nodes answer."""

from __future__ import annotations

from collections.abc import Callable

from chain_client.ledger.base import EventRecord
from chain_client.ledger.jsonrpc.endpoint import Endpoint, ReadRefused
from chain_client.ledger.jsonrpc.values import MalformedReply, to_event, to_quantity
from chain_client.ledger.ranges import BLOCKS_A_CALL
from chain_client.types import Address, Digest, to_hex

Using = Callable[[Callable[[Endpoint], list[EventRecord]]], list[EventRecord]]


_TRY_MORE_AFTER = 8


class EventRanges:
    """Reads events in pieces, halves what a node refuses, and now and then tries larger ones."""

    def __init__(self) -> None:
        self._blocks = BLOCKS_A_CALL
        self._taken = 0

    def read(
        self,
        using: Using,
        address: Address,
        topics: tuple[Digest | None, ...],
        from_block: int,
        to_block: int,
    ) -> list[EventRecord]:
        """Events of blocks that exist, in chain order.

        Args:
            using: lets an endpoint do some work; each piece may be another one's.
            address: the contract.
            topics: as `Ledger.events`.
            from_block: first block.
            to_block: last block.

        Raises:
            EndpointFailed: a node refuses a single block, or gives no answer.
        """
        found: list[EventRecord] = []
        begin = from_block
        while begin <= to_block:
            end = min(begin + self._blocks - 1, to_block)
            try:
                found += using(lambda e: _read_piece(e, address, topics, begin, end))  # noqa: B023
            except _TooMany:
                self._blocks, self._taken = max((end - begin + 1) // 2, 1), 0
                continue
            begin = end + 1
            self._taken += 1
            if self._taken >= _TRY_MORE_AFTER:  # one stretch that was dense is no limit for all
                self._blocks, self._taken = min(2 * self._blocks, BLOCKS_A_CALL), 0
        return found


class _TooMany(Exception):
    """The node wants to be asked about fewer blocks."""


def _read_piece(
    endpoint: Endpoint,
    address: Address,
    topics: tuple[Digest | None, ...],
    begin: int,
    end: int,
) -> list[EventRecord]:
    question = {
        "address": to_hex(address),
        "topics": [None if topic is None else to_hex(topic) for topic in topics],
        "fromBlock": to_quantity(begin),
        "toBlock": to_quantity(end),
    }
    try:
        logs = endpoint.read("eth_getLogs", question)
    except ReadRefused as exc:
        if exc.verdict.kind == "range_too_large" and end > begin:
            raise _TooMany from exc
        raise
    if not isinstance(logs, list):
        raise MalformedReply("the events are no list")
    events = []
    for place, event in sorted(map(to_event, logs), key=lambda item: item[0]):
        if (
            event.address != address
            or not begin <= place[0] <= end
            or any(want not in (None, has) for want, has in zip(topics, event.topics))
        ):
            raise MalformedReply("there are events that were not asked for")
        if len(event.topics) >= len(topics):  # anvil takes nulls at the end for nothing
            events.append(event)
    return events
