"""From the first chain to the second: what is final on the one is anchored on the other."""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.cross.check import check_cross_head
from chain_client.errors import ChainError, ContractReverted, LogMismatch
from chain_client.head_check import check_head
from chain_client.ledger.event_log import EventLogContract, Head
from chain_client.log import Log
from chain_client.transactions import TransactionQueue
from chain_client.types import LogId, to_hex

PURPOSE = "cross-anchor:"
"""Beginning of the purpose of a transaction that anchors there; log id and size follow."""
_PATIENCE_S = 300.0
"""How long a transaction is waited for; nobody else waits meanwhile."""


class FirstChainTrouble(ChainError):
    """The first chain does not answer, or does not agree with the log; nothing is wrong here."""


@dataclass(frozen=True, slots=True)
class CrossAnchored:
    """A head that was put on the second chain."""

    size: int
    block_number: int
    gas_used: int


@dataclass(frozen=True, slots=True)
class KeptLog:
    """A log in the contract of one chain."""

    contract: EventLogContract
    log_id: LogId


class CrossAnchoring:
    """Brings the head of one chain to another.

    Guarantee: only a head that is final on the first chain and that the log reproduces is sent;
    a head on the second chain that the log can't reproduce is never written over; what an earlier
    process sent is settled first, and goes on from the second chain's own head.

    Args:
        log: the local log.
        first: the log on the first chain.
        second: the log on the second chain.
        queue: sends to the second chain, with its key.
    """

    def __init__(self, log: Log, first: KeptLog, second: KeptLog, queue: TransactionQueue) -> None:
        self._log = log
        self._first = first
        self._second = second
        self._queue = queue
        self._resumed = False

    def is_settled(self) -> bool:
        """Settle what is on its way, and see that log and both chains belong together.

        Returns:
            whether everything that was sent is final.

        Raises:
            FirstChainTrouble: nothing can be said of the first chain now; call again later.
            LogMismatch: or a child of it, as `check_cross_head`.
            LedgerUnavailable: the second chain does not answer; call again later.
            TransactionFailed: or a child of it, as `TransactionQueue.resume`.
        """
        if not self._resumed:
            self._queue.resume(timeout_s=_PATIENCE_S)
            self._resumed = True
        self._queue.watch()
        self._checked_heads()
        return not self._queue.pending()

    def anchor_next(self) -> CrossAnchored | None:
        """Anchor what is final on the first chain; `is_settled` was called before.

        Returns:
            what was anchored, or None if the second chain has it already.

        Raises:
            FirstChainTrouble: as `is_settled`.
            LogMismatch: or a child of it, as `check_cross_head`.
            ContractReverted: the contract refused, such as ``NotWriter``.
            LedgerUnavailable: the second chain does not answer; call again later.
            TransactionFailed: or a child of it, as `TransactionQueue.submit`.
        """
        here, there = self._checked_heads()
        if here.size <= there.size:
            return None
        proof = self._log.consistency_proof(there.size, here.size) if there.size else []
        call = self._second.contract.anchor_call(self._second.log_id, here.size, here.root, proof)
        purpose = f"{PURPOSE}{to_hex(self._second.log_id)}:{here.size}"
        try:
            settled = self._queue.settle(self._queue.submit(call, purpose), timeout_s=_PATIENCE_S)
        except ContractReverted:
            if not self._has_arrived(here):
                raise
            return None
        return CrossAnchored(here.size, settled.receipt.block_number, settled.receipt.gas_used)

    def last_us(self, now_us: int) -> int | None:
        """When an anchor was last signed, as the log remembers it, in µs; None if never.

        Args:
            now_us: what was signed later, by a clock that has been set right since, says nothing.
        """
        signed = (row.created_us for row in self._queue.find(PURPOSE, prefix=True))
        return max((time_us for time_us in signed if time_us <= now_us), default=None)

    def _checked_heads(self) -> tuple[Head, Head]:
        """The first chain's final head and the second chain's head."""
        there = self._second.contract.head(self._second.log_id)
        try:
            here = self._first.contract.head(self._first.log_id, at="finalized")
        except ChainError as exc:
            # The second chain may still show that the log was written anew.
            check_cross_head(self._log, there, None)
            raise FirstChainTrouble(str(exc)) from exc
        check_cross_head(self._log, there, here.size)
        try:
            check_head(self._log, here, None)
        except LogMismatch as exc:
            raise FirstChainTrouble(str(exc)) from exc
        return here, there

    def _has_arrived(self, head: Head) -> bool:
        """Whether another process anchored this head, or a later one that the log reproduces."""
        there = self._second.contract.head(self._second.log_id)
        check_cross_head(self._log, there, None)
        return there.size >= head.size
