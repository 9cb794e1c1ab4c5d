"""Proofs of a real node: they hold, and none with another byte does."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from chain_client.errors import InvalidInput, LedgerUnavailable
from chain_client.ledger import Call, JsonRpcLedger
from chain_client.ledger.jsonrpc import Finality, parse_endpoints
from chain_client.ledger.jsonrpc.proof import header_hash, proved_nonce, sender_and_nonce
from chain_client.ledger.jsonrpc.values import MalformedReply
from chain_client.signing import decode_transaction, sign_transaction
from chain_client.testing.ledger_suite import NOWHERE, sign
from chain_client.types import TxHash, to_hex
from tests.embedded_chains import OWNER, STRANGER
from tests.running_nodes import RunningNode, running_anvil
from tests.scripted_node import Refuse, ScriptedNode, scripted_node

METHODS = (
    "eth_getBlockByHash",
    "eth_getBlockByNumber",
    "eth_getProof",
    "eth_getTransactionByHash",
    "eth_getTransactionReceipt",
)


@pytest.fixture(scope="module")
def node() -> Iterator[RunningNode]:
    with running_anvil("--no-mining", funded=[OWNER.address()]) as found:
        yield found


@pytest.fixture(scope="module")
def sent(node: RunningNode) -> TxHash:
    """The second transaction of an account, in a block."""
    ledger = JsonRpcLedger(parse_endpoints(node.url), finality=Finality(0))
    for _ in range(2):
        tx_hash = ledger.send(sign(ledger, OWNER, Call(NOWHERE, b"\x01", value_wei=1)))
        node.mine()
    ledger.close()
    return tx_hash


@pytest.fixture
def liar(node: RunningNode) -> Iterator[ScriptedNode]:
    """An endpoint that answers what the node answers, until a test has it lie."""
    with scripted_node() as found:
        for method in (*METHODS, "eth_chainId", "eth_blockNumber"):
            found.answers[method] = lambda params, method=method: node.rpc(method, *params)
        yield found


@pytest.fixture
def ledger(liar: ScriptedNode) -> Iterator[JsonRpcLedger]:
    found = JsonRpcLedger([liar.address], finality=Finality(0))
    yield found
    found.close()


def flipped(text: str) -> str:
    """The same hex with another digit at its end."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def test_a_block_has_the_hash_of_its_header_and_with_no_other_byte(node: RunningNode) -> None:
    block = node.rpc("eth_getBlockByNumber", "latest", False)
    assert to_hex(header_hash(block)) == block["hash"]
    unhashed = {"hash", "totalDifficulty", "size", "uncles", "transactions", "withdrawals"}
    for name in block.keys() - unhashed:
        changed = {**block, name: flipped(block[name]) if len(block[name]) > 2 else "0x01"}
        assert to_hex(header_hash(changed)) != block["hash"], name
    with pytest.raises(MalformedReply, match="stateRoot"):
        header_hash({**block, "stateRoot": None})


def test_a_nonce_is_proved_under_the_state_root_and_under_no_other(
    node: RunningNode, sent: TxHash
) -> None:
    block = node.rpc("eth_getBlockByNumber", "latest", False)
    root = bytes.fromhex(block["stateRoot"][2:])
    proof = node.rpc("eth_getProof", to_hex(OWNER.address()), [], "latest")
    assert proved_nonce(root, OWNER.address(), proof) == 2
    absent = node.rpc("eth_getProof", to_hex(STRANGER.address()), [], "latest")
    assert proved_nonce(root, STRANGER.address(), absent) == 0
    with pytest.raises(InvalidInput, match="does not lead"):
        proved_nonce(bytes(32), OWNER.address(), proof)
    for index in range(len(proof["accountProof"])):
        changed = copy.deepcopy(proof)
        changed["accountProof"][index] = flipped(proof["accountProof"][index])
        with pytest.raises((InvalidInput, MalformedReply)):
            proved_nonce(root, OWNER.address(), changed)


def test_a_transaction_is_whose_its_hash_says(node: RunningNode, sent: TxHash) -> None:
    shown = node.rpc("eth_getTransactionByHash", to_hex(sent))
    assert sender_and_nonce(shown, sent) == (OWNER.address(), 1)
    for name in ("nonce", "value", "input", "to", "gas", "r", "s", "maxFeePerGas", "chainId"):
        with pytest.raises(InvalidInput, match="another transaction"):
            sender_and_nonce({**shown, name: flipped(shown[name])}, sent)
    with pytest.raises(InvalidInput, match="none of ours"):
        sender_and_nonce({**shown, "type": "0x3"}, sent)
    with pytest.raises(InvalidInput, match="does not show"):
        sender_and_nonce(None, sent)


