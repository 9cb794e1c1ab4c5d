"""What an endpoint is and offers, found out by asking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chain_client.errors import LedgerUnavailable
from chain_client.ledger import Fees, JsonRpcLedger
from chain_client.ledger.jsonrpc.probe import EndpointReport, probe
from tests.scripted_node import CHAIN_ID, HangUp, Http, Refuse, ScriptedNode, block

Connect = Callable[..., JsonRpcLedger]
Nodes = tuple[ScriptedNode, ScriptedNode]


def report_of(connect: Connect, node: ScriptedNode, depth: int | None = None) -> EndpointReport:
    return probe(connect(node).endpoints.all[0], depth)


def test_a_node_that_offers_little_is_described(nodes: Nodes, connect: Connect) -> None:
    """Real nodes that offer everything are in the conformance table."""
    node, _ = nodes
    node.answers["eth_maxPriorityFeePerGas"] = "0x1"
    found = report_of(connect, node)
    assert (found.client, found.chain_id, found.block_number) == ("", CHAIN_ID, 100)
    assert (found.final_lag_blocks, found.fees) == (10, Fees(15, 1))
    assert (found.has_proofs, found.is_archive, found.takes_batches) == (False, None, False)
    assert found.latency_s > 0
    assert report_of(connect, node, depth=4).final_lag_blocks == 4


def test_archives_and_missing_finality_show(nodes: Nodes, connect: Connect) -> None:
    node, _ = nodes
    node.head, node.final = 1_000, 990

    def blocks(params: list[Any]) -> Any:
        return None if params[0] == "finalized" else ScriptedNode.eth_getBlockByNumber(node, params)

    node.answers |= {
        "eth_getBlockByNumber": blocks,
        "eth_getBalance": Refuse(-32000, "missing trie node 0xabc (path )"),
        "web3_clientVersion": "Geth/v1.16\x1b[2J",
    }
    found = report_of(connect, node)
    assert (found.final_lag_blocks, found.is_archive, found.client) == (None, False, "")
    node.answers |= {"eth_getBalance": "0x0", "web3_clientVersion": "Geth/v1.16"}
    found = report_of(connect, node)
    assert (found.is_archive, found.client) == (True, "Geth/v1.16")


@pytest.mark.parametrize(
    "answers",
    [
        {"eth_chainId": HangUp()},
        {"eth_blockNumber": "soon"},
        {"eth_blockNumber": Refuse(-32601, "Method not found")},
        {"eth_getBlockByNumber": block(5) | {"hash": "0x"}},
        {"web3_clientVersion": Http(502)},
    ],
)
def test_an_endpoint_that_can_not_be_described_is_unavailable(
    nodes: Nodes, connect: Connect, answers: dict[str, Any]
) -> None:
    nodes[0].answers |= answers
    with pytest.raises(LedgerUnavailable, match=nodes[0].url):
        report_of(connect, nodes[0])
