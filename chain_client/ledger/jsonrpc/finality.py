"""Which block is final: by the node's tag, or by how many blocks are on top of it."""

from __future__ import annotations

import logging

from chain_client.errors import ConfigurationError, LedgerUnavailable
from chain_client.forking import ForkableLock
from chain_client.ledger.base import Block
from chain_client.ledger.jsonrpc.endpoint import Endpoint, ReadRefused
from chain_client.ledger.jsonrpc.values import MalformedReply, to_block, to_quantity

_logger = logging.getLogger(__name__)

GIVE_UP_S = 300.0
"""A final block that one endpoint alone showed, and that nothing shows for so long, is given up."""
YOUNG_BLOCKS = 512
"""A chain that has more, and still no final block, has no finality by tag."""


class Finality:
    """Finds the final block, and never lets it go back.

    Only a block that no second endpoint confirmed is given up, with a warning, once nothing has
    shown it for `GIVE_UP_S`: else one lie would have to be cured by a restart.

    Args:
        depth: how many blocks must be on top of it; None: the node's tag ``finalized`` tells.
    """

    def __init__(self, depth: int | None) -> None:
        self.depth = depth
        self._lock = ForkableLock()
        self._floor: Block | None = None
        self._sure: Block | None = None
        """The newest final block that a second endpoint confirmed."""
        self._missed_since_s: float | None = None

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
        if floor is None:
            return found
        at_floor = found if found.number == floor.number else find_block(endpoint, floor.number)
        if at_floor is not None and at_floor.hash == floor.hash:
            self._missed_since_s = None
            return found
        if self._gives_up(floor, endpoint):
            return self.block(endpoint)
        if at_floor is None:
            raise endpoint.failed(f"lags behind: it has no block {floor.number}")
        raise LedgerUnavailable(
            f"{endpoint.shown} shows another block {floor.number} than the one that was "
            "final: the chain was replaced, the node lies, or ledger.finality is too small"
        )

    def believe(self, block: Block, *, is_confirmed: bool = False) -> Block:
        """From now on, no earlier block is shown as the final one; the newest such.

        Args:
            block: that is final.
            is_confirmed: another endpoint calls it final, too.
        """
        with self._lock.held():
            if self._floor is None or block.number > self._floor.number:
                self._floor, self._missed_since_s = block, None
            if is_confirmed and (self._sure is None or block.number > self._sure.number):
                self._sure = block
            return self._floor

    def _gives_up(self, floor: Block, endpoint: Endpoint) -> bool:
        with self._lock.held():
            if self._floor is not floor:
                return True  # another thread did
            if self._sure is not None and self._sure.number >= floor.number:
                return False
            since_s = self._missed_since_s
            if since_s is None:
                since_s = self._missed_since_s = endpoint.now_s()
            if endpoint.now_s() - since_s < GIVE_UP_S:
                return False
            self._floor, self._missed_since_s = self._sure, None
        _logger.warning(
            "block %d was shown as final by one endpoint alone, and has not been shown for %.0f s: "
            "it is not held for final any more",
            floor.number,
            GIVE_UP_S,
        )
        return True

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
