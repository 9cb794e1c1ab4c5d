"""The second look: one endpoint alone is not believed where something else can be asked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from chain_client.errors import LedgerUnavailable
from chain_client.ledger import Call, JsonRpcLedger
from chain_client.types import Address, TxHash
from tests.scripted_node import HEAD, HangUp, ScriptedNode, block, hash_of

Connect = Callable[..., JsonRpcLedger]
Nodes = tuple[ScriptedNode, ScriptedNode]

TX = TxHash(b"\x07" * 32)
CONTRACT = Address(b"\x0c" * 20)


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chain_client.ledger.jsonrpc.second_look.PATIENCE_S", 0.25)


def receipt(number: int = 95, **changed: Any) -> dict[str, Any]:
    return {
        "transactionHash": "0x" + TX.hex(),
        "blockNumber": hex(number),
        "blockHash": hash_of(number),
        "status": "0x1",
        "gasUsed": "0x5208",
        "contractAddress": None,
        "logs": [],
    } | changed


def show(*nodes: ScriptedNode, **changed: Any) -> None:
    for node in nodes:
        node.answers["eth_getTransactionReceipt"] = receipt(**changed)


def test_a_receipt_that_two_endpoints_show_is_believed_and_asked_for_once(
    nodes: Nodes, connect: Connect
) -> None:
    show(*nodes)
    ledger = connect(*nodes)
    for _ in range(3):
        found = ledger.receipt(TX)
    assert found is not None
    assert found.block_number == 95
    assert ledger.second_look.last_kind == "endpoint"
    assert nodes[1].counts()["eth_getTransactionReceipt"] == 1
    assert nodes[1].asked[:2] == ["eth_chainId", "eth_blockNumber"]


@pytest.mark.parametrize(
    "changed",
    [
        {"number": 94},
        {"blockHash": hash_of(95, b"other")},
        {"status": "0x0"},
        {"gasUsed": "0x5209"},
        {"contractAddress": "0x" + "0d" * 20},
    ],
)
def test_receipts_that_contradict_each_other_are_not_believed(
    nodes: Nodes, connect: Connect, changed: dict[str, Any]
) -> None:
    show(nodes[0])
    show(nodes[1], **changed)
    with pytest.raises(LedgerUnavailable, match="contradict each other") as caught:
        connect(*nodes).receipt(TX)
    assert all(node.url in str(caught.value) for node in nodes)


LATER = [
    {"status": "0x0"},
    {"gasUsed": "0x5209"},
    {"contractAddress": "0x" + "0d" * 20},
    {
        "logs": [
            {
                "address": "0x" + "0e" * 20,
                "topics": [],
                "data": "0x",
                "blockNumber": hex(95),
                "transactionHash": "0x" + TX.hex(),
                "logIndex": "0x0",
            }
        ]
    },
]


@pytest.mark.parametrize("changed", LATER)
def test_a_receipt_that_is_shown_otherwise_later_is_not_believed_for_what_it_was(
    nodes: Nodes, connect: Connect, changed: dict[str, Any]
) -> None:
    show(*nodes)
    ledger = connect(*nodes)
    assert ledger.receipt(TX) is not None
    show(nodes[0], **changed)
    for _ in range(2):
        with pytest.raises(LedgerUnavailable, match="contradict each other"):
            ledger.receipt(TX)
    show(nodes[0])
    assert ledger.receipt(TX) is not None


@pytest.mark.parametrize("changed", LATER)
def test_a_single_endpoint_may_not_change_what_it_showed(
    nodes: Nodes, connect: Connect, changed: dict[str, Any]
) -> None:
    show(nodes[0])
    ledger = connect(nodes[0])
    honest = ledger.receipt(TX)
    show(nodes[0], **changed)
    with pytest.raises(LedgerUnavailable, match=r"contradicts itself.*was another one before"):
        ledger.receipt(TX)
    show(nodes[0])
    assert ledger.receipt(TX) == honest


def test_an_endpoint_that_has_not_come_as_far_is_waited_for(nodes: Nodes, connect: Connect) -> None:
    show(nodes[0])
    looks = iter([None, None, receipt()])
    nodes[1].answers["eth_getTransactionReceipt"] = lambda params: next(looks)
    assert connect(*nodes).receipt(TX) is not None
    nodes[1].answers["eth_getTransactionReceipt"] = None
    with pytest.raises(LedgerUnavailable, match="does not, or not yet"):
        connect(*nodes).receipt(TX)


def test_no_receipt_needs_no_second_look(nodes: Nodes, connect: Connect) -> None:
    nodes[0].answers["eth_getTransactionReceipt"] = None
    assert connect(*nodes).receipt(TX) is None
    nodes[0].answers["eth_getTransactionReceipt"] = receipt(blockHash=None)
    assert connect(*nodes).receipt(TX) is None
    assert nodes[1].asked == []


def test_without_any_second_look_there_is_one_warning(
    nodes: Nodes, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    show(nodes[0])
    ledger = connect(nodes[0])
    for _ in range(2):
        assert ledger.receipt(TX) is not None
        assert ledger.block("finalized").number == HEAD - 10
    assert ledger.second_look.last_kind == "none"
    (warning,) = caplog.messages
    assert "is believed without a second look: no other endpoint can be asked" in warning


def test_off_asks_nobody_and_endpoint_and_proof_insist(nodes: Nodes, connect: Connect) -> None:
    one, other = nodes
    show(one, other)
    assert connect(one, other, second_look="off").receipt(TX) is not None
    assert other.asked == []
    with pytest.raises(LedgerUnavailable, match=r"no second look.*ledger\.second_look is endpoint"):
        connect(one, second_look="endpoint").receipt(TX)
    with pytest.raises(LedgerUnavailable, match=r"no second look.*ledger\.second_look is proof"):
        connect(one, other, second_look="proof").receipt(TX)
    other.answers["eth_getTransactionReceipt"] = HangUp()
    with pytest.raises(LedgerUnavailable, match="no other endpoint can be asked"):
        connect(one, other, second_look="endpoint").receipt(TX)


def test_a_final_block_is_looked_at_twice(nodes: Nodes, connect: Connect) -> None:
    _, other = nodes
    ledger = connect(*nodes)
    assert ledger.block("finalized").number == HEAD - 10
    assert ledger.second_look.last_kind == "endpoint"
    other.answers["eth_getBlockByNumber"] = lambda params: block(HEAD - 10, b"other")
    with pytest.raises(LedgerUnavailable, match="contradict each other about block 90"):
        connect(*nodes).block("finalized")


def test_what_is_final_for_one_endpoint_only_is_not_final(nodes: Nodes, connect: Connect) -> None:
    one, other = nodes
    one.final = HEAD
    ledger = connect(*nodes)
    for _ in range(2):
        assert ledger.block("finalized").number == HEAD - 10
    other.final = HEAD - 3
    assert ledger.block("finalized").number == HEAD - 3
    other.final = HEAD - 20
    assert ledger.block("finalized").number == HEAD - 3
    other.answers["eth_getBlockByNumber"] = lambda params: block(HEAD - 20, b"other")
    with pytest.raises(LedgerUnavailable, match="contradict each other about block 100"):
        connect(*nodes).block("finalized")


def test_a_view_of_the_final_block_is_looked_at_twice(nodes: Nodes, connect: Connect) -> None:
    one, other = nodes
    asked: list[Any] = []

    def note(params: list[Any]) -> str:
        asked.append(params[1])
        return "0x01"

    for node in nodes:
        node.answers["eth_call"] = note
    ledger = connect(*nodes)
    assert ledger.call(Call(CONTRACT, b""), at="finalized") == b"\x01"
    assert asked == [hex(HEAD - 10)] * 2
    other.answers["eth_call"] = "0x02"
    with pytest.raises(LedgerUnavailable, match="contradict each other about a view in block 90"):
        ledger.call(Call(CONTRACT, b""), at="finalized")
    assert ledger.call(Call(CONTRACT, b"")) == b"\x01"
    one.answers["eth_call"] = "0x02"
    assert ledger.call(Call(CONTRACT, b""), at="finalized") == b"\x02"