def test_a_legacy_transaction_is_whose_its_hash_says(node: RunningNode) -> None:
    ledger = JsonRpcLedger(parse_endpoints(node.url), finality=Finality(0))
    fields = decode_transaction(sign(ledger, OWNER, Call(NOWHERE, b""), gas_limit=21_000))
    tx_hash = ledger.send(sign_transaction(OWNER, replace(fields, is_legacy=True)).raw)
    node.mine()
    assert ledger.receipt(tx_hash) is not None
    assert ledger.second_look.last_kind == "proof"
    shown = node.rpc("eth_getTransactionByHash", to_hex(tx_hash))
    assert sender_and_nonce(shown, tx_hash) == (OWNER.address(), fields.nonce)
    ledger.close()


def test_a_receipt_with_its_proof_is_believed(ledger: JsonRpcLedger, sent: TxHash) -> None:
    assert ledger.receipt(sent) is not None
    assert ledger.second_look.last_kind == "proof"


LIES: dict[str, tuple[str, dict[str, Any]]] = {
    "another state": ("eth_getBlockByHash", {"stateRoot": "0x" + "11" * 32}),
    "another number": ("eth_getBlockByHash", {"number": "0x77"}),
    "a receipt of another number": ("eth_getTransactionReceipt", {"blockNumber": "0x1"}),
    "another sender's transaction": ("eth_getTransactionByHash", {"nonce": "0x0"}),
    "a receipt of a later block": (
        "eth_getTransactionReceipt",
        {"blockHash": "0x" + "22" * 32, "blockNumber": "0x1"},
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_node_that_contradicts_itself_is_not_believed(
    node: RunningNode, ledger: JsonRpcLedger, liar: ScriptedNode, sent: TxHash, lie: str
) -> None:
    method, changed = LIES[lie]
    liar.answers[method] = lambda params: (node.rpc(method, *params) or {}) | changed
    with pytest.raises(LedgerUnavailable, match="contradicts itself, and is not believed"):
        ledger.receipt(sent)


def test_a_receipt_in_a_block_before_the_transaction_is_not_believed(
    node: RunningNode, ledger: JsonRpcLedger, liar: ScriptedNode, sent: TxHash
) -> None:
    earlier = node.rpc("eth_getBlockByNumber", "0x1", False)
    place = {"blockHash": earlier["hash"], "blockNumber": "0x1"}
    method = "eth_getTransactionReceipt"
    liar.answers[method] = lambda params: node.rpc(method, *params) | place
    with pytest.raises(LedgerUnavailable, match="sender has used 1 nonces, but the transaction"):
        ledger.receipt(sent)


def test_a_node_without_proofs_is_believed_with_a_warning(
    ledger: JsonRpcLedger, liar: ScriptedNode, sent: TxHash, caplog: pytest.LogCaptureFixture
) -> None:
    liar.answers["eth_getProof"] = Refuse(-32601, "the method eth_getProof does not exist")
    assert ledger.receipt(sent) is not None
    assert ledger.second_look.last_kind == "none"
    assert "refuses eth_getProof" in caplog.text


def test_blocks_whose_hash_leaves_something_out_have_no_proof(
    node: RunningNode, ledger: JsonRpcLedger, liar: ScriptedNode, sent: TxHash
) -> None:
    """Such as those of QBFT."""
    for method in ("eth_getBlockByHash", "eth_getBlockByNumber"):
        liar.answers[method] = lambda params, method=method: (
            node.rpc(method, *params) | {"extraData": "0x" + "aa" * 225}
        )
    assert ledger.receipt(sent) is not None
    assert ledger.second_look.last_kind == "none"


def test_a_made_up_block_of_a_node_whose_headers_were_right_is_a_contradiction(
    ledger: JsonRpcLedger, liar: ScriptedNode, node: RunningNode
) -> None:
    ledger.block("finalized")

    def lie(params: list[Any]) -> Any:
        found = copy.deepcopy(node.rpc("eth_getBlockByNumber", *params))
        if params[0] in ("latest", "finalized"):
            found |= {"number": hex(int(found["number"], 16) + 100), "hash": "0x" + "ab" * 32}
        return found

    honest = liar.answers["eth_getBlockByNumber"]
    liar.answers["eth_getBlockByNumber"] = lie
    for _ in range(2):
        with pytest.raises(LedgerUnavailable, match=r"contradicts itself.*has another hash"):
            ledger.block("finalized")
    liar.answers["eth_getBlockByNumber"] = honest
    assert ledger.block("finalized").number == int(node.rpc("eth_blockNumber"), 16)


def test_a_final_nonce_is_proved(
    ledger: JsonRpcLedger, liar: ScriptedNode, node: RunningNode, sent: TxHash
) -> None:
    count = "eth_getTransactionCount"
    honest = int(node.rpc(count, to_hex(OWNER.address()), "latest"), 16)
    liar.answers[count] = hex(honest + 1_000)
    with pytest.raises(LedgerUnavailable, match=f"shows the nonce {honest + 1_000}"):
        ledger.nonce(OWNER.address(), "finalized")
    liar.answers[count] = hex(honest)
    assert ledger.nonce(OWNER.address(), "finalized") == honest
    assert ledger.second_look.last_kind == "proof"
