"""Nodes that show another chain than there is: behind, stalled, foreign, lying."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chain_client.signing.keccak import keccak256
from chain_client.testing.faulty_node.exchange import Answer, Response, RpcCall
from chain_client.testing.faulty_node.fault import Fault, Passage
from chain_client.testing.faulty_node.horizon import Horizon
from chain_client.types import from_hex, to_hex


@dataclass(frozen=True, slots=True)
class Lagging(Fault):
    """The node answers everything as of so many blocks ago; what is sent to it arrives.

    Blocks, nonces, balances, code, receipts, events and calls fit each other, at ``latest``,
    ``pending``, ``safe`` and ``finalized`` alike.

    Args:
        blocks: how far behind; None for a node that stays at the block it had when it was first
            asked.
    """

    blocks: int | None = None

    def inject(self, passage: Passage) -> Response:
        latest = int(passage.upstream.ask("eth_blockNumber"), 16)
        if self.blocks is None:
            head = min(passage.memory.setdefault("head", latest), latest)
        else:
            head = max(latest - self.blocks, 0)
        final = passage.upstream.ask("eth_getBlockByNumber", "finalized", False)
        behind = latest - int(final["number"], 16) if final else latest
        return Horizon(head, max(head - behind, 0)).answer(passage)


@dataclass(frozen=True, slots=True)
class StalledFinality(Fault):
    """Blocks come, and none becomes final: ``finalized`` and ``safe`` stay where they are."""

    def inject(self, passage: Passage) -> Response:
        latest = int(passage.upstream.ask("eth_blockNumber"), 16)
        if "final" not in passage.memory:
            final = passage.upstream.ask("eth_getBlockByNumber", "finalized", False)
            passage.memory["final"] = int(final["number"], 16) if final else 0
        return Horizon(latest, min(passage.memory["final"], latest)).answer(passage)


@dataclass(frozen=True, slots=True)
class WrongChain(Fault):
    """The node says that it is on another chain.

    Args:
        chain_id: what it says instead; None to say the truth.
        code: what stands at every address that has code; None to say the truth.
    """

    chain_id: int | None = 0xBAD
    code: bytes | None = None

    def inject(self, passage: Passage) -> Response:
        def change(call: RpcCall, answer: Answer) -> Answer:
            if call.method == "eth_chainId" and self.chain_id is not None:
                return call.result(hex(self.chain_id))
            if call.method == "net_version" and self.chain_id is not None:
                return call.result(str(self.chain_id))
            has_code = call.method == "eth_getCode" and answer.get("result") not in (None, "0x")
            return call.result(to_hex(self.code)) if has_code and self.code is not None else answer

        return passage.change_answers(change)


@dataclass(frozen=True, slots=True)
class FakeReceipt(Fault):
    """A lying node: it keeps what is sent to itself, and says that it is included.

    Args:
        block: ``real`` names the latest block there is, ``invented`` one that nobody has.
    """

    block: str = "real"

    def inject(self, passage: Passage) -> Response:
        swallowed: dict[str, dict[str, Any]] = passage.memory
        answers = []
        for call in passage.request.calls:
            if call.method == "eth_sendRawTransaction" and call.params:
                tx_hash = to_hex(keccak256(from_hex(call.params[0])))
                swallowed.setdefault(tx_hash, self._receipt(passage, tx_hash))
                answers.append(call.result(tx_hash))
            elif call.method == "eth_getTransactionReceipt" and call.params[0] in swallowed:
                answers.append(call.result(swallowed[call.params[0]]))
            else:
                answers.append({})
        if all(answers):
            return passage.request.answered(answers)
        by_id = {call.id: answer for call, answer in zip(passage.request.calls, answers)}
        return passage.change_answers(lambda call, answer: by_id[call.id] or answer)

    def _receipt(self, passage: Passage, tx_hash: str) -> dict[str, Any]:
        block = passage.upstream.ask("eth_getBlockByNumber", "latest", False)
        invented = to_hex(keccak256(tx_hash.encode()))
        return {
            "transactionHash": tx_hash,
            "transactionIndex": "0x0",
            "blockHash": block["hash"] if self.block == "real" else invented,
            "blockNumber": block["number"],
            "from": "0x" + "00" * 20,
            "to": "0x" + "00" * 20,
            "contractAddress": None,
            "cumulativeGasUsed": "0x5208",
            "effectiveGasPrice": "0x3b9aca00",
            "gasUsed": "0x5208",
            "logs": [],
            "logsBloom": "0x" + "00" * 256,
            "status": "0x1",
            "type": "0x2",
        }


@dataclass(frozen=True, slots=True)
class FakeHead(Fault):
    """A lying node: its ``latest`` and ``finalized`` blocks are ones that nobody has.

    Args:
        ahead: how far ahead of the real one.
    """

    ahead: int = 100

    def inject(self, passage: Passage) -> Response:
        def change(call: RpcCall, answer: Answer) -> Answer:
            result = answer.get("result")
            if call.method == "eth_blockNumber" and isinstance(result, str):
                return call.result(hex(int(result, 16) + self.ahead))
            is_named = call.method == "eth_getBlockByNumber" and call.params[:1] in (
                ("latest",),
                ("safe",),
                ("finalized",),
            )
            if not is_named or not isinstance(result, dict):
                return answer
            number = int(result["number"], 16) + self.ahead
            invented = to_hex(keccak256(b"%d" % number))
            return call.result({**result, "number": hex(number), "hash": invented})

        return passage.change_answers(change)


@dataclass(frozen=True, slots=True)
class FakeCall(Fault):
    """A lying node: a view of a contract returns something else.

    Args:
        selector: first four bytes of the calls that are answered so.
        result: return data.
    """

    selector: bytes
    result: bytes

    def inject(self, passage: Passage) -> Response:
        def change(call: RpcCall, answer: Answer) -> Answer:
            if call.method != "eth_call":
                return answer
            data = str(call.params[0].get("input") or call.params[0].get("data") or "0x")
            is_meant = data.startswith(to_hex(self.selector))
            return call.result(to_hex(self.result)) if is_meant else answer

        return passage.change_answers(change)
