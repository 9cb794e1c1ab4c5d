"""Brings one stored transaction on chain: sends, looks up, and does what `state` decides."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NoReturn

from chain_client.clock import Clock
from chain_client.errors import ForeignNonce, InvalidInput, LedgerUnavailable, TransactionRejected
from chain_client.ledger.base import Ledger, Receipt
from chain_client.steps import step
from chain_client.transactions.model import StoredTransaction
from chain_client.transactions.state import (
    SETTLED_FOR_GOOD,
    UNSETTLED,
    Action,
    Included,
    Input,
    Missing,
    SendAccepted,
    SendRejected,
    SendUnknown,
    TransactionStatus,
    decide,
)
from chain_client.transactions.store import TransactionStore
from chain_client.types import to_hex

_logger = logging.getLogger(__name__)

_CURES = {
    "insufficient_funds": "send funds to the key's address",
    "fee_too_low": "it goes on when the chain's fees fall",
}


class Delivery:
    """Moves rows of one sender on; never waits.

    Args:
        ledger: the chain.
        store: the sender's rows.
        clock: for what is due.
        resend_us: bytes that are missing for so long are sent again.
        alarm: called with (kind, subject, detail) when a foreign transaction shows up.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: TransactionStore,
        clock: Clock,
        resend_us: int,
        alarm: Callable[[str, str, str], None] | None,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._clock = clock
        self._resend_us = resend_us
        self._alarm = alarm
        self._sent_us: dict[int, int] = {}

    def send_new(self, row: StoredTransaction) -> None:
        """Hand a row to the chain for the first time.

        No reply is no error, as the row is stored.

        Raises:
            TransactionRejected: the chain refuses it; see `advance`.
            AnotherRelay: the key's lease is lost.
            LogUnavailable: the database does not answer.
        """
        seen, refusal = self._send(row)
        row, action = self._decided(row, seen, None)
        if refusal is not None and action in (Action.REPORT, Action.FORGET):
            self._refuse(row, action, refusal)

    def advance(self, row: StoredTransaction) -> Receipt | None:
        """Do what can be done about a row now.

        Returns:
            its receipt, or None if the chain has none yet.

        Raises:
            TransactionRejected: the chain refuses it. It stays stored, unless no chain can ever
                take it: then it is removed and its nonce is free.
            ForeignNonce: another transaction has its nonce.
            LedgerUnavailable: the chain does not answer.
            AnotherRelay: the key's lease is lost.
            LogUnavailable: the database does not answer.
        """
        refusal: TransactionRejected | None = None
        action = Action.LOOK_UP
        while True:
            receipt: Receipt | None = None
            if action is Action.LOOK_UP:
                seen, receipt = self._look_up(row)
            else:
                seen, refusal = self._send(row)
            row, action = self._decided(row, seen, receipt)
            if action is Action.DONE or action is Action.WAIT:
                return receipt
            if action is Action.STOP_KEY:
                self._stop_key(row)
            if refusal is not None and action in (Action.REPORT, Action.FORGET):
                self._refuse(row, action, refusal)

    def _send(self, row: StoredTransaction) -> tuple[Input, TransactionRejected | None]:
        self._sent_us[row.id] = self._clock.monotonic_us()
        try:
            self._ledger.send(row.raw)
        except LedgerUnavailable as exc:
            _logger.warning("no reply to the transaction for %s: %s", row.purpose, exc)
            return SendUnknown(), None
        except TransactionRejected as exc:
            return SendRejected(exc.reason), exc
        step("transaction.sent")
        return SendAccepted(), None

    def _look_up(self, row: StoredTransaction) -> tuple[Input, Receipt | None]:
        receipt = self._ledger.receipt(row.tx_hash)
        if receipt is None:
            chain_nonce = self._ledger.nonce(row.sender)
            receipt = self._ledger.receipt(row.tx_hash)  # its absence counts after the nonce only
            if receipt is None:
                return self._missing(row, chain_nonce), None
        return Included(receipt.succeeded, final=self._is_final(receipt)), receipt

    def _is_final(self, receipt: Receipt) -> bool:
        if self._ledger.block("finalized").number < receipt.block_number:
            return False
        try:
            return self._ledger.block(receipt.block_number).hash == receipt.block_hash
        except InvalidInput:  # another node answered, and lags behind
            return False

    def _missing(self, row: StoredTransaction, chain_nonce: int) -> Missing:
        if row.status in SETTLED_FOR_GOOD:
            raise LedgerUnavailable(
                f"the chain shows no receipt of the transaction for {row.purpose!r}, which was "
                f"final in block {row.block_number}: the node lags behind or forgot it, or the "
                "chain was replaced by an older copy"
            )
        sent_us = self._sent_us.get(row.id)
        due = sent_us is None or self._clock.monotonic_us() - sent_us >= self._resend_us
        return Missing(chain_nonce, resend_due=due)

    def _decided(
        self, row: StoredTransaction, seen: Input, receipt: Receipt | None
    ) -> tuple[StoredTransaction, Action]:
        """Decide, and store what changed."""
        decision = decide(row.status, row.nonce, seen)
        moved = receipt is not None and receipt.block_hash != row.block_hash
        if decision.status is row.status and not (moved and row.status not in SETTLED_FOR_GOOD):
            return row, decision.action
        was = row.status
        row = self._store.set_status(row.id, decision.status, receipt)
        if receipt is not None:
            self._sent_us.pop(row.id, None)
            if was in UNSETTLED:
                step("transaction.included")
        elif was is TransactionStatus.INCLUDED:
            _logger.warning("the block that held %s vanished", row.purpose)
        return row, decision.action

    def _stop_key(self, row: StoredTransaction) -> NoReturn:
        key = to_hex(row.sender)
        text = (
            f"a transaction that is not ours used nonce {row.nonce} of the key {key}, meant for "
            f"{row.purpose!r}: someone else has this key. Nothing more is sent with it; give its "
            "role to a new key"
        )
        _logger.error("%s", text)
        if self._alarm is not None:
            self._alarm("foreign_nonce", key, text)
        raise ForeignNonce(text)

    def _refuse(
        self, row: StoredTransaction, action: Action, refusal: TransactionRejected
    ) -> NoReturn:
        self._sent_us.pop(row.id, None)  # the answer is known: the next try may send at once
        if action is Action.FORGET:
            self._store.remove(row.id)
            text = "it is forgotten, and its nonce is free"
        else:
            cure = _CURES.get(refusal.reason, "see what the chain says")
            text = f"it stays stored and is sent again; {cure}"
        raise TransactionRejected(
            refusal.reason,
            f"the chain refuses the transaction for {row.purpose!r}: {refusal}; {text}",
        ) from refusal
