"""The second look: what one endpoint shows is believed when something else shows it too."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Literal, TypeAlias, TypeVar

from chain_client.errors import ConfigurationError, LedgerUnavailable
from chain_client.forking import ForkableLock
from chain_client.ledger.base import Block, Receipt
from chain_client.ledger.jsonrpc.endpoint import Endpoint, EndpointFailed, ReadRefused
from chain_client.ledger.jsonrpc.endpoints import Endpoints
from chain_client.ledger.jsonrpc.finality import find_block
from chain_client.ledger.jsonrpc.proving import Prover, Unavailable, contradiction
from chain_client.ledger.jsonrpc.values import to_receipt
from chain_client.types import Address, to_hex

_logger = logging.getLogger(__name__)

T = TypeVar("T")

Mode: TypeAlias = Literal["auto", "endpoint", "proof", "off"]
Kind: TypeAlias = Literal["endpoint", "proof", "none"]

PATIENCE_S = 1.0
"""How long another endpoint is waited for that has not come as far."""
_POLL_S = 0.1
_REMEMBERED = 1024
_LOOK_S = 5.0
LATE_S = 120.0
"""After so long it is told that another endpoint's finality holds back what is final."""


class SecondLook:
    """Confirms what one endpoint showed, or refuses to believe it.

    Args:
        endpoints: of the chain.
        mode: the setting `ledger.second_look`.
    """

    def __init__(self, endpoints: Endpoints, mode: Mode) -> None:
        self._endpoints = endpoints
        self._mode = mode
        self._prover = Prover()
        self._lock = ForkableLock()
        self._believed: OrderedDict[object, tuple[object, Kind]] = OrderedDict()
        """What was believed, by what it is of, and what confirmed it: the same place never shows
        two things."""
        self._late: dict[Endpoint, tuple[int, float, bool]] = {}
        self._has_warned = False
        self.last_kind: Kind | None = None
        """What confirmed the newest answer; None before the first."""

    def at_receipt(self, endpoint: Endpoint, receipt: Receipt) -> None:
        """Believe a receipt.

        Raises:
            LedgerUnavailable: something else shows another one, or what is configured to be
                asked can't be asked now.
        """

        def show(other: Endpoint) -> Receipt | None:
            found = other.read("eth_getTransactionReceipt", to_hex(receipt.tx_hash))
            return to_receipt(found, receipt.tx_hash)

        self._look(
            endpoint,
            (receipt.tx_hash, receipt.block_hash),
            f"a receipt of the transaction {to_hex(receipt.tx_hash)}",
            receipt,
            show,
            receipt.block_number,
            lambda: self._prover.prove_receipt(endpoint, receipt),
        )

    def at_final_block(
        self, endpoint: Endpoint, block: Block, final: Callable[[Endpoint], Block]
    ) -> tuple[Block, bool]:
        """Believe that a block is final; errors as `at_receipt`.

        Args:
            endpoint: shows it.
            block: the final block there.
            final: gives the final block of another endpoint.

        Returns:
            the block, or an earlier one if another endpoint shows no later one as final: both
            have that; and whether another endpoint confirmed it.
        """
        agreed = block

        def show(other: Endpoint) -> Block | None:
            nonlocal agreed
            theirs = final(other)
            if theirs.number >= block.number:
                self._tell_of_late_finality(other, None)
                return find_block(other, block.number)
            self._look_at_heads(endpoint, other)
            self._tell_of_late_finality(other, theirs)
            agreed = theirs
            return block if find_block(endpoint, theirs.number) == theirs else theirs

        kind = self._look(
            endpoint,
            block.hash,
            f"block {block.number}",
            block,
            show,
            block.number,
            lambda: self._prover.prove_block(endpoint, block),
        )
        if agreed is not block and kind == "endpoint":
            with self._lock.held():
                self._believed.pop(block.hash, None)
            return agreed, True
        return block, kind == "endpoint"

    def at_final_nonce(
        self,
        endpoint: Endpoint,
        address: Address,
        block: Block,
        nonce: int,
        ask: Callable[[Endpoint], int],
    ) -> None:
        """Believe how many transactions an account has in a final block; errors as `at_receipt`.

        Args:
            endpoint: shows it.
            address: of the account.
            block: that is final.
            nonce: what it shows.
            ask: gives that of another endpoint.
        """
        self._look(
            endpoint,
            (address, block.hash),
            f"the nonce of {to_hex(address)} in block {block.number}",
            nonce,
            ask,
            block.number,
            lambda: self._prover.prove_nonce(endpoint, address, block, nonce),
        )

    def _look_at_heads(self, *endpoints: Endpoint) -> None:
        """See whether one stands still."""
        for endpoint in endpoints:
            self._endpoints.look_at_head(endpoint, again_s=_LOOK_S)

    def _tell_of_late_finality(self, other: Endpoint, theirs: Block | None) -> None:
        """Warn once where another endpoint's finality does not move while it holds ours back."""
        if theirs is None:
            self._late.pop(other, None)
            return
        since = self._late.get(other)
        if since is None or since[0] != theirs.number:
            self._late[other] = (theirs.number, other.now_s(), False)
        elif not since[2] and other.now_s() - since[1] >= LATE_S:
            self._late[other] = (*since[:2], True)
            _logger.warning(
                "for %s, nothing after block %d has become final for %.0f s: nothing later is "
                "taken for final",
                other.shown,
                theirs.number,
                LATE_S,
            )

    def at_final_view(
        self, endpoint: Endpoint, number: int, result: bytes, ask: Callable[[Endpoint], bytes]
    ) -> None:
        """Believe what a contract said in a final block; there is no proof of that.

        Errors as `at_receipt`.
        """
        key = (number, result)
        self._look(endpoint, None, f"a view in block {number}", key, lambda e: (number, ask(e)), 0)

    def _look(
        self,
        endpoint: Endpoint,
        key: object,
        what: str,
        shown: T,
        show: Callable[[Endpoint], T | None],
        block_number: int,
        prove: Callable[[], None] | None = None,
    ) -> Kind | None:
        """What confirmed it; None if nothing was to be asked."""
        if self._mode == "off":
            return None
        believed = None if key is None else self._believed.get(key)
        if believed is not None and believed[0] == shown:
            return believed[1]
        if believed is not None:
            # No proof tells which of the two is right: it tells of the block, not of the receipt.
            prove = None
        looks: list[tuple[Kind, Callable[[], None]]] = []
        if self._mode in ("auto", "endpoint"):
            compare = partial(self._compare, endpoint, what, shown, show, block_number)
            looks.append(("endpoint", compare))
        if self._mode in ("auto", "proof") and prove is not None:
            looks.append(("proof", prove))
        reasons = []
        for kind, look in looks:
            try:
                look()
            except Unavailable as exc:
                reasons.append(str(exc))
            else:
                self._believe(key, shown, kind)
                return kind
        if believed is not None:
            raise contradiction(endpoint, f"{what} was another one before")
        if reasons and self._mode != "auto":
            raise LedgerUnavailable(
                f"{endpoint.shown} shows {what}, and there is no second look at it: "
                f"{reasons[0]}; ledger.second_look is {self._mode}"
            )
        if prove is not None:
            self._warn_once(endpoint, reasons)
            self._believe(key, shown, "none")
        return "none"

    def _warn_once(self, endpoint: Endpoint, reasons: list[str]) -> None:
        with self._lock.held():
            has_warned, self._has_warned = self._has_warned, True
        if not has_warned:
            _logger.warning(
                "%s is believed without a second look: %s; a further endpoint gives one",
                endpoint.shown,
                "; ".join(reasons),
            )

    def _believe(self, key: object, shown: object, kind: Kind) -> None:
        with self._lock.held():
            self.last_kind = kind
            if key is not None:
                self._believed[key] = (shown, kind)
                while len(self._believed) > _REMEMBERED:
                    self._believed.popitem(last=False)

    def _compare(
        self,
        endpoint: Endpoint,
        what: str,
        shown: T,
        show: Callable[[Endpoint], T | None],
        block_number: int,
    ) -> None:
        """See that another endpoint shows the same."""
        self._endpoints.saw(endpoint, block_number, is_head=False)
        deadline = time.monotonic() + PATIENCE_S
        behind: Endpoint | None = None
        while True:
            for other in self._endpoints.others(endpoint):
                try:
                    found = self._endpoints.asking(other, show)
                except (EndpointFailed, ReadRefused):
                    continue
                if found == shown:
                    return
                if found is not None:
                    raise LedgerUnavailable(
                        f"{endpoint.shown} and {other.shown} contradict each other about {what}: "
                        "neither is believed"
                    )
                behind = other
            if behind is None:
                raise Unavailable("no other endpoint can be asked")
            if time.monotonic() > deadline:
                with suppress(EndpointFailed):
                    self._look_at_heads(endpoint, behind)
                raise LedgerUnavailable(
                    f"{endpoint.shown} shows {what}, and {behind.shown} does not, or not yet"
                )
            time.sleep(_POLL_S)


def parse_mode(text: str) -> Mode:
    """The setting `ledger.second_look`.

    Raises:
        ConfigurationError: it is none of them.
    """
    for mode in ("auto", "endpoint", "proof", "off"):
        if text == mode:
            return mode
    raise ConfigurationError(
        f"ledger.second_look: expected auto, endpoint, proof or off, got {text!r}"
    )
