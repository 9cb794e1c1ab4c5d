"""Nodes that show another chain: consistent in what they show, and wrong where they should be."""

from __future__ import annotations

import json
import threading

import pytest

from chain_client.signing.keccak import keccak256
from chain_client.testing.faulty_node import (
    CLIENTS,
    WORDINGS,
    BaseFeeSpike,
    DroppedTransaction,
    ErrorReply,
    FakeCall,
    FakeHead,
    FakeReceipt,
    FaultPlan,
    FaultyNode,
    Lagging,
    LimitExceeded,
    Refused,
    Reorg,
    Snapshot,
    StalledFinality,
    WrongChain,
    on,
)
from chain_client.types import from_hex, to_hex
from tests.embedded_chains import OWNER
from tests.running_nodes import RunningNode
from tests.unit.chain_client.faulty_node.asking import (
    NOWHERE,
    ask,
    call,
    mined_payment,
    payment,
    post,
    result,
)

OWNER_HEX = to_hex(OWNER.address())


def test_a_lagging_node_shows_the_chain_of_some_blocks_ago_everywhere(anvil: RunningNode) -> None:
    old = mined_payment(anvil)
    nonce = anvil.rpc("eth_getTransactionCount", OWNER_HEX, "latest")
    balance = anvil.rpc("eth_getBalance", to_hex(NOWHERE), "latest")
    head = anvil.block_number()
    anvil.mine(2)
    new = mined_payment(anvil)
    block = anvil.rpc("eth_getTransactionReceipt", new)["blockHash"]
    with FaultyNode(anvil.url, FaultPlan.of(Lagging(blocks=3))) as node:
        assert int(result(node, "eth_blockNumber"), 16) == head
        for tag in ("latest", "pending"):
            assert int(result(node, "eth_getBlockByNumber", tag, False)["number"], 16) == head
            assert result(node, "eth_getTransactionCount", OWNER_HEX, tag) == nonce
        assert result(node, "eth_getBalance", to_hex(NOWHERE)) == balance
        for tag in ("finalized", "safe"):
            found = result(node, "eth_getBlockByNumber", tag, False)
            assert int(found["number"], 16) == head - 2
        assert result(node, "eth_getTransactionReceipt", old) is not None
        assert result(node, "eth_getTransactionReceipt", new) is None
        assert result(node, "eth_getTransactionByHash", new)["blockHash"] is None
        assert result(node, "eth_getBlockByHash", block, False) is None
        assert result(node, "eth_getBlockByNumber", hex(head + 1), False) is None
        assert "error" in ask(node, "eth_call", {"to": to_hex(NOWHERE)}, hex(head + 1))
        everything = {"fromBlock": hex(head + 1), "toBlock": "latest"}
        assert result(node, "eth_getLogs", everything) == []
        batch = [call("eth_blockNumber"), call("eth_getBlockByNumber", hex(head + 1), False)]
        answers = json.loads(post(node.url, json.dumps(batch).encode())[2])
        assert [answer["result"] for answer in answers] == [hex(head), None]
        assert "result" in ask(node, "eth_sendRawTransaction", payment(anvil))
    anvil.mine()


def test_a_node_that_stands_still_catches_up_when_the_fault_ends(anvil: RunningNode) -> None:
    with FaultyNode(anvil.url, FaultPlan.of(Lagging())) as node:
        head = result(node, "eth_blockNumber")
        anvil.mine(3)
        assert result(node, "eth_blockNumber") == head
        node.follow()
        assert int(result(node, "eth_blockNumber"), 16) == int(head, 16) + 3


def test_finality_stalls_while_blocks_come(anvil: RunningNode) -> None:
    with FaultyNode(anvil.url, FaultPlan.of(StalledFinality())) as node:
        final = result(node, "eth_getBlockByNumber", "finalized", False)
        head = result(node, "eth_blockNumber")
        anvil.mine(5)
        assert result(node, "eth_getBlockByNumber", "finalized", False) == final
        assert int(result(node, "eth_blockNumber"), 16) == int(head, 16) + 5


