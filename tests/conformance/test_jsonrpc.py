"""The JSON-RPC ledger over real nodes: what every ledger does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from chain_client.ledger import JsonRpcLedger, Ledger, Receipt
from chain_client.ledger.jsonrpc import parse_endpoints
from chain_client.testing.ledger_suite import ChainUnderTest, LedgerSuite
from tests.embedded_chains import OWNER, STRANGER
from tests.running_nodes import RunningNode, running_anvil, running_hardhat

T = TypeVar("T")


def chain_at(node: RunningNode, opened: list[JsonRpcLedger]) -> ChainUnderTest:
    def connect() -> JsonRpcLedger:
        opened.append(JsonRpcLedger(parse_endpoints(node.url)))
        return opened[-1]

    return ChainUnderTest(connect, OWNER, STRANGER)


def wait_for(look: Callable[[], T | None], patience_s: float = 10) -> T:
    """What ``look`` finds, as soon as it does."""
    deadline = time.monotonic() + patience_s
    while (found := look()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


@pytest.fixture(scope="module")
def anvil() -> Iterator[RunningNode]:
    with running_anvil(funded=[OWNER.address()]) as node:
        yield node


@pytest.fixture(scope="module")
def hardhat() -> Iterator[RunningNode]:
    with running_hardhat(funded=[OWNER.address()]) as node:
        yield node


class OnNode(LedgerSuite):
    """The suite on a node that each test finds as it was when it started."""

    def include(self, ledger: Ledger, raw: bytes) -> Receipt:
        tx_hash = ledger.send(raw)
        return wait_for(lambda: ledger.receipt(tx_hash))  # anvil answers before it has mined

    @pytest.fixture
    def chain(self, node: RunningNode) -> Iterator[ChainUnderTest]:
        before = node.rpc("evm_snapshot")
        opened: list[JsonRpcLedger] = []
        yield chain_at(node, opened)
        for ledger in opened:
            ledger.close()
        assert node.rpc("evm_revert", before)


class TestAnvil(OnNode):
    @pytest.fixture
    def node(self, anvil: RunningNode) -> RunningNode:
        return anvil


class TestHardhat(OnNode):
    @pytest.fixture
    def node(self, hardhat: RunningNode) -> RunningNode:
        return hardhat
