"""Which block is final: by the node's tag, or by how many blocks are on top of it."""

from __future__ import annotations

from chain_client.errors import ConfigurationError, LedgerUnavailable
from chain_client.forking import ForkableLock
from chain_client.ledger.base import Block
from chain_client.ledger.jsonrpc.endpoint import Endpoint, ReadRefused
from chain_client.ledger.jsonrpc.values import MalformedReply, to_block, to_quantity

YOUNG_BLOCKS = 512
"""A chain that has more, and still no final block, has no finality by tag."""


class Finality:
    """Finds the final block, and never lets it go back.

    Args:
        depth: how many blocks must be on top of it; None: the node's tag ``finalized`` tells.
    """

    def __init__(self, depth: int | None) -> None:
        self.depth = depth
        self._lock = ForkableLock()
        self._floor: Block | None = None

    @classmethod
    def parse(cls, text: str) -> Finality:
        """Of the setting `ledger.finality`.

        Raises:
            ConfigurationError: it is neither ``auto`` nor a number.
        """
        if text == "auto":
            return cls(None)
        if text.isdecimal():
            return cls(int(text))
        raise ConfigurationError(f"ledger.finality: expected auto or a number, got {text!r}")

    def block(self, endpoint: Endpoint) -> Block:
        """The final block, as one endpoint shows it; it has every block that was final before.

        Raises:
            ConfigurationError: the node knows no finality, and the setting names no depth.
            LedgerUnavailable: the endpoint shows another block where one was final.
            EndpointFailed: it lags behind, or gives no answer.
        """
        found = self._by_tag(endpoint) if self.depth is None else self._by_depth(endpoint)
        floor = self._floor
        if floor is not None:
            at_floor = found if found.number == floor.number else find_block(endpoint, floor.number)
            if at_floor is None:
                raise endpoint.failed(f"lags behind: it has no block {floor.number}")
            if at_floor.hash != floor.hash:
                raise LedgerUnavailable(
                    f"{endpoint.shown} shows another block {floor.number} than the one that was "
                    "final: the chain was replaced, the node lies, or ledger.finality is too small"
                )
        return found

    def believe(self, block: Block) -> Block:
        """From now on, no earlier block is shown as the final one; the newest such."""
        with self._lock.held():
            if self._floor is None or block.number > self._floor.number:
                self._floor = block
            return self._floor

    def _by_tag(self, endpoint: Endpoint) -> Block:
        try:
            found = endpoint.read("eth_getBlockByNumber", "finalized", False)
        except ReadRefused as exc:
            if exc.verdict.kind not in ("tag_unset", "block_missing"):
                raise _no_finality(endpoint, f" (it says {exc.verdict.text})") from exc
            found = None
        if found is not None:
            return to_block(found)
        newest = to_block(endpoint.read("eth_getBlockByNumber", "latest", False))
        if newest.number > YOUNG_BLOCKS:
            raise _no_finality(endpoint)
        return _get(endpoint, 0)  # of a young chain, only the first block is

    def _by_depth(self, endpoint: Endpoint) -> Block:
        assert self.depth is not None
        newest = to_block(endpoint.read("eth_getBlockByNumber", "latest", False))
        if self.depth == 0:
            return newest
        return _get(endpoint, max(newest.number - self.depth, 0))


def find_block(endpoint: Endpoint, number: int) -> Block | None:
    """A block as one endpoint shows it, None if it shows none; errors as `Endpoint.read`."""
    try:
        found = endpoint.read("eth_getBlockByNumber", to_quantity(number), False)
    except ReadRefused as exc:
        if exc.verdict.kind != "block_missing":
            raise
        return None
    return None if found is None else to_block(found)


def _get(endpoint: Endpoint, number: int) -> Block:
    found = find_block(endpoint, number)
    if found is None:
        raise MalformedReply(f"it has no block {number}, and later ones")
    return found


def _no_finality(endpoint: Endpoint, why: str = "") -> ConfigurationError:
    return ConfigurationError(
        f"the node at {endpoint.shown} names no finalized block{why}: set ledger.finality to the "
        "number of blocks after which one is final on this chain (0 where every block is, as with "
        "QBFT)"
    )
