"""Sending what governance decides: one key at a time, under its lease, through the queue."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection

from chain_client.clock import Clock, SystemClock
from chain_client.errors import AnotherRelay, CallReverted, ContractReverted
from chain_client.ledger.base import Call, Ledger
from chain_client.log import Lease, Log
from chain_client.log.holders import is_gone, this_process
from chain_client.signing import Signer
from chain_client.signing.keccak import keccak256
from chain_client.transactions import (
    SettledTransaction,
    TransactionLimits,
    TransactionQueue,
    key_lease_name,
)
from chain_client.types import to_hex

_logger = logging.getLogger(__name__)

_LEASE_S = 120.0
_POLL_S = 0.1


class Sender:
    """Sends calls with whatever key.

    Guarantee: a call is on chain when `send` returns. Processes that use the same key take turns;
    what one of them left behind is settled by the next.

    Args:
        log: keeps the queue and the leases.
        ledger: the chain.
        chain_id: the only chain anything is sent to.
        clock: for how long is waited.
        patience_s: how long a key that another process uses is waited for.
        limits: of each key; by default a fee cap, and no budget.
        exclusive: URIs of the keys that nothing else sends with; others are people's own.
        wait: called with the seconds between two looks.
    """

    def __init__(
        self,
        log: Log,
        ledger: Ledger,
        chain_id: int,
        *,
        clock: Clock | None = None,
        patience_s: float = 60,
        limits: TransactionLimits | None = None,
        exclusive: Collection[str] = (),
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._log = log
        self._ledger = ledger
        self._chain_id = chain_id
        self._clock = clock or SystemClock()
        self._patience_us = round(patience_s * 1e6)
        self._limits = limits
        self._exclusive = frozenset(exclusive)
        self._wait = wait

    def send(
        self,
        signer: Signer,
        call: Call,
        purpose: str,
        explain: Callable[[CallReverted], ContractReverted],
        *,
        timeout_s: float = 60,
    ) -> SettledTransaction:
        """Send a call and wait until a block holds it.

        Args:
            signer: the key that sends, and pays where gas has a price.
            call: what it does.
            purpose: short stable text; the same one is not sent twice at the same time.
            explain: turns a revert into the contract's own error.
            timeout_s: how long to wait for the block.

        Raises:
            ContractReverted: the contract refuses; nothing was changed.
            LedgerUnavailable: the chain does not answer, or not in time.
            AnotherRelay: another process uses the key all the time.
            ConfigurationError: the key can't be read or unlocked.
            TransactionFailed: or a child of it, as `TransactionQueue.submit`.
        """
        lease = self._acquire(signer)
        try:
            queue = TransactionQueue(
                self._log.engine,
                self._ledger,
                signer,
                lease=lambda: lease,
                chain_id=self._chain_id,
                explain=explain,
                alarm=self._log.raise_alarm,
                clear_alarm=self._log.clear_alarm,
                limits=self._limits,
                is_exclusive=signer.uri in self._exclusive,
            )
            settled = queue.settle(queue.submit(call, purpose), timeout_s=timeout_s)
            queue.watch()
        finally:
            self._log.release(lease)
        _logger.info("sent %s in block %d", purpose, settled.receipt.block_number)
        return settled

    def _acquire(self, signer: Signer) -> Lease:
        name = key_lease_name(signer.address())
        deadline_us = self._clock.monotonic_us() + self._patience_us
        while True:
            try:
                return self._log.acquire_lease(name, this_process(), _LEASE_S, replace_dead=is_gone)
            except AnotherRelay:
                if self._clock.monotonic_us() >= deadline_us:
                    raise
            self._wait(_POLL_S)


def purpose_of(action: str, call: Call) -> str:
    """What a transaction is for, such as ``registry:promote:0x…``: the same for the same call."""
    return f"registry:{action}:{to_hex(keccak256((call.to or b'') + call.data))}"
