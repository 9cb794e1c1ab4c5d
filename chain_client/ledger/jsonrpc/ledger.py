"""A chain behind one or more JSON-RPC endpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from chain_client.clock import Clock, SystemClock
from chain_client.errors import CallReverted, InvalidInput, LedgerUnavailable, TransactionRejected
from chain_client.ledger.base import Block, BlockTag, Call, EventRecord, Fees, Receipt
from chain_client.ledger.expected import ExpectedChain
from chain_client.ledger.jsonrpc.address import EndpointAddress
from chain_client.ledger.jsonrpc.endpoint import (
    Endpoint,
    EndpointFailed,
    ReadRefused,
    SendRefused,
)
from chain_client.ledger.jsonrpc.endpoints import Endpoints
from chain_client.ledger.jsonrpc.event_ranges import EventRanges
from chain_client.ledger.jsonrpc.fees import read_fees
from chain_client.ledger.jsonrpc.finality import Finality, find_block
from chain_client.ledger.jsonrpc.lateness import find_late
from chain_client.ledger.jsonrpc.second_look import Mode, SecondLook
from chain_client.ledger.jsonrpc.values import (
    MalformedReply,
    to_block,
    to_bytes,
    to_call,
    to_int,
    to_quantity,
    to_receipt,
    to_small,
)
from chain_client.signing import decode_transaction
from chain_client.signing.keccak import keccak256
from chain_client.types import Address, Digest, TxHash, to_hex

T = TypeVar("T")

_OWN_REASONS = frozenset({"other", "insufficient_funds", "wrong_chain"})
"""A refusal that may be one endpoint's only: it takes no transactions, bars a sender, or lags."""


