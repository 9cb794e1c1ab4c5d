"""From log to chain: the log's head is put into the `EventLog` contract."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from chain_client.errors import ContractReverted
from chain_client.head_check import read_checked_head
from chain_client.ledger.event_log import EventLogContract, Head
from chain_client.log import EntryStatus, Lease, Log
from chain_client.steps import step
from chain_client.transactions import TransactionQueue
from chain_client.types import LogId, to_hex

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Anchored:
    """A head that was put on chain."""

    size: int
    entries: int
    gas_used: int
    block_number: int


class Anchorer:
    """Puts new heads of one log on chain, one after the other.

    Guarantee: it never sends a head that does not extend the chain's own; a head that is
    already there is success; whatever a dead relay sent is settled first.

    Args:
        log: the local log.
        contract: the deployed `EventLog`.
        log_id: the log's id on chain.
        queue: sends with the log writer's key.
        max_batch: most entries one anchor adds.
    """

    def __init__(
        self,
        log: Log,
        contract: EventLogContract,
        log_id: LogId,
        queue: TransactionQueue,
        max_batch: int,
    ) -> None:
        self._log = log
        self._contract = contract
        self._log_id = log_id
        self._queue = queue
        self._max_batch = max_batch
        self._resumed = False

    def resume(self, lease: Lease) -> None:
        """Settle what an earlier relay sent, and take over the chain's head.

        Raises:
            LogMismatch: or a child of it, as `check_head`.
            LedgerUnavailable: the chain does not answer; call again later.
        """
        self._queue.resume()
        head = read_checked_head(self._log, self._contract, self._log_id)
        self._take_over(head, lease)
        self._resumed = True

    def anchor_next(self, lease: Lease) -> Anchored | None:
        """Anchor the next entries, up to the batch size.

        Returns:
            what was anchored, or None if the chain's head is the log's.

        Raises:
            LogMismatch: or a child of it, as `check_head`.
            ContractReverted: the contract refused, such as ``NotWriter``.
            LedgerUnavailable: the chain does not answer; call again later.
        """
        if not self._resumed:
            self.resume(lease)
        head = read_checked_head(self._log, self._contract, self._log_id)
        size = self._log.size()
        if size == head.size:
            self.finalise(lease)
            return None
        size = min(size, head.size + self._max_batch)
        root = self._log.root(size)
        proof = self._log.consistency_proof(head.size, size) if head.size else []
        self._log.add_head(size, root, lease)
        step("anchor.head.chosen")
        call = self._contract.anchor_call(self._log_id, size, root, proof)
        try:
            number = self._queue.submit(call, f"anchor:{to_hex(self._log_id)}:{size}")
            self._log.set_head_status(size, EntryStatus.BROADCAST, lease, transaction_id=number)
            settled = self._queue.settle(number)
        except ContractReverted:
            # A relay that died may have anchored this very head: then the chain shows it.
            now = self._contract.head(self._log_id)
            if (now.size, now.root) != (size, root):
                raise
            self._take_over(now, lease)
            return None
        receipt = settled.receipt
        self._log.set_head_status(
            size,
            EntryStatus.INCLUDED,
            lease,
            block_number=receipt.block_number,
            block_hash=receipt.block_hash,
        )
        step("anchor.head.included")
        self.finalise(lease)
        return Anchored(size, size - head.size, receipt.gas_used, receipt.block_number)

    def finalise(self, lease: Lease) -> None:
        """Mark transactions and heads final whose block is final and still holds them.

        Raises:
            LedgerUnavailable: the chain does not answer; call again later.
        """
        self._queue.watch()
        included = self._log.latest_head(EntryStatus.INCLUDED)
        if included is None:
            return
        final = self._contract.head(self._log_id, at="finalized")
        if final.size >= included.size:
            self._log.set_head_status(included.size, EntryStatus.FINALIZED, lease)
            step("anchor.head.finalized")

    def _take_over(self, head: Head, lease: Lease) -> None:
        if not head.size:
            return
        known = self._log.latest_head(EntryStatus.FINALIZED)
        if known is not None and known.size == head.size:
            return
        self._log.add_head(head.size, head.root, lease)
        self._log.set_head_status(
            head.size, EntryStatus.INCLUDED, lease, block_number=head.block_number
        )
        self.finalise(lease)
