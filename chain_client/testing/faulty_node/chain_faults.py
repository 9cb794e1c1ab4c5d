"""Faults of the chain itself: reorgs, fees, transactions that get lost."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from chain_client.errors import InvalidInput
from chain_client.signing.keccak import keccak256
from chain_client.testing.faulty_node.exchange import Answer, Response, RpcCall
from chain_client.testing.faulty_node.fault import Asker, Fault, Passage
from chain_client.types import from_hex, to_hex


@dataclass(frozen=True, slots=True)
class Reorg(Fault):
    """Blocks vanish, and as many others take their place. Needs an anvil behind.

    Args:
        depth: how many blocks.
        transactions: what becomes of the transactions in them: ``kept`` puts them back into the
            node's pool, as geth does; ``dropped`` forgets them.
        before: the request meets the new chain; else it is answered by the old one first.
    """

    depth: int
    transactions: str = "kept"
    before: bool = True

    def inject(self, passage: Passage) -> Response:
        if self.before:
            self.happen(passage.upstream)
            return passage.pass_on()
        response = passage.pass_on()
        self.happen(passage.upstream)
        return response

    def happen(self, node: Asker) -> None:
        """Do it now.

        Raises:
            InvalidInput: the chain is not that long, or the node is no anvil.
            LedgerUnavailable: the node does not answer.
        """
        with node.alone():
            orphans = orphaned_by(node, self.depth)
            node.ask("anvil_reorg", self.depth, [])
            if self.transactions == "kept":
                send_again(node, orphans)


def orphaned_by(node: Asker, depth: int) -> list[str]:
    """Signed bytes of the transactions in the last ``depth`` blocks, in chain order."""
    latest = int(node.ask("eth_blockNumber"), 16)
    raws = []
    for number in range(latest - depth + 1, latest + 1):
        for tx_hash in node.ask("eth_getBlockByNumber", hex(number), False)["transactions"]:
            raws.append(node.ask("eth_getRawTransactionByHash", tx_hash))
    return raws


def send_again(node: Asker, raws: list[str]) -> None:
    """Put transactions back into the pool; those that the chain has anyway are left."""
    for raw in raws:
        with contextlib.suppress(InvalidInput):
            node.ask("eth_sendRawTransaction", raw)


class Snapshot:
    """A state of a chain to come back to: a reorg also on nodes without ``anvil_reorg``.

    Args:
        node: such as `FaultyNode.upstream`; an anvil or a hardhat.
    """

    def __init__(self, node: Asker) -> None:
        self._node = node
        self._id = node.ask("evm_snapshot")
        self._number = int(node.ask("eth_blockNumber"), 16)

    def reorganise(self, *, transactions: str = "kept") -> int:
        """Take back every block since, and mine one more than there were. Works once.

        Args:
            transactions: as `Reorg`.

        Returns:
            how many blocks vanished.
        """
        with self._node.alone():
            depth = int(self._node.ask("eth_blockNumber"), 16) - self._number
            orphans = orphaned_by(self._node, depth)
            self._node.ask("evm_revert", self._id)
            for _ in range(depth + 1):
                self._node.ask("evm_mine")
            if transactions == "kept":
                send_again(self._node, orphans)
            return depth


@dataclass(frozen=True, slots=True)
class BaseFeeSpike(Fault):
    """The next block's base fee is many times the last one's; later ones fall as EIP-1559 says.

    Args:
        factor: how many times.
    """

    factor: int = 20

    def inject(self, passage: Passage) -> Response:
        self.happen(passage.upstream)
        return passage.pass_on()

    def happen(self, node: Asker) -> None:
        """Do it now.

        Raises:
            InvalidInput: the node is no anvil.
            LedgerUnavailable: the node does not answer.
        """
        latest = node.ask("eth_getBlockByNumber", "latest", False)
        spike = int(latest["baseFeePerGas"], 16) * self.factor
        node.ask("anvil_setNextBlockBaseFeePerGas", hex(spike))


@dataclass(frozen=True, slots=True)
class DroppedTransaction(Fault):
    """A transaction is accepted, and never heard of again.

    Args:
        forwarded: the node gets it and drops it from its pool (`anvil_dropTransaction`); else it
            gets nothing.
    """

    forwarded: bool = False

    def inject(self, passage: Passage) -> Response:
        sent = [call for call in passage.request.calls if _is_send(call)]
        if not sent:
            return passage.pass_on()
        if self.forwarded:
            response = passage.pass_on()
            for answer in response.answers():
                if isinstance(answer.get("result"), str):
                    passage.upstream.ask("anvil_dropTransaction", answer["result"])
            return response
        answers: list[Answer] = [call.result(_hash_of(call.params[0])) for call in sent]
        if len(sent) == len(passage.request.calls):
            return passage.request.answered(answers)
        raise InvalidInput("a batch of sends and other calls can't be dropped")


def _is_send(call: RpcCall) -> bool:
    return call.method == "eth_sendRawTransaction"


def _hash_of(raw: Any) -> str:
    return to_hex(keccak256(from_hex(str(raw))))
