"""A plain client of a node under test, and transactions for it."""

from __future__ import annotations

import itertools
import json
import urllib.error
import urllib.request
from email.message import Message
from typing import Any

from chain_client.signing import TransactionFields, sign_transaction
from chain_client.testing.faulty_node import FaultyNode
from chain_client.types import Address, to_hex
from tests.embedded_chains import OWNER
from tests.running_nodes import CHAIN_ID, RunningNode

NOWHERE = Address(b"\x01" * 20)
_ids = itertools.count(1)


def post(url: str, body: bytes) -> tuple[int, Message, bytes]:
    """Status, headers and body of the reply, whatever the status."""
    request = urllib.request.Request(  # noqa: S310 - a node of ours on the loopback interface
        url, body, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:  # noqa: S310
            return reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.headers, exc.read()


def call(method: str, *params: object) -> dict[str, Any]:
    """One call, with an id of its own."""
    return {"jsonrpc": "2.0", "id": next(_ids), "method": method, "params": params}


def ask(node: FaultyNode, method: str, *params: object) -> Any:
    """The whole answer to one call."""
    asked = call(method, *params)
    answer = json.loads(post(node.url, json.dumps(asked).encode())[2])
    assert answer["id"] == asked["id"]
    return answer


def result(node: FaultyNode, method: str, *params: object) -> Any:
    """The result of one call."""
    return ask(node, method, *params)["result"]


def payment(anvil: RunningNode, *, offset: int = 0, value_wei: int = 1) -> str:
    """A signed transaction of the owner's, with the next nonce and more."""
    used = int(anvil.rpc("eth_getTransactionCount", to_hex(OWNER.address()), "pending"), 16)
    fields = TransactionFields(
        chain_id=CHAIN_ID,
        nonce=used + offset,
        max_fee_wei=100 * 10**9,
        max_priority_fee_wei=10**9,
        gas_limit=30_000,
        to=NOWHERE,
        data=b"",
        value_wei=value_wei,
    )
    return to_hex(sign_transaction(OWNER, fields).raw)


def mined_payment(anvil: RunningNode) -> str:
    """Hash of a payment in a block of its own."""
    tx_hash = str(anvil.rpc("eth_sendRawTransaction", payment(anvil)))
    anvil.mine()
    assert anvil.rpc("eth_getTransactionReceipt", tx_hash) is not None
    return tx_hash
