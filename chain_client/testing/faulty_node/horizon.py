"""How a chain looks to a node that knows it only up to some block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chain_client.testing.faulty_node.exchange import Answer, Request, Response, RpcCall
from chain_client.testing.faulty_node.fault import Passage

_TAG_AT = {
    "eth_getBlockByNumber": 0,
    "eth_getBlockReceipts": 0,
    "eth_getBlockTransactionCountByNumber": 0,
    "eth_getTransactionByBlockNumberAndIndex": 0,
    "eth_getBalance": 1,
    "eth_getCode": 1,
    "eth_getTransactionCount": 1,
    "eth_call": 1,
    "eth_estimateGas": 1,
    "eth_createAccessList": 1,
    "eth_getStorageAt": 2,
    "eth_getProof": 2,
    "eth_feeHistory": 1,
}
"""Where the parameters of a method name a block."""
_NULL_BEYOND = frozenset(
    {
        "eth_getBlockByNumber",
        "eth_getBlockReceipts",
        "eth_getBlockTransactionCountByNumber",
        "eth_getTransactionByBlockNumberAndIndex",
    }
)
"""Methods that answer null for a block that is not there; the others refuse."""
_BY_HASH = frozenset(
    {
        "eth_getBlockByHash",
        "eth_getTransactionReceipt",
        "eth_getTransactionByHash",
        "eth_getTransactionByBlockHashAndIndex",
    }
)


@dataclass(frozen=True, slots=True)
class Horizon:
    """The last block a node knows, and the last it calls final.

    Args:
        head: number of the former.
        final: number of the latter.
    """

    head: int
    final: int

    def answer(self, passage: Passage) -> Response:
        """The answer of such a node."""
        asked: list[RpcCall] = []
        beyond: dict[Any, Answer] = {}
        for call in passage.request.calls:
            if not passage.is_hit(call):
                asked.append(call)
                continue
            changed = self._within(call)
            asked.append(call if changed is None else changed)
            if changed is None:
                beyond[call.id] = self._beyond(call)
        request = Request(tuple(asked), passage.request.is_batch)
        if len(beyond) == len(asked):
            return request.answered(list(beyond.values()))
        changes = self._change(beyond)
        return passage.change_answers(changes, request)

    def _within(self, call: RpcCall) -> RpcCall | None:
        """The call with a number for its tag; None if it is about a block beyond the head."""
        if call.method == "eth_getLogs":
            return self._within_logs(call)
        at = _TAG_AT.get(call.method)
        if at is None:
            return call
        params = list(call.params)
        if len(params) <= at:
            params += ["latest"] * (at + 1 - len(params))
        number = self._number(params[at])
        if number is None:
            return call
        if number > self.head:
            return None
        params[at] = hex(number)
        return call.with_params(*params)

    def _within_logs(self, call: RpcCall) -> RpcCall | None:
        wanted = dict(call.params[0])
        if "blockHash" in wanted:
            return call
        first = self._number(wanted.get("fromBlock") or "latest")
        last = self._number(wanted.get("toBlock") or "latest")
        if first is None or last is None:
            return call
        if first > self.head:
            return None
        wanted |= {"fromBlock": hex(first), "toBlock": hex(min(last, self.head))}
        return call.with_params(wanted)

    def _number(self, tag: Any) -> int | None:
        """Number of a block that is named by a tag or a number; None if by its hash."""
        if tag in ("latest", "pending"):
            return self.head
        if tag in ("finalized", "safe"):
            return self.final
        if tag == "earliest":
            return 0
        is_number = isinstance(tag, str) and tag.startswith("0x") and len(tag) < 66
        return int(tag, 16) if is_number else None

    def _beyond(self, call: RpcCall) -> Answer:
        if call.method in _NULL_BEYOND:
            return call.result(None)
        if call.method == "eth_getLogs":
            return call.result([])
        return call.error(-32000, "header not found")

    def _change(self, beyond: dict[Any, Answer]) -> Callable[[RpcCall, Answer], Answer]:
        def change(call: RpcCall, answer: Answer) -> Answer:
            if call.id in beyond:
                return beyond[call.id]
            if call.method == "eth_blockNumber":
                return call.result(hex(self.head))
            result = answer.get("result")
            if call.method in _BY_HASH and isinstance(result, dict):
                number = result.get("number") or result.get("blockNumber")
                if number is not None and int(number, 16) > self.head:
                    return call.result(_not_included(call.method, result))
            return answer

        return change


def _not_included(method: str, result: dict[str, Any]) -> dict[str, Any] | None:
    if method != "eth_getTransactionByHash":
        return None
    return {**result, "blockHash": None, "blockNumber": None, "transactionIndex": None}
