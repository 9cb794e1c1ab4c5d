"""Reorg watch: what is included is looked at until it is final."""

from __future__ import annotations

from chain_client.errors import InvalidInput
from chain_client.ledger.base import Ledger
from chain_client.transactions.delivery import Delivery
from chain_client.transactions.model import StoredTransaction
from chain_client.transactions.state import SETTLED_FOR_GOOD, UNSETTLED, TransactionStatus
from chain_client.transactions.store import TransactionStore

_OPEN = frozenset(TransactionStatus) - SETTLED_FOR_GOOD


class ReorgWatch:
    """Watches the rows of one sender.

    Args:
        ledger: the chain.
        store: the sender's rows.
        delivery: sends again what vanished, with an alarm, which ends when all that the reorg may
            have touched is final.
    """

    def __init__(self, ledger: Ledger, store: TransactionStore, delivery: Delivery) -> None:
        self._ledger = ledger
        self._store = store
        self._delivery = delivery
        self._is_first = True

    def look(self) -> list[StoredTransaction]:
        """Look once at everything that is included and not final.

        The block of the newest row stands for all before it: a nonce has no receipt without the
        nonces below it. So a long row of blocks that are not final costs two questions.

        Returns:
            the rows whose status changed.
        """
        rows = self._store.with_status({TransactionStatus.INCLUDED})
        if rows and self._is_unmoved(rows[-1]):
            final = self._ledger.block("finalized").number
            rows = [row for row in rows if (row.block_number or 0) <= final]
        changed = []
        for row in [*self._passed(), *rows]:
            self._delivery.advance(row)
            now = self._store.find(row.id)  # a filler may be forgotten
            if now is not None and now.status is not row.status:
                changed.append(now)
        self._end_alarm()
        return changed

    def _passed(self) -> list[StoredTransaction]:
        """What is on its way with a nonce below one that was on chain, so that it is there too."""
        on_chain = [n for n, status in self._store.nonces() if status in SETTLED_FOR_GOOD]
        on_chain += [row.nonce for row in self._store.with_status({TransactionStatus.INCLUDED})]
        if not on_chain:
            return []
        return self._store.with_status(UNSETTLED, up_to_nonce=max(on_chain) - 1)

    def _is_unmoved(self, row: StoredTransaction) -> bool:
        assert row.block_number is not None
        try:
            return self._ledger.block(row.block_number).hash == row.block_hash
        except InvalidInput:  # the chain, or the node that answers, has not so many blocks
            return False

    def _end_alarm(self) -> None:
        nonces = [row.nonce for row in self._store.with_status(_OPEN)]
        if self._is_first:  # an earlier process may have seen a reorg of any of them
            self._delivery.touched_nonce = max([self._delivery.touched_nonce, *nonces])
            self._is_first = False
        if not nonces or nonces[0] > self._delivery.touched_nonce:
            self._delivery.end_reorg()
