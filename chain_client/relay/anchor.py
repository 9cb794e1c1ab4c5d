"""From log to chain: the log's head is put into the `EventLog` contract."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from chain_client.clock import Clock, SystemClock
from chain_client.errors import (
    ContractReverted,
    InvalidInput,
    LogMismatch,
    NotOnChainYet,
    TransactionCancelled,
)
from chain_client.head_check import read_checked_head
from chain_client.ledger.event_log import EventLogContract, Head
from chain_client.log import EntryStatus, Lease, Log, LogHead
from chain_client.relay.head_fates import Fate, decide_fate
from chain_client.relay.held_lease import HeldLease
from chain_client.relay.pace import choose_size
from chain_client.steps import step
from chain_client.transactions import StoredTransaction, TransactionQueue, TransactionStatus
from chain_client.transactions.state import UNSETTLED
from chain_client.types import Address, Digest, LogId, to_hex

_logger = logging.getLogger(__name__)

_ON_ITS_WAY = UNSETTLED | {TransactionStatus.REPLACED}


_SLOW_S = 60.0
"""A head that is on its way for so long is trouble with the chain."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """A head that was put on chain; if several were at once, the greatest, and all of their gas."""

    size: int
    entries: int
    gas_used: int
    block_number: int


class Anchorer:
    """Puts new heads of one log on chain, one after the other.

    Guarantee: it never sends a head that does not extend the chain's own; a head that is
    already there is success; whatever a dead relay sent is settled first; a head whose block
    vanished is on its way again, by the same bytes. No method waits for a block.

    Args:
        log: the local log.
        contract: the deployed `EventLog`.
        log_id: the log's id on chain.
        queue: sends with the log writer's key.
        max_batch: most entries one anchor adds; see `chain_client.relay.pace.choose_size`.
        catch_up_batch: the same while more waits than that.
        key: the lease of the queue's key, kept as long as this object is used.
        clock: tells when a head is on its way for too long.
    """

    def __init__(
        self,
        log: Log,
        contract: EventLogContract,
        log_id: LogId,
        queue: TransactionQueue,
        max_batch: int,
        catch_up_batch: int = 0,
        key: HeldLease | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._log = log
        self._contract = contract
        self._log_id = log_id
        self._queue = queue
        self._max_batch = max_batch
        self._catch_up = catch_up_batch
        self._key = key
        self._prefix = f"anchor:{to_hex(log_id)}:"
        self._clock = clock or SystemClock()
        self._resumed = False
        self._waits_since_us: int | None = None
        self.sent_size = 0
        """Entries under the greatest head that is on chain or on its way, as last seen."""
        self.is_on_its_way = False
        """Whether a head was sent and is not on chain, as last seen."""

    @property
    def writer(self) -> Address:
        """Address of the key that it sends with."""
        return self._queue.sender

    def keep(self) -> None:
        """Renew the key's lease, when it is time.

        Raises:
            AnotherRelay: it was taken over.
            LogUnavailable: the log's database does not answer.
        """
        if self._key is not None:
            self._key.renew_when_due()

    def close(self) -> None:
        """Let others use the key at once. Never raises."""
        if self._key is not None:
            self._key.give_back()

    def anchor_next(self, lease: Lease) -> Anchored | None:
        """Look what became of what was sent; if nothing is on its way, send the next head.

        Returns:
            what has come on chain, or None if nothing has.

        Raises:
            LogMismatch: or a child of it, as `check_head`.
            ContractReverted: the contract refused, such as ``NotWriter``.
            LedgerUnavailable: the chain does not answer, or takes nothing for long; call again.
        """
        refused = self._advance()
        head = read_checked_head(self._log, self._contract, self._log_id)
        anchored = self._note_fates(head, lease)
        if self.is_on_its_way:
            self.finalise(lease)
            if anchored is None:
                self._check_pace()
            return anchored
        self._waits_since_us = None
        if refused is not None and head.size < self._size_of(refused[0].purpose):
            # Unless another head that covers it is there, as when a dead relay anchored it.
            raise refused[1]
        size = self._log.size()
        if size == head.size:
            self.finalise(lease)
            return anchored
        return self._send(head, size, lease) or anchored

    def finalise(self, lease: Lease) -> None:
        """Mark every included head final that the chain's final head covers.

        Raises:
            LogMismatch: the final head on chain is not the log's.
            LedgerUnavailable: the chain does not answer; call again later.
        """
        unfinal = self._log.unfinal_heads(everywhere=not self._resumed)
        self._resumed = True
        included = [head for head in unfinal if head.status is EntryStatus.INCLUDED]
        if not included:
            return
        final = self._contract.head(self._log_id, at="finalized")
        covered = [head.size for head in included if head.size <= final.size]
        if not covered:
            return
        self._check_final(final)
        self._log.finalise_heads(covered[0], covered[-1], lease)
        step("anchor.head.finalized")

    def _send(self, head: Head, log_size: int, lease: Lease) -> Anchored | None:
        size = choose_size(head.size, log_size, self._max_batch, self._catch_up)
        root = self._log.root(size)
        proof = self._log.consistency_proof(head.size, size) if head.size else []
        self._log.add_head(size, root, lease)
        step("anchor.head.chosen")
        call = self._contract.anchor_call(self._log_id, size, root, proof)
        try:
            number = self._queue.submit(call, f"{self._prefix}{size}")
            self._log.set_head_status(size, EntryStatus.BROADCAST, lease, transaction_id=number)
            self.sent_size, self.is_on_its_way = size, True
            settled = self._queue.settle(number, timeout_s=0)
        except ContractReverted:
            # A relay that died may have anchored this very head: then the chain shows it.
            now = self._contract.head(self._log_id)
            if (now.size, now.root) != (size, root):
                raise
            self._note_fates(now, lease)
            self.finalise(lease)
            return None
        except NotOnChainYet:
            return None
        self.is_on_its_way = False
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

    def _advance(self) -> tuple[StoredTransaction, ContractReverted] | None:
        """Move on what was sent before, without waiting; what the contract refused, if it did."""
        refused = None
        self._queue.watch()
        for row in self._queue.pending():
            if row.status not in _ON_ITS_WAY:
                continue
            try:
                self._queue.settle(row.id, timeout_s=0)
            except NotOnChainYet as exc:
                _logger.debug("on its way: %s", exc)
                break
            except TransactionCancelled as exc:
                _logger.warning("%s", exc)
            except ContractReverted as exc:
                if row.purpose.startswith(self._prefix):
                    refused = row, exc
        return refused

    def _note_fates(self, chain: Head, lease: Lease) -> Anchored | None:
        """Write down what became of each head that was sent; what has come on chain."""
        heads = {head.size: head for head in self._log.unfinal_heads()}
        final = self._log.latest_head(EntryStatus.FINALIZED)
        final_size = final.size if final is not None else 0
        # Also those of a relay that died between storing a transaction and noting it for its head.
        sent = {
            size: row
            for row in self._queue.pending()
            if row.purpose.startswith(self._prefix)
            and (size := self._size_of(row.purpose)) > final_size
        }
        arrived: list[tuple[int, StoredTransaction]] = []
        for size in sorted(heads.keys() | sent.keys()):
            head, row = heads.get(size), sent.get(size)
            if row is None and head is not None:
                row = self._settled_row(head)
            if row is None:
                fate = decide_fate(size, None, chain.size)
            else:
                is_void = row.failed or row.is_cancel
                fate = decide_fate(size, row.status, chain.size, is_void=is_void)
            if self._note(head, size, fate, row, lease) and row is not None:
                arrived.append((size, row))
        if chain.size > final_size and chain.size not in heads and chain.size not in sent:
            # Whoever anchored it, such as a relay whose log was put back since.
            self._log.add_head(chain.size, chain.root, lease)
            self._log.set_head_status(
                chain.size, EntryStatus.INCLUDED, lease, block_number=chain.block_number
            )
        waiting = [size for size, row in sent.items() if row.status in _ON_ITS_WAY]
        self.is_on_its_way = bool(waiting)
        self.sent_size = max([chain.size, *waiting])
        if not arrived:
            return None
        below = [known for known in heads if known < arrived[0][0]]
        size, last = arrived[-1]
        gas_used = sum(row.gas_used or 0 for _, row in arrived)
        entries = size - max([final_size, *below])
        return Anchored(size, entries, gas_used, last.block_number or 0)

    def _note(
        self,
        head: LogHead | None,
        size: int,
        fate: Fate,
        row: StoredTransaction | None,
        lease: Lease,
    ) -> bool:
        """Whether the head has come on chain, and had not before."""
        block = (row.block_number, row.block_hash) if row is not None else (None, None)
        number = row.id if row is not None else None
        known = None if head is None else (head.status, (head.block_number, head.block_hash))
        match fate:
            case Fate.KEEP:
                return False
            case Fate.INCLUDED:
                if known == (EntryStatus.INCLUDED, block):
                    return False
                self._log.set_head_status(
                    size,
                    EntryStatus.INCLUDED,
                    lease,
                    transaction_id=number,
                    block_number=block[0],
                    block_hash=block[1],
                )
                return head is None or head.status is not EntryStatus.INCLUDED
            case Fate.ON_ITS_WAY:
                status = EntryStatus.BROADCAST
            case Fate.GONE:
                status = EntryStatus.SEQUENCED
        if head is None and fate is Fate.GONE:
            return False
        if head is None or head.status is not status:
            if head is not None and head.status is EntryStatus.INCLUDED:
                _logger.warning("the block that held the head of %d entries vanished", size)
            self._log.set_head_status(size, status, lease, transaction_id=number)
        return False

    def _settled_row(self, head: LogHead) -> StoredTransaction | None:
        if head.transaction_id is None:
            return None
        try:
            return self._queue.get(head.transaction_id)
        except InvalidInput:  # of a key that was the writer's before
            return None

    def _check_pace(self) -> None:
        """Tell when a head is on its way for too long, such as one that no node ever takes."""
        now_us = self._clock.monotonic_us()
        if self._waits_since_us is None:
            self._waits_since_us = now_us
        waited_s = (now_us - self._waits_since_us) / 1e6
        if waited_s >= _SLOW_S:
            raise NotOnChainYet(
                f"the head of {self.sent_size} entries was sent {waited_s:.0f} s ago, and is in no "
                "block yet; the same is sent again, with higher fees as far as they may go"
            )

    def _size_of(self, purpose: str) -> int:
        return int(purpose.removeprefix(self._prefix))

    def _check_final(self, final: Head) -> None:
        root: Digest = self._log.root(final.size)
        if root != final.root:
            raise LogMismatch(
                f"the log's root at {final.size} entries is not the final one on chain: entries "
                "were edited, or the node lies. Run: mlops-chain verify",
                {"size": final.size, "root": to_hex(final.root)},
                {"size": final.size, "root": to_hex(root)},
            )
