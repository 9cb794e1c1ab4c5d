"""What other keys sent, seen through to the end: a command ends before its block is final."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from chain_client.clock import Clock
from chain_client.errors import AnotherRelay, ChainError, ConfigurationError
from chain_client.ledger.base import Ledger
from chain_client.log import Lease, Log
from chain_client.relay.background import Background
from chain_client.signing import decode_transaction
from chain_client.transactions import (
    TransactionLimits,
    TransactionQueue,
    TransactionStatus,
    key_lease_name,
    list_transactions,
)
from chain_client.types import Address, to_hex

_logger = logging.getLogger(__name__)

_EVERY_S = 15.0
_LEASE_S = 60.0
_STOP_S = 10.0
_NEVER_S = 1e9
_MOST_ROWS = 1_000
_LIVING = frozenset(
    {TransactionStatus.SIGNED, TransactionStatus.BROADCAST, TransactionStatus.INCLUDED}
)


class _NoKey:
    """Stands for a key that is elsewhere: known by its address, it signs nothing."""

    def __init__(self, known: Address) -> None:
        self.uri = "none:"
        self._known = known

    def address(self) -> Address:
        return self._known

    def sign_hash(self, digest: bytes) -> tuple[int, int, int]:
        raise ConfigurationError(
            f"the relay signs nothing for the key {to_hex(self._known)}; whoever has it can raise "
            "what it offers: mlops-chain tx retry"
        )


@dataclass(slots=True)
class _Watched:
    """A sender whose transactions are looked at, and the lease of the look under way."""

    queue: TransactionQueue | None = None
    lease: Lease | None = None

    def get(self) -> Lease:
        if self.lease is None:
            raise AnotherRelay("the key is not held")
        return self.lease


class OtherSenders:
    """Watches what was sent with other keys than the log writer's until it is final.

    Guarantee: a transaction that a reorg took, or that no block has yet, is sent again as it was
    signed; nothing is ever signed here. A key that somebody works with is left to them.

    Args:
        log: keeps the transactions and the keys' leases.
        ledger: the chain.
        chain_id: the chain's; what is meant for another chain is none of ours.
        writer: address of the log writer, whose transactions the anchoring sees to.
        clock: time.
    """

    def __init__(
        self, log: Log, ledger: Ledger, chain_id: int, writer: Address, clock: Clock
    ) -> None:
        self._log = log
        self._ledger = ledger
        self._chain_id = chain_id
        self._writer = writer
        self._clock = clock
        self._next_us = 0
        self._queues: dict[Address, _Watched] = {}
        self._failures: set[type[Exception]] = set()
        self._background: Background[None] = Background("mlops-chain other senders")

    def turn(self, lease: Lease) -> None:
        """Look if a look is due; never raises.

        Args:
            lease: the relay's, under whose name a key is held for as long as a look takes.
        """
        if self._background.is_busy:
            self._background.take()
        elif self._clock.monotonic_us() >= self._next_us:
            self._next_us = self._clock.monotonic_us() + round(_EVERY_S * 1e6)
            self._background.start(lambda: self._look(lease.holder))

    def is_busy(self, wait_s: float = 0) -> bool:
        """Whether a look is under way, also after ``wait_s``."""
        self._background.take(wait_s)
        return self._background.is_busy

    def stop(self) -> None:
        """End after the look that is under way; one that hangs is left behind."""
        self._background.join(_STOP_S)

    def _look(self, holder: str) -> None:
        try:
            for sender in self._senders():
                self._look_at(sender, holder)
        except ChainError as exc:
            _logger.info("what other keys sent was not looked at: %s", exc)
        except Exception as exc:
            self._failed(exc)

    def _failed(self, exc: Exception) -> None:
        """Log a fault once; the next look tries again."""
        if type(exc) not in self._failures:
            self._failures.add(type(exc))
            _logger.exception("what other keys sent was not looked at")

    def _senders(self) -> list[Address]:
        rows = list_transactions(self._log.engine, open_only=True, limit=_MOST_ROWS)
        living = [row for row in rows if row.status in _LIVING and row.sender != self._writer]
        ours = {
            row.sender for row in living if decode_transaction(row.raw).chain_id == self._chain_id
        }
        return sorted(ours)

    def _look_at(self, sender: Address, holder: str) -> None:
        try:
            lease = self._log.acquire_lease(key_lease_name(sender), holder, _LEASE_S)
        except AnotherRelay:
            return  # whoever works with the key sees to it
        watched = self._queues.setdefault(sender, _Watched())
        watched.lease = lease
        try:
            if watched.queue is None:
                watched.queue = self._open(sender, watched.get)
            watched.queue.watch()
            for row in watched.queue.pending():
                if row.status in _LIVING and row.status is not TransactionStatus.INCLUDED:
                    watched.queue.settle(row.id, timeout_s=0)
        except ChainError as exc:
            _logger.info("what the key %s sent is not final yet: %s", to_hex(sender), exc)
        except Exception as exc:
            self._failed(exc)
        finally:
            self._log.release(lease)

    def _open(self, sender: Address, lease: Callable[[], Lease]) -> TransactionQueue:
        return TransactionQueue(
            self._log.engine,
            self._ledger,
            _NoKey(sender),
            lease=lease,
            chain_id=self._chain_id,
            clock=self._clock,
            alarm=self._log.raise_alarm,
            clear_alarm=self._log.clear_alarm,
            limits=TransactionLimits(bump_after_s=_NEVER_S),
        )