def test_a_node_of_another_chain_says_so_and_may_have_other_code(anvil: RunningNode) -> None:
    anvil.rpc("anvil_setCode", to_hex(b"\x0c" * 20), "0x6001")
    with FaultyNode(anvil.url, FaultPlan.of(WrongChain(99, code=b"\xfe"))) as node:
        assert result(node, "eth_chainId") == "0x63"
        assert result(node, "net_version") == "99"
        assert result(node, "eth_getCode", to_hex(b"\x0c" * 20), "latest") == "0xfe"
        assert result(node, "eth_getCode", to_hex(NOWHERE), "latest") == "0x"


@pytest.mark.parametrize("block", ["real", "invented"])
def test_a_lying_node_shows_a_receipt_for_what_it_never_passed_on(
    anvil: RunningNode, block: str
) -> None:
    raw = payment(anvil)
    with FaultyNode(anvil.url, FaultPlan.of(FakeReceipt(block))) as node:
        tx_hash = result(node, "eth_sendRawTransaction", raw)
        assert tx_hash == to_hex(keccak256(from_hex(raw)))
        receipt = result(node, "eth_getTransactionReceipt", tx_hash)
        assert (receipt["transactionHash"], receipt["status"]) == (tx_hash, "0x1")
        known = anvil.rpc("eth_getBlockByHash", receipt["blockHash"], False)
        assert (known is not None) is (block == "real")
        assert node.journal.sent_raw == (raw,)
    assert anvil.rpc("txpool_status")["pending"] == "0x0"


def test_a_lying_node_shows_a_head_that_nobody_has(anvil: RunningNode) -> None:
    with FaultyNode(anvil.url, FaultPlan.of(FakeHead(ahead=100))) as node:
        block = result(node, "eth_getBlockByNumber", "finalized", False)
        assert int(block["number"], 16) > anvil.block_number()
        assert anvil.rpc("eth_getBlockByHash", block["hash"], False) is None


def test_a_lying_node_answers_a_view_as_it_likes(anvil: RunningNode) -> None:
    lie = FakeCall(selector=b"\1\2\3\4", result=b"\5" * 32)
    with FaultyNode(anvil.url, FaultPlan.of(lie)) as node:
        meant, other = ({"to": to_hex(NOWHERE), "data": data} for data in ("0x0102030499", "0x05"))
        assert result(node, "eth_call", meant, "latest") == "0x" + "05" * 32
        assert result(node, "eth_call", other, "latest") == "0x"


@pytest.mark.parametrize("transactions", ["kept", "dropped"])
@pytest.mark.parametrize("depth", [1, 7, 64])
def test_a_reorg_replaces_blocks_and_keeps_or_drops_their_transactions(
    anvil: RunningNode, depth: int, transactions: str
) -> None:
    tx_hash = mined_payment(anvil)
    anvil.mine(depth - 1) if depth > 1 else None
    number = anvil.block_number()
    old = anvil.rpc("eth_getBlockByNumber", hex(number - depth + 1), False)["hash"]
    base = anvil.rpc("eth_getBlockByNumber", hex(number - depth), False)["hash"]
    with FaultyNode(anvil.url, FaultPlan.of(on(fault=Reorg(depth, transactions)))) as node:
        assert int(result(node, "eth_blockNumber"), 16) == number
    assert anvil.rpc("eth_getBlockByNumber", hex(number - depth), False)["hash"] == base
    assert anvil.rpc("eth_getBlockByNumber", hex(number - depth + 1), False)["hash"] != old
    assert anvil.rpc("eth_getTransactionReceipt", tx_hash) is None
    anvil.mine()
    found = anvil.rpc("eth_getTransactionReceipt", tx_hash)
    assert (found is not None) is (transactions == "kept")


