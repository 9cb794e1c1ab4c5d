"""What one endpoint is and offers, by asking it: for `doctor` and the conformance table."""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.clock import Clock, SystemClock
from chain_client.errors import ConfigurationError, InvalidInput, LedgerUnavailable
from chain_client.ledger.base import Fees
from chain_client.ledger.jsonrpc.endpoint import Endpoint, EndpointFailed, ReadRefused
from chain_client.ledger.jsonrpc.fees import read_fees
from chain_client.ledger.jsonrpc.finality import Finality
from chain_client.ledger.jsonrpc.proof import header_hash, proved_nonce
from chain_client.ledger.jsonrpc.values import (
    MalformedReply,
    to_block,
    to_bytes,
    to_quantity,
    to_small,
)
from chain_client.types import Address, to_hex

ARCHIVE_BLOCKS = 256
"""A node that is no archive keeps the state of fewer blocks (geth and most others: 128)."""
_ANYBODY = Address(bytes(19) + b"\x01")
_TRIES = 3


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """What `probe` found.

    Args:
        shown: the endpoint as ``https://host:port``.
        client: what it calls itself; empty if it does not say.
        chain_id: the chain's id.
        block_number: its newest block.
        latency_s: the shortest of a few small questions.
        final_lag_blocks: how many blocks the final one is behind; None if it names none.
        fees: that will do for the next blocks.
        has_proofs: whether its headers and account proofs lead to its blocks' hashes.
        is_archive: whether it keeps the state of old blocks; None if the chain has no old ones.
        takes_batches: whether it answers several questions in one request.
    """

    shown: str
    client: str
    chain_id: int
    block_number: int
    latency_s: float
    final_lag_blocks: int | None
    fees: Fees
    has_proofs: bool
    is_archive: bool | None
    takes_batches: bool


def probe(
    endpoint: Endpoint, depth: int | None = None, clock: Clock | None = None
) -> EndpointReport:
    """Ask an endpoint what it is; sends nothing.

    Args:
        endpoint: any; it need not be of the expected chain.
        depth: of finality, if it is configured; else the node's tag tells.
        clock: measures the latency.

    Raises:
        LedgerUnavailable: it gives no answer.
    """
    clock = clock or SystemClock()
    try:
        times_us = []
        for _ in range(_TRIES):
            begin_us = clock.monotonic_us()
            chain_id = to_small(endpoint.read("eth_chainId"), "chain id")
            times_us.append(clock.monotonic_us() - begin_us)
        number = to_small(endpoint.read("eth_blockNumber"), "block number")
        return EndpointReport(
            shown=endpoint.shown,
            client=_client(endpoint),
            chain_id=chain_id,
            block_number=number,
            latency_s=min(times_us) / 1e6,
            final_lag_blocks=_final_lag(endpoint, depth, number),
            fees=read_fees(endpoint),
            has_proofs=_has_proofs(endpoint),
            is_archive=_is_archive(endpoint, number),
            takes_batches=endpoint.takes_batches(),
        )
    except MalformedReply as exc:
        raise LedgerUnavailable(f"{endpoint.shown} gave an answer without sense: {exc}") from exc
    except ReadRefused as exc:
        raise LedgerUnavailable(f"{endpoint.shown} refuses: {exc.verdict.text}") from exc


def _client(endpoint: Endpoint) -> str:
    try:
        name = endpoint.read("web3_clientVersion")
    except ReadRefused:
        return ""
    return name[:80] if isinstance(name, str) and name.isprintable() else ""


def _final_lag(endpoint: Endpoint, depth: int | None, number: int) -> int | None:
    try:
        return max(number - Finality(depth).block(endpoint).number, 0)
    except ConfigurationError:
        return None


def _has_proofs(endpoint: Endpoint) -> bool:
    try:
        header = endpoint.read("eth_getBlockByNumber", "latest", False)
        block = to_block(header)
        if header_hash(header) != block.hash:
            return False
        number = to_quantity(block.number)
        proof = endpoint.read("eth_getProof", to_hex(_ANYBODY), [], number)
        proved_nonce(to_bytes(header.get("stateRoot"), "state root", 32), _ANYBODY, proof)
    except (ReadRefused, MalformedReply, InvalidInput):
        return False
    return True


def _is_archive(endpoint: Endpoint, number: int) -> bool | None:
    if number < ARCHIVE_BLOCKS:
        return None
    try:
        endpoint.read("eth_getBalance", to_hex(_ANYBODY), to_quantity(1))
    except (ReadRefused, EndpointFailed):
        return False
    return True
