"""Which block is final, and what the next transaction should pay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chain_client.errors import ConfigurationError, LedgerUnavailable
from chain_client.ledger import Fees, JsonRpcLedger
from chain_client.ledger.jsonrpc import Finality
from tests.scripted_node import HEAD, Http, Refuse, ScriptedNode, block

Connect = Callable[..., JsonRpcLedger]
Nodes = tuple[ScriptedNode, ScriptedNode]


def by_number(node: ScriptedNode, **special: Any) -> Callable[[list[Any]], Any]:
    """Blocks of a node, with other answers for some tags and numbers."""

    def answer(params: list[Any]) -> Any:
        return special.get(params[0], node.eth_getBlockByNumber(params))

    return answer


def test_the_tag_tells_unless_a_depth_is_configured(nodes: Nodes, connect: Connect) -> None:
    one, _ = nodes
    assert connect(one).block("finalized").number == HEAD - 10
    assert connect(one, finality=Finality(3)).block("finalized").number == HEAD - 3
    assert connect(one, finality=Finality(0)).block("finalized").number == HEAD
    assert connect(one, finality=Finality(HEAD + 5)).block("finalized").number == 0


@pytest.mark.parametrize(
    "answer",
    [
        Refuse(-32602, "invalid argument 0: hex string without 0x prefix"),
        Refuse(-32602, "Invalid params"),
    ],
)
def test_a_node_that_does_not_know_the_tag_is_told_with_the_setting(
    nodes: Nodes, connect: Connect, answer: Refuse
) -> None:
    one, _ = nodes
    one.answers["eth_getBlockByNumber"] = by_number(one, finalized=answer)
    with pytest.raises(ConfigurationError, match=r"names no finalized block.*set ledger\.finality"):
        connect(one).block("finalized")


@pytest.mark.parametrize("answer", [None, Refuse(-32000, "finalized block not found")])
def test_of_a_young_chain_the_first_block_is_final_and_an_old_one_needs_the_setting(
    nodes: Nodes, connect: Connect, answer: object
) -> None:
    one, _ = nodes
    one.answers["eth_getBlockByNumber"] = by_number(one, finalized=answer)
    assert connect(one).block("finalized").number == 0
    one.head = 5_000
    with pytest.raises(ConfigurationError, match=r"names no finalized block: set ledger\.finality"):
        connect(one).block("finalized")


@pytest.mark.parametrize("depth", [None, 10])
def test_the_final_block_never_goes_back(nodes: Nodes, connect: Connect, depth: int | None) -> None:
    one, _ = nodes
    ledger = connect(one, finality=Finality(depth))
    final = ledger.block("finalized")
    one.head -= 5
    one.final -= 5
    assert ledger.block("finalized") == final
    one.head = final.number - 1
    with pytest.raises(LedgerUnavailable, match="lags behind"):
        ledger.block("finalized")
    one.head, one.final = HEAD + 5, HEAD - 5
    assert ledger.block("finalized").number == HEAD - 5


def test_another_block_where_one_was_final_is_not_believed(nodes: Nodes, connect: Connect) -> None:
    one, _ = nodes
    ledger = connect(one)
    final = ledger.block("finalized").number
    one.answers["eth_getBlockByNumber"] = by_number(one, **{hex(final): block(final, b"other")})
    one.final += 1
    with pytest.raises(LedgerUnavailable, match="shows another block 90 than the one that was"):
        ledger.block("finalized")


def history(base: list[int], tips: list[int], used: list[float]) -> dict[str, Any]:
    return {
        "oldestBlock": "0x1",
        "baseFeePerGas": [hex(fee) for fee in base],
        "reward": [[hex(tip)] for tip in tips],
        "gasUsedRatio": used,
    }


def test_fees_are_twice_the_next_base_fee_and_the_usual_tip(nodes: Nodes, connect: Connect) -> None:
    one, _ = nodes
    one.answers["eth_feeHistory"] = history([5, 6, 7, 100], [30, 10, 20], [0.5, 0.5, 0.5])
    assert connect(one).fees() == Fees(220, 20)


@pytest.mark.parametrize(
    "answer",
    [
        history([5, 7], [0], [0.0]),  # no transaction tells of tips
        Refuse(-32601, "the method eth_feeHistory does not exist/is not available"),
        history([], [], []),
        {"baseFeePerGas": None},
        None,
    ],
)
def test_without_a_history_the_node_is_asked_for_a_tip(
    nodes: Nodes, connect: Connect, answer: object
) -> None:
    one, _ = nodes
    one.answers |= {"eth_feeHistory": answer, "eth_maxPriorityFeePerGas": "0x3"}
    assert connect(one).fees() == Fees(17, 3)
    one.answers["eth_maxPriorityFeePerGas"] = Refuse(-32601, "Method not found")
    assert connect(one).fees() == Fees(14, 0)


def test_a_chain_without_base_fee_gets_a_gas_price(nodes: Nodes, connect: Connect) -> None:
    one, _ = nodes
    one.answers |= {
        "eth_getBlockByNumber": lambda params: block(HEAD, base_fee=None),
        "eth_gasPrice": "0x3b9aca00",
    }
    assert connect(one).fees() == Fees(10**9, 10**9, is_legacy=True)
    assert "eth_feeHistory" not in one.asked


@pytest.mark.parametrize(
    ("gas_price", "fees"),
    [
        ("0x0", Fees(0, 0)),  # what it suggests as a tip, nobody needs
        ("0x1", Fees(3, 3)),
        (Refuse(-32601, "Method not found"), Fees(3, 3)),
    ],
)
def test_a_chain_that_asks_for_nothing_gets_nothing(
    nodes: Nodes, connect: Connect, gas_price: object, fees: Fees
) -> None:
    one, _ = nodes
    one.answers |= {
        "eth_getBlockByNumber": lambda params: block(HEAD, base_fee=0),
        "eth_feeHistory": history([0, 0], [0], [0.0]),
        "eth_gasPrice": gas_price,
        "eth_maxPriorityFeePerGas": "0x3",
    }
    assert connect(one).fees() == fees
    one.answers["eth_feeHistory"] = history([0, 5], [2], [0.1])
    assert connect(one).fees() == Fees(12, 2)


def test_fees_of_a_node_that_fails_are_the_next_ones(nodes: Nodes, connect: Connect) -> None:
    one, other = nodes
    one.answers["eth_feeHistory"] = Http(502)
    other.answers["eth_feeHistory"] = history([1, 1], [1], [0.1])
    assert connect(*nodes).fees() == Fees(3, 1)