class JsonRpcLedger:
    """A connection to a chain by its endpoints; see `Ledger` for the contract of each method.

    Guarantee: nothing is sent to, and nothing but what tells it is asked of, an endpoint of
    another chain or without our contracts. In a call, a transaction is handed to one endpoint, and
    to the next only if that one refused it, or certainly did not get it.
    Threads and forked children may share an instance.

    Args:
        addresses: of the endpoints, the preferred one first.
        expected: what each of them must be.
        timeout_s: how long one request waits for one endpoint.
        finality: which blocks are final.
        second_look: the setting `ledger.second_look`.
        clock: for rest periods.
    """

    def __init__(
        self,
        addresses: Sequence[EndpointAddress],
        *,
        expected: ExpectedChain | None = None,
        timeout_s: float = 10,
        finality: Finality | None = None,
        second_look: Mode = "auto",
        clock: Clock | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self.endpoints = Endpoints(
            [Endpoint(address, timeout_s=timeout_s, clock=clock) for address in addresses],
            expected,
            clock,
        )
        self.finality = finality or Finality(None)
        self.second_look = SecondLook(self.endpoints, second_look)
        self.url = self.endpoints.shown
        self._events = EventRanges()

    def __repr__(self) -> str:
        return f"JsonRpcLedger({self.url!r})"

    def chain_id(self) -> int:
        return self.endpoints.using(self.endpoints.check_chain_id)

    def block(self, at: BlockTag | int = "latest") -> Block:
        if at == "finalized":
            return self.endpoints.using(self._finalized)
        if at == "latest":
            return self.endpoints.using(self._latest)
        number = at
        self._see_that_it_exists(number)

        def read(endpoint: Endpoint) -> Block:
            found = find_block(endpoint, number)
            if found is None:
                raise self.endpoints.lacks(endpoint, number)
            return found

        return self.endpoints.using(read)

    def code(self, address: Address) -> bytes:
        return self._read(to_bytes, "eth_getCode", to_hex(address), "latest")

    def balance_wei(self, address: Address) -> int:
        return self._read(to_int, "eth_getBalance", to_hex(address), "latest")

    def nonce(self, address: Address, at: BlockTag = "latest") -> int:
        def ask(endpoint: Endpoint, where: str) -> int:
            return to_small(endpoint.read("eth_getTransactionCount", to_hex(address), where))

        def read_final(endpoint: Endpoint) -> int:
            block = self._finalized(endpoint)
            where = to_quantity(block.number)
            found = ask(endpoint, where)
            self.second_look.at_final_nonce(
                endpoint, address, block, found, lambda other: ask(other, where)
            )
            return found

        if at == "finalized":
            return self.endpoints.using(read_final)
        return self.endpoints.using(lambda endpoint: ask(endpoint, "latest"))

    def fees(self) -> Fees:
        return self.endpoints.using(read_fees)

    def estimate_gas(self, call: Call, sender: Address) -> int:
        def read(endpoint: Endpoint) -> int:
            return to_small(_run(endpoint, "eth_estimateGas", to_call(call, sender)))

        return self.endpoints.using(read)

    def call(
        self, call: Call, at: BlockTag | int = "latest", sender: Address | None = None
    ) -> bytes:
        question = to_call(call, sender)

        def ask(endpoint: Endpoint, where: str) -> bytes:
            return to_bytes(_run(endpoint, "eth_call", question, where))

        if at == "latest":
            return self.endpoints.using(lambda endpoint: ask(endpoint, "latest"))
        if at == "finalized":
            return self.endpoints.using(lambda endpoint: self._final_view(endpoint, ask))
        number = at
        self._see_that_it_exists(number)

        def ask_there(endpoint: Endpoint) -> bytes:
            try:
                return ask(endpoint, to_quantity(number))
            except ReadRefused as exc:
                if exc.verdict.kind == "block_missing":
                    raise self.endpoints.lacks(endpoint, number) from exc
                raise

        return self.endpoints.using(ask_there)

    def send(self, raw: bytes) -> TxHash:
        tx_hash, chain_id = _examine(raw)
        refusals: list[TransactionRejected] = []

        def hand_over(endpoint: Endpoint) -> TxHash:
            try:
                found = self.endpoints.asking(endpoint, self.endpoints.check_chain_id)
            except EndpointFailed as exc:
                exc.reached = False  # the transaction was not sent yet
                raise
            if found != chain_id:
                text = f"the transaction is signed for chain {chain_id}, this is chain {found}"
                raise TransactionRejected("wrong_chain", text)
            try:
                answer = endpoint.send(raw)
            except SendRefused as exc:
                error = exc.verdict.to_error(endpoint.shown)
                if isinstance(error, TransactionRejected) and _knows(endpoint, tx_hash):
                    return tx_hash  # such as `nonce too low` of bytes that are in a block
                if isinstance(error, TransactionRejected) and error.reason in _OWN_REASONS:
                    refusals.append(error)
                    raise EndpointFailed(str(error), reached=False) from exc
                if error is not None:
                    raise error from exc
                return tx_hash
            if to_bytes(answer, "transaction hash") != tx_hash:
                raise MalformedReply("it took another transaction than the one it was given")
            return tx_hash

        try:
            return self.endpoints.using(hand_over, again=False)
        except EndpointFailed:
            raise  # one may have it
        except LedgerUnavailable:
            if not refusals:
                raise
        raise refusals[0]

    def receipt(self, tx_hash: TxHash) -> Receipt | None:
        def read(endpoint: Endpoint) -> Receipt | None:
            found = to_receipt(endpoint.read("eth_getTransactionReceipt", to_hex(tx_hash)), tx_hash)
            if found is not None:
                self.second_look.at_receipt(endpoint, found)
            return found

        return self.endpoints.using(read)

    def events(
        self, address: Address, topics: tuple[Digest | None, ...], from_block: int, to_block: int
    ) -> list[EventRecord]:
        if from_block > to_block:
            return []
        if to_block > self.endpoints.seen():
            to_block = min(to_block, self.block().number)  # some nodes refuse later ones
        return self._events.read(
            self.endpoints.using, address, topics, max(from_block, 0), to_block
        )

    def late_endpoints(self) -> list[str]:
        """Endpoints that are far behind another one, in words; asks each of them."""
        return find_late(self.endpoints)

    def close(self) -> None:
        self.endpoints.close()

    def _read(self, convert: Callable[[Any], T], method: str, *params: Any) -> T:
        """An answer that makes sense, of whichever endpoint gives one."""
        return self.endpoints.using(lambda endpoint: convert(endpoint.read(method, *params)))

    def _latest(self, endpoint: Endpoint) -> Block:
        block = to_block(endpoint.read("eth_getBlockByNumber", "latest", False))
        self.endpoints.saw(endpoint, block.number)
        return block

    def _finalized(self, endpoint: Endpoint) -> Block:
        block, is_confirmed = self.second_look.at_final_block(
            endpoint, self.finality.block(endpoint), self.finality.block
        )
        if is_confirmed:
            self.endpoints.heights.confirmed(block.number)
        return self.finality.believe(block, is_confirmed=is_confirmed)

    def _final_view(self, endpoint: Endpoint, ask: Callable[[Endpoint, str], bytes]) -> bytes:
        number = self._finalized(endpoint).number
        where = to_quantity(number)
        result = ask(endpoint, where)
        self.second_look.at_final_view(endpoint, number, result, lambda other: ask(other, where))
        return result

    def _see_that_it_exists(self, number: int) -> None:
        if number > self.endpoints.seen():
            newest = self.block().number
            if number > newest:
                raise InvalidInput(f"the chain has no block {number} yet; the newest is {newest}")


def _examine(raw: bytes) -> tuple[TxHash, int]:
    """A transaction's hash, and the chain it is signed for."""
    try:
        fields = decode_transaction(raw)
    except InvalidInput as exc:
        raise TransactionRejected("other", f"the transaction can't be sent: {exc}") from exc
    return TxHash(keccak256(raw)), fields.chain_id


def _run(endpoint: Endpoint, method: str, question: dict[str, str], *where: str) -> Any:
    """Let an endpoint run a call."""
    try:
        return endpoint.read(method, question, *where)
    except ReadRefused as exc:
        verdict = exc.verdict
        if verdict.kind == "reverted":
            raise CallReverted(verdict.revert_data) from exc
        if verdict.kind == "insufficient_funds":
            text = f"{endpoint.shown} says {verdict.text}"
            raise TransactionRejected("insufficient_funds", text) from exc
        raise


def _knows(endpoint: Endpoint, tx_hash: TxHash) -> bool:
    """Whether a node that refused a transaction has it all the same."""
    try:
        found = endpoint.read("eth_getTransactionByHash", to_hex(tx_hash))
    except ReadRefused:
        return False
    return isinstance(found, dict) and found.get("hash") == to_hex(tx_hash)
