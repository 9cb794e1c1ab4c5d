"""The JSON-RPC ledger over real nodes: what every ledger does, and what only some chains do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chain_client.errors import HistoryMissing
from chain_client.ledger import Call, JsonRpcLedger, Ledger, Receipt
from chain_client.ledger.jsonrpc import Finality
from chain_client.testing.ledger_suite import NOWHERE, ChainUnderTest, LedgerSuite, sign
from tests.conformance.chains import endpoints_at, wait_for
from tests.embedded_chains import OWNER, STRANGER
from tests.forked import in_fork
from tests.running_nodes import RunningNode, running_anvil, running_hardhat


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

    endpoints = 1
    second_look = "proof"

    def include(self, ledger: Ledger, raw: bytes) -> Receipt:
        tx_hash = ledger.send(raw)
        receipt = wait_for(lambda: ledger.receipt(tx_hash))  # anvil answers before it has mined
        assert isinstance(ledger, JsonRpcLedger)
        assert ledger.second_look.last_kind == self.second_look
        return receipt

    @pytest.fixture
    def chain(self, node: RunningNode) -> Iterator[ChainUnderTest]:
        before = node.rpc("evm_snapshot")
        opened: list[JsonRpcLedger] = []

        def connect() -> JsonRpcLedger:
            opened.append(JsonRpcLedger(endpoints_at(node.url, self.endpoints)))
            return opened[-1]

        yield ChainUnderTest(connect, OWNER, STRANGER, node.mine)
        for ledger in opened:
            ledger.close()
        assert node.rpc("evm_revert", before)

    def test_a_forked_child_and_its_parent_go_on(self, chain: ChainUnderTest) -> None:
        ledger = chain.connect()
        raws = [sign(ledger, chain.rich, Call(NOWHERE, bytes([n])), nonce=n) for n in range(3)]
        self.include(ledger, raws[0])
        assert in_fork(lambda: str(self.include(ledger, raws[1]).block_number)) == "2"
        assert self.include(ledger, raws[2]).block_number == 3


class TestAnvil(OnNode):
    @pytest.fixture
    def node(self, anvil: RunningNode) -> RunningNode:
        return anvil


class TestAnvilByTwoEndpoints(OnNode):
    endpoints = 2
    second_look = "endpoint"

    @pytest.fixture
    def node(self, anvil: RunningNode) -> RunningNode:
        return anvil


class TestHardhat(OnNode):
    @pytest.fixture
    def node(self, hardhat: RunningNode) -> RunningNode:
        return hardhat


def test_a_chain_without_eip_1559_gets_legacy_transactions() -> None:
    with running_anvil("--hardfork", "berlin", funded=[OWNER.address()]) as node:
        ledger = JsonRpcLedger(endpoints_at(node.url))
        assert ledger.fees().is_legacy
        raw = sign(ledger, OWNER, Call(NOWHERE, b"", value_wei=5))
        assert raw[0] >= 0xC0
        tx_hash = ledger.send(raw)
        assert wait_for(lambda: ledger.receipt(tx_hash)).succeeded
        assert ledger.second_look.last_kind == "proof"
        assert ledger.balance_wei(NOWHERE) == 5
        ledger.close()


def test_a_node_that_is_no_archive_says_so_when_history_is_needed() -> None:
    with running_anvil("--prune-history", "5", "--no-mining") as node:
        node.mine(30)
        ledger = JsonRpcLedger(endpoints_at(node.url), finality=Finality(2))
        assert ledger.call(Call(NOWHERE, b""), at=29) == b""
        with pytest.raises(HistoryMissing, match="archive"):
            ledger.call(Call(NOWHERE, b""), at=3)
        ledger.close()
