"""Events of long stretches: in pieces that nodes answer, and only what was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chain_client.errors import LedgerUnavailable
from chain_client.ledger import JsonRpcLedger
from chain_client.ledger.ranges import BLOCKS_A_CALL
from chain_client.types import Address, Digest
from tests.scripted_node import Http, Refuse, ScriptedNode

Connect = Callable[..., JsonRpcLedger]
Nodes = tuple[ScriptedNode, ScriptedNode]

CONTRACT, TOPIC = Address(b"\x0c" * 20), Digest(b"\x01" * 32)


def log(number: int, index: int = 0, **changed: Any) -> dict[str, Any]:
    return {
        "address": "0x" + CONTRACT.hex(),
        "topics": ["0x" + TOPIC.hex()],
        "data": "0x",
        "blockNumber": hex(number),
        "transactionHash": "0x" + "07" * 32,
        "logIndex": hex(index),
    } | changed


class Logs:
    """A node with one event in every seventh block, that answers about ``most`` blocks."""

    def __init__(self, most: int, refusal: Refuse) -> None:
        self.most = most
        self.refusal = refusal
        self.ranges: list[tuple[int, int]] = []

    def __call__(self, params: list[Any]) -> Any:
        begin, end = int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)
        if end - begin >= self.most:
            return self.refusal
        self.ranges.append((begin, end))
        return [log(number) for number in range(end, begin - 1, -1) if number % 7 == 0]


REFUSALS = [
    Refuse(-32005, "query returned more than 10000 results"),
    Refuse(-32602, "eth_getLogs block range is too large, range limit is 100"),
]


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("most", [1, 90, 50_000])
def test_all_are_found_in_order_whatever_a_node_answers_at_once(
    nodes: Nodes, connect: Connect, most: int, refusal: Refuse
) -> None:
    one, _ = nodes
    one.head = 300 if most == 1 else 25_000
    one.answers["eth_getLogs"] = logs = Logs(most, refusal)
    ledger = connect(one)
    found = ledger.events(CONTRACT, (TOPIC,), 3, 10**9)
    assert [event.block_number for event in found] == list(range(7, one.head + 1, 7))
    assert logs.ranges[0][0] == 3
    assert logs.ranges[-1][1] == one.head
    assert all(a[1] + 1 == b[0] for a, b in zip(logs.ranges, logs.ranges[1:]))
    assert all(end - begin < BLOCKS_A_CALL for begin, end in logs.ranges)
    count = len(one.asked)
    ledger.events(CONTRACT, (TOPIC,), 0, 60)
    assert len(one.asked) - count <= 75  # it remembers what the node takes


def test_a_dense_stretch_does_not_make_all_others_slow(nodes: Nodes, connect: Connect) -> None:
    one, _ = nodes
    one.head = 200_000
    sparse = Logs(10**6, REFUSALS[0])

    def answer(params: list[Any]) -> Any:
        begin, end = int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)
        return REFUSALS[0] if begin < 50 and end > begin else sparse(params)

    one.answers["eth_getLogs"] = answer
    assert len(connect(one).events(CONTRACT, (), 0, 200_000)) == 200_000 // 7 + 1
    assert one.counts()["eth_getLogs"] < 250


def test_pieces_may_come_from_different_endpoints(nodes: Nodes, connect: Connect) -> None:
    one, other = nodes
    for node in nodes:
        node.head = 25_000
        node.answers["eth_getLogs"] = Logs(10**6, REFUSALS[0])
    ledger = connect(*nodes)
    assert ledger.events(CONTRACT, (), 0, 5_000)
    one.answers["eth_getLogs"] = Http(502)
    found = ledger.events(CONTRACT, (), 0, 25_000)
    assert [event.block_number for event in found] == list(range(0, 25_001, 7))
    assert other.counts()["eth_getLogs"] == 3


def test_a_single_block_that_is_refused_is_a_failure(nodes: Nodes, connect: Connect) -> None:
    nodes[0].answers["eth_getLogs"] = REFUSALS[0]
    with pytest.raises(LedgerUnavailable, match="query returned more than"):
        connect(nodes[0]).events(CONTRACT, (), 4, 7)


def test_nothing_is_asked_of_no_blocks(nodes: Nodes, connect: Connect) -> None:
    assert connect(nodes[0]).events(CONTRACT, (), 5, 4) == []
    assert nodes[0].asked == []


def test_events_of_one_block_are_in_the_order_of_the_chain(nodes: Nodes, connect: Connect) -> None:
    nodes[0].answers["eth_getLogs"] = [log(8, 2, data="0x02"), log(8, 1, data="0x01"), log(7)]
    found = connect(nodes[0]).events(CONTRACT, (), 0, 50)
    assert [(event.block_number, event.data) for event in found] == [
        (7, b""),
        (8, b"\x01"),
        (8, b"\x02"),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "0x",
        [5],
        [log(7, address="0x" + "0d" * 20)],
        [log(3)],
        [log(60)],
        [log(7, topics=["0x" + "02" * 32])],
        [log(7, topics=["0x02"])],
        [log(7, topics=["0x" + "01" * 32] * 5)],
        [log(7, topics=None)],
        [log(7, data="hex")],
        [log(7, data="0x1")],
        [log(7, blockNumber=None)],
        [log(7, logIndex=None)],
        [log(7, transactionHash="0x07")],
    ],
)
def test_events_that_were_not_asked_for_or_make_no_sense_are_a_failure(
    nodes: Nodes, connect: Connect, answer: object
) -> None:
    nodes[0].answers["eth_getLogs"] = answer
    with pytest.raises(LedgerUnavailable, match="makes no sense"):
        connect(nodes[0]).events(CONTRACT, (TOPIC,), 5, 50)