@pytest.mark.parametrize("transactions", ["kept", "dropped"])
def test_a_snapshot_makes_a_reorg_where_the_node_has_none(
    anvil: RunningNode, transactions: str
) -> None:
    with FaultyNode(anvil.url) as node:
        snapshot = Snapshot(node.upstream)
        tx_hash = mined_payment(anvil)
        anvil.mine(2)
        number = anvil.block_number()
        assert snapshot.reorganise(transactions=transactions) == 3
    assert anvil.block_number() == number + 1
    assert anvil.rpc("eth_getTransactionReceipt", tx_hash) is None
    anvil.mine()
    found = anvil.rpc("eth_getTransactionReceipt", tx_hash)
    assert (found is not None) is (transactions == "kept")


def test_the_base_fee_rises_by_its_factor_for_the_next_block(anvil: RunningNode) -> None:
    before = int(anvil.rpc("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
    with FaultyNode(anvil.url, FaultPlan.of(on(fault=BaseFeeSpike(20)))) as node:
        result(node, "eth_chainId")
    anvil.mine()
    assert int(anvil.rpc("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16) == (
        20 * before
    )
    anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(before))
    anvil.mine()


@pytest.mark.parametrize("forwarded", [False, True])
def test_a_dropped_transaction_was_accepted_and_is_nowhere(
    anvil: RunningNode, forwarded: bool
) -> None:
    raw = payment(anvil)
    drop = on("eth_sendRawTransaction", fault=DroppedTransaction(forwarded))
    with FaultyNode(anvil.url, FaultPlan.of(drop)) as node:
        tx_hash = result(node, "eth_sendRawTransaction", raw)
        assert tx_hash == to_hex(keccak256(from_hex(raw)))
        assert result(node, "eth_getTransactionByHash", tx_hash) is None
        assert result(node, "eth_sendRawTransaction", raw) == tx_hash
    anvil.mine()
    assert anvil.rpc("eth_getTransactionReceipt", tx_hash) is not None


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("kind", sorted(WORDINGS))
def test_a_refusal_is_in_the_words_of_a_client(anvil: RunningNode, kind: str, client: str) -> None:
    with FaultyNode(anvil.url, FaultPlan.of(Refused(kind, client, forwarded=False))) as node:
        error = ask(node, "eth_sendRawTransaction", "0x00")["error"]
    assert (error["code"], error["message"]) == WORDINGS[kind][client]


def test_an_error_answers_the_calls_it_is_meant_for(anvil: RunningNode) -> None:
    refuse = on("eth_gasPrice", fault=ErrorReply(-32000, "no", data="0x1", http_status=400))
    batch = [call("eth_chainId"), call("eth_gasPrice")]
    with FaultyNode(anvil.url, FaultPlan.of(refuse, on(fault=LimitExceeded(3)))) as node:
        post(node.url, json.dumps(call("eth_chainId")).encode())
        status, _, body = post(node.url, json.dumps(batch).encode())
    answers = json.loads(body)
    assert status == 400
    assert answers[0]["result"] == "0x7a69"
    assert answers[1]["error"] == {"code": -32000, "message": "no", "data": "0x1"}


def test_a_limit_in_a_200_may_tell_when_to_come_back(anvil: RunningNode) -> None:
    with FaultyNode(anvil.url, FaultPlan.of(LimitExceeded(3))) as node:
        status, headers, body = post(node.url, json.dumps(call("eth_chainId")).encode())
    assert (status, headers["Retry-After"]) == (200, "3")
    assert json.loads(body)["error"]["code"] == -32005


def test_no_request_meets_a_chain_whose_blocks_are_being_replaced(anvil: RunningNode) -> None:
    code = to_hex(b"\x0d" * 20)
    anvil.rpc("anvil_setCode", code, "0x602a60005260206000f3")
    anvil.mine(70)
    end, found = threading.Event(), set()
    with FaultyNode(anvil.url) as node, FaultyNode(anvil.url) as other:

        def look(through: FaultyNode) -> None:
            while not end.is_set():
                found.add(result(through, "eth_call", {"to": code}, "latest"))

        threads = [threading.Thread(target=look, args=(one,)) for one in (node, node, other)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                Reorg(64).happen(node.upstream)
                anvil.mine(2)
        finally:
            end.set()
            for thread in threads:
                thread.join()
    assert found == {"0x" + "2a".rjust(64, "0")}
