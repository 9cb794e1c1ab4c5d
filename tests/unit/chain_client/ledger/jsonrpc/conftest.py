"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, TypeAlias

import pytest

from chain_client.ledger import JsonRpcLedger
from tests.scripted_node import ScriptedNode, scripted_node

Connect: TypeAlias = Callable[..., JsonRpcLedger]
Nodes: TypeAlias = tuple[ScriptedNode, ScriptedNode]


class TurnedClock:
    """Stands until a test turns it."""

    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def time_us(self) -> int:
        return int(self.now_s * 1e6)

    def monotonic_us(self) -> int:
        return int(self.now_s * 1e6)


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    """Two endpoints of one chain."""
    with ExitStack() as stack:
        one, other = (stack.enter_context(scripted_node(eth_getBalance="0x5")) for _ in range(2))
        yield one, other


@pytest.fixture
def connect(clock: TurnedClock) -> Iterator[Connect]:
    """Opens a ledger over nodes, with a clock that stands."""
    opened: list[JsonRpcLedger] = []

    def connect(*nodes: ScriptedNode, **options: Any) -> JsonRpcLedger:
        options = {"clock": clock, "timeout_s": 5, **options}
        opened.append(JsonRpcLedger([node.address for node in nodes], **options))
        return opened[-1]

    yield connect
    for ledger in opened:
        ledger.close()
