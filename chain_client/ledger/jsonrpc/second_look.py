"""The second look: what one endpoint shows is believed when something else shows it too."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias, TypeVar

from chain_client.errors import ConfigurationError, InvalidInput, LedgerUnavailable
from chain_client.forking import ForkableLock
from chain_client.ledger.base import Block, Receipt
from chain_client.ledger.jsonrpc.endpoint import Endpoint, EndpointFailed, ReadRefused
from chain_client.ledger.jsonrpc.endpoints import Endpoints
from chain_client.ledger.jsonrpc.finality import find_block
from chain_client.ledger.jsonrpc.proof import header_hash, proved_nonce, sender_and_nonce
from chain_client.ledger.jsonrpc.values import (
    MalformedReply,
    to_block,
    to_bytes,
    to_quantity,
    to_receipt,
)
from chain_client.types import Address, to_hex

_logger = logging.getLogger(__name__)

T = TypeVar("T")

Mode: TypeAlias = Literal["auto", "endpoint", "proof", "off"]
Kind: TypeAlias = Literal["endpoint", "proof", "none"]

PATIENCE_S = 1.0
"""How long another endpoint is waited for that has not come as far."""
_POLL_S = 0.1
_REMEMBERED = 1024


class _Unavailable(Exception):
    """This kind of second look can't be had now; the text says why."""


class SecondLook:
    """Confirms what one endpoint showed, or refuses to believe it.

    Args:
        endpoints: of the chain.
        mode: the setting `ledger.second_look`.
    """

    def __init__(self, endpoints: Endpoints, mode: Mode) -> None:
        self._endpoints = endpoints
        self._mode = mode
        self._lock = ForkableLock()
        self._believed: OrderedDict[object, object] = OrderedDict()
        """What was believed, by what it is of: the same place never shows two things."""
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
            lambda: self._prove_receipt(endpoint, receipt),
        )

    def at_final_block(
        self, endpoint: Endpoint, block: Block, final: Callable[[Endpoint], Block]
    ) -> Block:
        """Believe that a block is final; errors as `at_receipt`.

        Args:
            endpoint: shows it.
            block: the final block there.
            final: gives the final block of another endpoint.

        Returns:
            the block, or an earlier one if another endpoint shows no later one as final: both
            have that.
        """
        agreed = block

        def show(other: Endpoint) -> Block | None:
            nonlocal agreed
            theirs = final(other)
            if theirs.number >= block.number:
                return find_block(other, block.number)
            agreed = theirs
            return block if find_block(endpoint, theirs.number) == theirs else theirs

        self._look(
            endpoint,
            block.hash,
            f"block {block.number}",
            block,
            show,
            block.number,
            lambda: self._prove_block(endpoint, block),
        )
        if agreed is not block:
            with self._lock.held():
                self._believed.pop(block.hash, None)
        return agreed

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
    ) -> None:
        if self._mode == "off":
            return
        believed = None if key is None else self._believed.get(key)
        if believed == shown:
            return
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
            except _Unavailable as exc:
                reasons.append(str(exc))
            else:
                self._believe(key, shown, kind)
                return
        if believed is not None:
            raise _contradiction(endpoint, f"{what} was another one before")
        if reasons and self._mode != "auto":
            raise LedgerUnavailable(
                f"{endpoint.shown} shows {what}, and there is no second look at it: "
                f"{reasons[0]}; ledger.second_look is {self._mode}"
            )
        if prove is not None:
            self._warn_once(endpoint, reasons)
            self._believe(key, shown, "none")

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
                self._believed[key] = shown
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
        self._endpoints.saw(endpoint, max(block_number, self._endpoints.seen()))
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
                raise _Unavailable("no other endpoint can be asked")
            if time.monotonic() > deadline:
                raise LedgerUnavailable(
                    f"{endpoint.shown} shows {what}, and {behind.shown} does not, or not yet"
                )
            time.sleep(_POLL_S)

    def _prove_receipt(self, endpoint: Endpoint, receipt: Receipt) -> None:
        state_root = self._prove_header(endpoint, receipt.block_number, receipt.block_hash)
        transaction = _ask(endpoint, "eth_getTransactionByHash", to_hex(receipt.tx_hash))
        try:
            sender, nonce = sender_and_nonce(transaction, receipt.tx_hash)
        except (InvalidInput, MalformedReply) as exc:
            raise _contradiction(endpoint, str(exc)) from exc
        found = self._prove_nonce(endpoint, state_root, sender, receipt.block_number)
        if found <= nonce:
            raise _contradiction(
                endpoint,
                f"by its proof the sender has used {found} nonces, but the transaction has {nonce}",
            )

    def _prove_block(self, endpoint: Endpoint, block: Block) -> None:
        self._prove_header(endpoint, block.number, block.hash)

    def _prove_header(self, endpoint: Endpoint, number: int, wanted: bytes) -> bytes:
        """The state root of the block with that hash."""
        header = _ask(endpoint, "eth_getBlockByHash", to_hex(wanted), False)
        try:
            if isinstance(header, dict) and header_hash(header) == wanted:
                if to_block(header).number != number:
                    raise _contradiction(endpoint, f"its block {number} has another number")
                return to_bytes(header.get("stateRoot"), "state root", 32)
            newest = _ask(endpoint, "eth_getBlockByNumber", "latest", False)
            if header_hash(newest) == to_block(newest).hash:
                raise _contradiction(endpoint, f"the header of block {number} has another hash")
        except MalformedReply as exc:
            raise _Unavailable(f"{endpoint.shown} shows no whole header: {exc}") from exc
        raise _Unavailable("the hash of this chain's blocks is not that of their headers")

    def _prove_nonce(
        self, endpoint: Endpoint, state_root: bytes, sender: Address, number: int
    ) -> int:
        proof = _ask(endpoint, "eth_getProof", to_hex(sender), [], to_quantity(number))
        try:
            return proved_nonce(state_root, sender, proof)
        except InvalidInput as exc:
            raise _contradiction(endpoint, str(exc)) from exc
        except MalformedReply as exc:
            raise _Unavailable(f"{endpoint.shown} gives no proof: {exc}") from exc


def _ask(endpoint: Endpoint, method: str, *params: object) -> object:
    try:
        return endpoint.read(method, *params)
    except ReadRefused as exc:
        raise _Unavailable(f"{endpoint.shown} refuses {method}: {exc.verdict.text}") from exc


def _contradiction(endpoint: Endpoint, text: str) -> LedgerUnavailable:
    return LedgerUnavailable(f"{endpoint.shown} contradicts itself, and is not believed: {text}")


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
