"""What the chain shows of a stored transaction now. Nothing here writes or sends."""

from __future__ import annotations

from chain_client.clock import Clock
from chain_client.errors import InvalidInput, LedgerUnavailable
from chain_client.ledger.base import Ledger, Receipt
from chain_client.transactions.issuing import FILLER
from chain_client.transactions.model import AttemptKind, StoredTransaction
from chain_client.transactions.state import (
    SETTLED_FOR_GOOD,
    Included,
    Missing,
    TransactionStatus,
    is_replacement_due,
)
from chain_client.transactions.store import TransactionStore
from chain_client.types import TxHash


class Lookout:
    """Looks at rows of one sender.

    Args:
        ledger: the chain.
        store: the sender's rows.
        clock: for what is due.
        resend_us: bytes that are missing for so long are sent again.
        replace_us: bytes that no block takes for so long are replaced.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: TransactionStore,
        clock: Clock,
        resend_us: int,
        replace_us: int,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._clock = clock
        self._resend_us = resend_us
        self._replace_us = replace_us
        self._sent_us: dict[TxHash, int] = {}
        self._missed: dict[TxHash, tuple[int, int]] = {}
        """When an attempt was first found missing, and the newest block then."""
        self._capped_us: dict[TxHash, int] = {}
        self._used: dict[int, tuple[bool, int]] = {}
        """Whether a row's nonce was used without it, and since when every look said so."""
        self._gap: tuple[int, int] | None = None
        """A nonce that nobody has, and when it was first found so."""

    def note_sent(self, row: StoredTransaction) -> None:
        """Its bytes are handed over now: a while passes before they are again."""
        self._sent_us[row.tx_hash] = self._clock.monotonic_us()

    def note_capped(self, row: StoredTransaction) -> None:
        """It could not be replaced: a while passes before that is tried again."""
        self._capped_us[row.tx_hash] = self._clock.monotonic_us()

    def forget(self, row: StoredTransaction) -> None:
        """Its bytes may be sent at once, whenever they were before."""
        self._sent_us.pop(row.tx_hash, None)
        self._missed.pop(row.tx_hash, None)

    def is_lasting_gap(self, nonce: int) -> bool:
        """Whether a nonce is missing for a while, and not only in a node that lags behind."""
        now_us = self._clock.monotonic_us()
        if self._gap is None or self._gap[0] != nonce:
            self._gap = nonce, now_us
        return now_us - self._gap[1] >= self._resend_us

    def look_up(
        self, row: StoredTransaction, *, replace_due: bool = False
    ) -> tuple[Included | Missing, Receipt | None]:
        """What became of a row, by the sender's nonce and the receipts of all its attempts.

        Args:
            row: the row.
            replace_due: if no block holds it, it is time to offer more.

        Raises:
            LedgerUnavailable: the chain does not answer, or shows less than was final.
        """
        receipt = self._ledger.receipt(row.tx_hash)
        if receipt is not None:
            return self._included(row, receipt, row.is_cancel)
        chain_nonce = 0
        for _ in range(2):  # two answers of different nodes must not look like a foreign one
            chain_nonce = self._ledger.nonce(row.sender)
            if chain_nonce <= row.nonce:
                break
            for attempt in reversed(self._store.attempts(row.id)):
                receipt = self._ledger.receipt(attempt.tx_hash)
                if receipt is not None:
                    return self._included(row, receipt, attempt.kind is AttemptKind.CANCEL)
        return self._missing(row, chain_nonce, replace_due), None

    def _included(
        self, row: StoredTransaction, receipt: Receipt, is_cancel: bool
    ) -> tuple[Included, Receipt]:
        self.forget(row)
        self._used.pop(row.id, None)
        final = self._is_final(receipt)
        return Included(receipt.succeeded, final=final, is_cancel=is_cancel), receipt

    def _is_final(self, receipt: Receipt) -> bool:
        if self._ledger.block("finalized").number < receipt.block_number:
            return False
        try:
            return self._ledger.block(receipt.block_number).hash == receipt.block_hash
        except InvalidInput:  # another node answered, and lags behind
            return False

    def _missing(self, row: StoredTransaction, chain_nonce: int, replace_due: bool) -> Missing:
        if row.status in SETTLED_FOR_GOOD:
            raise LedgerUnavailable(
                f"the chain shows no receipt of the transaction for {row.purpose!r}, which was "
                f"final in block {row.block_number}: the node lags behind or forgot it, or the "
                "chain was replaced by an older copy"
            )
        now_us = self._clock.monotonic_us()
        sent_us = self._sent_us.get(row.tx_hash)
        missed_us, missed_at = self._first_missed(row, now_us)
        lags = row.status is TransactionStatus.INCLUDED and now_us - missed_us < self._resend_us
        return Missing(
            chain_nonce,
            resend_due=sent_us is None or now_us - sent_us >= self._resend_us,
            replace_due=replace_due or self._is_replace_due(row, chain_nonce, missed_us, missed_at),
            node_lags=lags and self._ledger.block().number < (row.block_number or 0),
            is_filler=row.purpose.startswith(FILLER),
            lasts=self._lasts(row, chain_nonce > row.nonce, now_us),
        )

    def _lasts(self, row: StoredTransaction, is_used: bool, now_us: int) -> bool:
        was_used, since_us = self._used.get(row.id, (None, now_us))
        if was_used is not is_used:
            since_us = now_us
        self._used[row.id] = is_used, since_us
        return now_us - since_us >= self._resend_us

    def _first_missed(self, row: StoredTransaction, now_us: int) -> tuple[int, int]:
        if row.tx_hash not in self._missed:
            self._missed[row.tx_hash] = now_us, self._ledger.block().number
        return self._missed[row.tx_hash]

    def _is_replace_due(
        self, row: StoredTransaction, chain_nonce: int, missed_us: int, missed_at: int
    ) -> bool:
        if chain_nonce != row.nonce:
            return False
        now_us = self._clock.monotonic_us()
        capped_us = self._capped_us.get(row.tx_hash)
        if capped_us is not None and now_us - capped_us < self._resend_us:
            return False
        times = {
            "signed_ago_us": self._clock.time_us() - row.signed_us,
            "seen_ago_us": now_us - missed_us,
            "after_us": self._replace_us,
        }
        if not is_replacement_due(**times, block_made=True):
            return False
        newest = self._ledger.block()
        block_made = newest.number > missed_at or newest.timestamp_s * 1_000_000 > row.signed_us
        return is_replacement_due(**times, block_made=block_made)
