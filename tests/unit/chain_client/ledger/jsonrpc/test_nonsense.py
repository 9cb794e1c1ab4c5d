"""Answers without sense: a failure of the endpoint that gave them, at which the next is asked."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
import rlp

from chain_client.errors import InvalidInput, LedgerUnavailable
from chain_client.ledger import Call, Fees, JsonRpcLedger
from chain_client.ledger.jsonrpc.proof import proved_nonce
from chain_client.ledger.jsonrpc.replies import classify_read, classify_send
from chain_client.ledger.jsonrpc.values import MalformedReply
from chain_client.signing.keccak import keccak256
from chain_client.types import Address, TxHash
from tests.scripted_node import HEAD, ScriptedNode, block, hash_of

Connect = Callable[..., JsonRpcLedger]
Nodes = tuple[ScriptedNode, ScriptedNode]

ANYBODY = Address(b"\x0c" * 20)
TX = TxHash(b"\x07" * 32)
BEYOND = hex(2**63)
QUESTIONS: dict[str, Callable[[JsonRpcLedger], object]] = {
    "eth_getTransactionCount": lambda ledger: ledger.nonce(ANYBODY),
    "eth_getBalance": lambda ledger: ledger.balance_wei(ANYBODY),
    "eth_getCode": lambda ledger: ledger.code(ANYBODY),
    "eth_estimateGas": lambda ledger: ledger.estimate_gas(Call(ANYBODY, b""), ANYBODY),
    "eth_call": lambda ledger: ledger.call(Call(ANYBODY, b"")),
}


@pytest.mark.parametrize("method", QUESTIONS)
@pytest.mark.parametrize("answer", [None, True, 5, "5", "0x" + "1" * 5_000 + "z", [], {}])
def test_the_next_endpoint_is_asked_instead(
    nodes: Nodes, connect: Connect, method: str, answer: object
) -> None:
    one, other = nodes
    one.answers[method], other.answers[method] = answer, "0x12"
    found = QUESTIONS[method](connect(*nodes))
    assert found in (0x12, b"\x12")
    with pytest.raises(LedgerUnavailable, match="makes no sense"):
        QUESTIONS[method](connect(one))


@pytest.mark.parametrize("method", ["eth_getTransactionCount", "eth_estimateGas"])
def test_a_number_that_no_database_holds_makes_no_sense(
    nodes: Nodes, connect: Connect, method: str
) -> None:
    nodes[0].answers[method] = BEYOND
    with pytest.raises(LedgerUnavailable, match="beyond all reason"):
        QUESTIONS[method](connect(nodes[0]))


def test_a_balance_may_be_beyond_what_databases_hold(nodes: Nodes, connect: Connect) -> None:
    nodes[0].answers["eth_getBalance"] = BEYOND
    assert connect(nodes[0]).balance_wei(ANYBODY) == 2**63


@pytest.mark.parametrize("field", ["number", "timestamp", "baseFeePerGas"])
def test_a_block_of_such_a_number_makes_no_sense(
    nodes: Nodes, connect: Connect, field: str
) -> None:
    nodes[0].answers["eth_getBlockByNumber"] = block(HEAD) | {field: BEYOND}
    with pytest.raises(LedgerUnavailable, match="beyond all reason"):
        connect(nodes[0]).block()


@pytest.mark.parametrize("field", ["blockNumber", "gasUsed"])
def test_a_receipt_of_such_a_number_makes_no_sense(
    nodes: Nodes, connect: Connect, field: str
) -> None:
    nodes[0].answers["eth_getTransactionReceipt"] = {
        "transactionHash": "0x" + TX.hex(),
        "blockNumber": "0x5",
        "blockHash": hash_of(5),
        "status": "0x1",
        "gasUsed": "0x1",
        "logs": [],
        field: BEYOND,
    }
    with pytest.raises(LedgerUnavailable, match="beyond all reason"):
        connect(nodes[0]).receipt(TX)


HISTORY: dict[str, Any] = {"baseFeePerGas": ["0x5"], "gasUsedRatio": [0.5], "reward": [["0x3"]]}


@pytest.mark.parametrize(
    "changed",
    [
        {"reward": True},
        {"reward": 7},
        {"reward": [True]},
        {"gasUsedRatio": 0.5},
        {"reward": {"0": ["0x1"]}},
        {"reward": [[BEYOND]]},
        {"baseFeePerGas": [BEYOND]},
        {"baseFeePerGas": 5},
    ],
)
def test_a_fee_history_without_sense_is_as_none(
    nodes: Nodes, connect: Connect, changed: dict[str, Any]
) -> None:
    nodes[0].answers |= {
        "eth_getBlockByNumber": block(HEAD, base_fee=5),
        "eth_feeHistory": HISTORY | changed,
        "eth_maxPriorityFeePerGas": "0x3",
    }
    assert connect(nodes[0]).fees() == Fees(13, 3)


@pytest.mark.parametrize("price", [None, BEYOND, [], "x"])
def test_a_gas_price_without_sense_is_a_failure(
    nodes: Nodes, connect: Connect, price: object
) -> None:
    nodes[0].answers |= {
        "eth_getBlockByNumber": block(HEAD, base_fee=None),
        "eth_gasPrice": price,
    }
    with pytest.raises(LedgerUnavailable, match="makes no sense"):
        connect(nodes[0]).fees()


HOSTILE = [
    "a." * 2_000_000,
    "a-" * 2_000,
    "key" * 1_500,
    "key " * 1_000_000,
    "a" * 4_000_000,
    "execution reverted:" + " " * 9_000 + "a\nb",
    "0x" * 2_000_000,
    "block + " * 1_000_000,
    "block not found: block height is " + "1" * 5_000 + " but requested was 1",
]


@pytest.mark.parametrize("message", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_message_costs_little_time(message: str) -> None:
    classify_send(-32000, "")
    begin_s = time.process_time()
    classify_send(-32000, message)
    classify_read(-32000, message)
    assert time.process_time() - begin_s < 0.7


def test_garbage_proves_nothing() -> None:
    chance = random.Random(1)

    def garbage(depth: int = 0) -> Any:
        if chance.random() < 0.5 or depth > 2:
            return chance.randbytes(chance.choice([0, 1, 2, 31, 32, 33, 40]))
        return [garbage(depth + 1) for _ in range(chance.choice([0, 1, 2, 3, 16, 17]))]

    place = b"\x20" + keccak256(ANYBODY)
    refused = 0
    for number in range(600):
        leaf = rlp.encode(garbage()) if number % 3 else garbage(3)
        node = rlp.encode([garbage(), [place, leaf], garbage()][number % 3])
        rest = [rlp.encode(garbage())] if number % 2 else []
        proof = {"accountProof": ["0x" + part.hex() for part in (node, *rest)]}
        try:
            proved_nonce(keccak256(node), ANYBODY, proof)
        except (InvalidInput, MalformedReply):
            refused += 1
    assert refused > 500
