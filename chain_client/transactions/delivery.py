"""Brings one stored transaction on chain: does what `state` decides about what `lookout` sees."""

from __future__ import annotations

import logging
from typing import NoReturn

from chain_client.errors import ForeignNonce, LedgerUnavailable, TransactionRejected
from chain_client.ledger.base import Ledger, Receipt
from chain_client.steps import step
from chain_client.transactions.alarms import (
    FEE_CAP_REACHED,
    FOREIGN_NONCE,
    NONCE_GAP,
    REORG,
    KeyAlarms,
)
from chain_client.transactions.issuing import Issuer
from chain_client.transactions.lookout import Lookout
from chain_client.transactions.model import AttemptKind, StoredTransaction
from chain_client.transactions.nonce_rules import may_fill
from chain_client.transactions.nonces import final_nonce
from chain_client.transactions.state import (
    SETTLED_FOR_GOOD,
    UNSETTLED,
    Action,
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
    "gas_limit": "cancel it with: mlops-chain tx cancel",
    "invalid_signature": "cancel it with: mlops-chain tx cancel",
}


class Delivery:
    """Moves rows of one sender on; never waits.

    Args:
        ledger: the chain.
        store: the sender's rows.
        lookout: sees what the chain shows of a row.
        issuer: signs what replaces a row's bytes, and what fills a gap.
        alarms: of the sender.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: TransactionStore,
        lookout: Lookout,
        issuer: Issuer,
        alarms: KeyAlarms,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._lookout = lookout
        self._issuer = issuer
        self._alarms = alarms
        self.touched_nonce = -1
        """The highest nonce whose block vanished in a reorg."""
        self._deepest = 0
        """How deep the reorg was whose alarm stands."""

    def send_new(self, row: StoredTransaction) -> None:
        """Hand a row to the chain for the first time.

        No reply is no error, as the row is stored; neither are fees that are too low by now: more
        is offered, or, at the cap, waited.

        Raises:
            TransactionRejected: the chain refuses it; see `advance`.
            AnotherRelay: the key's lease is lost.
            LogUnavailable: the database does not answer.
        """
        seen, refusal = self._send(row, never_sent_before=True)
        row, action = self._decided(row, seen, None)
        if action is Action.OUTBID:
            self._lookout.forget(row)  # `advance` sends it at once, and offers more
        elif refusal is not None and action is Action.FORGET:
            self._give_up(row, refusal)
        elif refusal is not None and action is Action.REPORT:
            self._refuse(row, action, refusal)

    def advance(
        self, row: StoredTransaction, *, send_now: bool = False, replace_now: bool = False
    ) -> Receipt | None:
        """Do what can be done about a row now.

        Args:
            row: the row.
            send_now: if no block holds it, send its bytes even if they were sent just now.
            replace_now: if no block holds it, offer more even if that is not due.

        Returns:
            its receipt, or None if the chain has none yet.

        Raises:
            TransactionRejected: the chain refuses it. It stays stored.
            ForeignNonce: another transaction has its nonce.
            LedgerUnavailable: the chain does not answer.
            AnotherRelay: the key's lease is lost.
            LogUnavailable: the database does not answer.
        """
        if send_now:
            self._lookout.forget(row)
        action = Action.OUTBID if replace_now else Action.LOOK_UP
        refusal: TransactionRejected | None = None
        replaced = False
        insisting = replace_now
        seen: Input | None = None
        while True:
            if action is Action.REPLACE:
                if replaced:
                    return None
                better = self._issuer.replace(row, insisting=insisting)
                if better is None:  # at the cap, or gas is free: its bytes are sent again as ever
                    self._lookout.note_capped(row)
                    if not (isinstance(seen, Missing) and seen.resend_due):
                        return None
                row, replaced, action = better or row, True, Action.SEND
                continue
            receipt: Receipt | None = None
            if action is Action.SEND:
                seen, refusal = self._send(row)
            else:
                seen, receipt = self._lookout.look_up(row, replace_due=action is Action.OUTBID)
            row, action = self._decided(row, seen, receipt)
            insisting = insisting or action is Action.OUTBID
            match action:
                case Action.DONE | Action.WAIT:
                    return receipt
                case Action.CLOSE_GAP:
                    self._close_gap(row, seen)
                    return None
                case Action.STOP_KEY:
                    self._stop_key(row)
                case Action.FORGET if isinstance(seen, Missing):
                    self._store.remove(row.id)
                    return None
                case Action.REPORT | Action.FORGET:
                    assert refusal is not None
                    self._refuse(row, action, refusal)

    def look(self, row: StoredTransaction) -> Receipt | None:
        """See what became of a row; nothing is sent or signed for it.

        Returns:
            its receipt, or None if the chain has none yet.

        Raises:
            ForeignNonce: another transaction has its nonce.
            LedgerUnavailable: the chain does not answer.
            AnotherRelay: the key's lease is lost.
            LogUnavailable: the database does not answer.
        """
        seen, receipt = self._lookout.look_up(row)
        row, action = self._decided(row, seen, receipt)
        if action is Action.STOP_KEY:
            self._stop_key(row)
        return receipt

    def _give_up(self, row: StoredTransaction, refusal: TransactionRejected) -> None:
        """Let a transfer of nothing take the nonce of bytes that no chain should ever take.

        Whatever a node says of them, another may have them: one nonce holds one of the two.
        """
        if self.look(row) is not None:
            return
        better = None
        if not row.is_cancel:
            better = self._issuer.replace(row, AttemptKind.CANCEL, insisting=False)
        if better is None:
            is_free = row.is_cancel or row.max_fee_wei == 0
            self._refuse(row, Action.FORGET if is_free else Action.REPORT, refusal)
        self._send(better)
        raise TransactionRejected(
            refusal.reason,
            f"the chain refuses the transaction for {row.purpose!r}: {refusal}; it is cancelled, "
            "which settles it whatever becomes of it",
        ) from refusal

    def _close_gap(self, row: StoredTransaction, seen: Input) -> None:
        """See to the lowest nonce that the chain lacks: send ours again, or use it up."""
        refused = not isinstance(seen, Missing)
        chain_nonce = seen.chain_nonce if isinstance(seen, Missing) else self._nonce_of(row)
        if chain_nonce >= row.nonce:
            return
        lowest = self._store.at_nonce(chain_nonce)
        if lowest is None:
            if self._lookout.is_lasting_gap(chain_nonce):
                self._fill(row, chain_nonce)
        elif lowest.status in SETTLED_FOR_GOOD:
            raise LedgerUnavailable(
                f"the chain holds {chain_nonce} transactions of this key, but {lowest.purpose!r} "
                f"with nonce {chain_nonce} was final: the node lags behind, or the chain was "
                "replaced by an older copy"
            )
        elif refused or lowest.status is TransactionStatus.INCLUDED:
            self.advance(lowest, send_now=refused)

    def _fill(self, row: StoredTransaction, chain_nonce: int) -> None:
        """Use up a nonce that nobody has, if that can be what closes the gap."""
        final = final_nonce(self._ledger, row.sender) or 0
        next_stored = self._store.lowest_above(chain_nonce)
        if may_fill(chain_nonce, final, next_stored):
            _logger.warning("nonce %d is missing on chain: it is used up", chain_nonce)
            self.send_new(self._issuer.fill(chain_nonce))
        else:
            self._alarms.start(
                NONCE_GAP,
                f"the chain holds {chain_nonce} transactions of this key, {final} up to its "
                f"final block, but {row.purpose!r} has nonce {row.nonce}, and this log knows none "
                "between: nothing is signed to close that gap. Either the node shows too few, or "
                f"it showed too many when nonce {row.nonce} was signed",
            )

    def _nonce_of(self, row: StoredTransaction) -> int:
        return self._ledger.nonce(row.sender)

    def _send(
        self, row: StoredTransaction, *, never_sent_before: bool = False
    ) -> tuple[Input, TransactionRejected | None]:
        self._lookout.note_sent(row)
        try:
            self._ledger.send(row.raw)
        except LedgerUnavailable as exc:
            _logger.warning("no reply to the transaction for %s: %s", row.purpose, exc)
            return SendUnknown(), None
        except TransactionRejected as exc:
            return SendRejected(exc.reason, never_sent_before=never_sent_before), exc
        step("transaction.sent")
        return SendAccepted(), None

    def _decided(
        self, row: StoredTransaction, seen: Input, receipt: Receipt | None
    ) -> tuple[StoredTransaction, Action]:
        """Decide, and store what changed."""
        decision = decide(row.status, row.nonce, seen)
        moved = receipt is not None and receipt.block_hash != row.block_hash
        if decision.status is row.status and not (moved and row.status not in SETTLED_FOR_GOOD):
            return row, decision.action
        before = row
        if before.status is TransactionStatus.INCLUDED and (moved or receipt is None):
            self._say_reorg(before)
        row = self._store.set_status(row.id, decision.status, receipt)
        if before.status is TransactionStatus.REPLACED and not self._store.with_status(
            {TransactionStatus.REPLACED}
        ):
            self._alarms.end(FOREIGN_NONCE)
        if receipt is not None and before.status in UNSETTLED:
            self._alarms.end(FEE_CAP_REACHED)
            self._alarms.end(NONCE_GAP)
            step("transaction.included")
        return row, decision.action

    def _say_reorg(self, before: StoredTransaction) -> None:
        assert before.block_number is not None
        self.touched_nonce = max(self.touched_nonce, before.nonce)
        depth = max(1, self._ledger.block().number - before.block_number + 1)
        if depth <= self._deepest:
            return
        self._deepest = depth
        self._alarms.start(
            REORG,
            f"the chain replaced blocks, up to {depth} deep: block {before.block_number}, which "
            f"held {before.purpose!r}, vanished. What was in it is sent again as it was, and "
            "watched until it is final",
        )

    def end_reorg(self) -> None:
        """All that a reorg touched is final."""
        self._deepest = 0
        self._alarms.end(REORG)

    def _stop_key(self, row: StoredTransaction) -> NoReturn:
        key = to_hex(row.sender)
        text = (
            f"a transaction that is not ours used nonce {row.nonce} of the key {key}, meant for "
            f"{row.purpose!r}: someone else has this key. Nothing more is sent with it; give its "
            "role to a new key"
        )
        self._alarms.start(FOREIGN_NONCE, text)
        raise ForeignNonce(text)

    def _refuse(
        self, row: StoredTransaction, action: Action, refusal: TransactionRejected
    ) -> NoReturn:
        self._lookout.forget(row)  # the answer is known: the next try may send at once
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
