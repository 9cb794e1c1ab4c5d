"""What a person does to one transaction by hand: try it again, or cancel it."""

from __future__ import annotations

from chain_client.errors import InvalidInput, TransactionRejected
from chain_client.transactions.model import AttemptKind, StoredTransaction
from chain_client.transactions.opened_queue import OpenedQueue
from chain_client.transactions.state import SETTLED_FOR_GOOD, UNSETTLED, TransactionStatus


class OperatedQueue(OpenedQueue):
    """The part of `TransactionQueue` that a person works with."""

    def retry(self, tx_id: int, *, raise_fees: bool = False) -> StoredTransaction:
        """Look at a transaction now, and hand it to the chain again if no block holds it.

        So it comes back too if it was final and is gone: the chain replaced more blocks than
        ``ledger.finality`` foresaw.

        Args:
            tx_id: its row.
            raise_fees: replace it by one that offers more, without waiting until that is due.

        Returns:
            the row as it is now.

        Raises:
            TransactionRejected: the chain refuses it, or the fees are at the cap.
            LedgerUnavailable: the chain does not answer.
            ForeignNonce: another transaction has its nonce; the key is stopped.
            AnotherRelay: the key's lease is lost.
            LogUnavailable: the database does not answer.
            InvalidInput: no such transaction.
        """
        opened, row = self._open(), self.get(tx_id)
        if row.status in SETTLED_FOR_GOOD:
            if self._is_on_chain(row):
                return row
            row = opened.store.set_status(row.id, TransactionStatus.BROADCAST, None)
        opened.delivery.advance(row, send_now=True, replace_now=raise_fees)
        now = self.get(tx_id)
        if raise_fees and now.status in UNSETTLED and now.attempts == row.attempts:
            raise _capped(row)
        return now

    def _is_on_chain(self, row: StoredTransaction) -> bool:
        if self._ledger.nonce(row.sender) > row.nonce:
            return True
        return self._ledger.receipt(row.tx_hash) is not None

    def cancel(self, tx_id: int) -> StoredTransaction:
        """Let a transfer of nothing from the key to itself take a transaction's nonce.

        Whichever of the two a block takes settles it; `settle` tells which. Until that is final,
        nothing new is signed for its purpose.

        Returns:
            the row as it is now.

        Raises:
            InvalidInput: no such transaction, or a block holds it already.
            ForeignNonce: another transaction has its nonce; the key is stopped.
            TransactionRejected: the chain refuses the transfer, or the fees are at the cap.
            LedgerUnavailable: the chain does not answer; the transfer may be stored.
            AnotherRelay: the key's lease is lost.
            LogUnavailable: the database does not answer.
        """
        opened, row = self._open(), self.get(tx_id)
        if row.status in UNSETTLED:
            opened.delivery.look(row)  # not `advance`: what is to be cancelled is not sent again
            row = self.get(tx_id)
        if row.status not in UNSETTLED:
            raise InvalidInput(
                f"transaction {tx_id} for {row.purpose!r} is {row.status}: only what no block "
                "holds can be cancelled"
            )
        if not row.is_cancel:
            better = opened.issuer.replace(row, AttemptKind.CANCEL)
            if better is None:
                raise _capped(row)
            row = better
        opened.delivery.advance(row, send_now=True)
        return self.get(tx_id)


def _capped(row: StoredTransaction) -> TransactionRejected:
    return TransactionRejected(
        "fee_too_low",
        f"the transaction for {row.purpose!r} can't be replaced now: it offers {row.max_fee_wei} "
        "wei for a unit of gas already, and transactions.max_fee_gwei leaves no room for more, or "
        "an earlier one of its key is not on chain yet",
    )
