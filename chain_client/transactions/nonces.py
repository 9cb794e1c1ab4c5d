"""The nonce of a new transaction: no answer of a node alone moves a key far ahead."""

from __future__ import annotations

from chain_client.errors import ForeignNonce, HistoryMissing, LedgerUnavailable
from chain_client.ledger.base import Ledger
from chain_client.transactions.alarms import FOREIGN_NONCE, KeyAlarms
from chain_client.transactions.nonce_rules import MOST_FILLED, own_nonce, unknown_nonces
from chain_client.transactions.store import TransactionStore
from chain_client.types import Address, to_hex


def final_nonce(ledger: Ledger, sender: Address) -> int | None:
    """Transactions of a key up to the final block; None if no node keeps that block's state.

    Raises:
        LedgerUnavailable: the chain does not answer.
    """
    try:
        return ledger.nonce(sender, "finalized")
    except HistoryMissing:
        return None


class NonceSource:
    """Gives nonces of one key.

    Guarantee: a key with stored transactions goes on after them. What the chain has beyond them
    stops an exclusive key once it is final, and until a person acknowledges that alarm; a person's
    own key goes on after it.

    Args:
        ledger: the chain.
        store: the key's rows.
        alarms: of the key.
        is_exclusive: nobody else sends with the key.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: TransactionStore,
        alarms: KeyAlarms,
        *,
        is_exclusive: bool = True,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._alarms = alarms
        self._is_exclusive = is_exclusive

    def next(self, sender: Address) -> int:
        """The nonce for a new transaction: no stored one and none on chain has it.

        Raises:
            ForeignNonce: the key was used by somebody else, or by what this log has forgotten.
            LedgerUnavailable: the chain does not answer, or what it shows can't be true, or is
                not final yet.
        """
        stored = self._store.nonces()
        latest = self._ledger.nonce(sender)
        nonce = own_nonce(latest, stored)
        if nonce is not None:
            self._alarms.end(FOREIGN_NONCE)
            return nonce
        again = self._ledger.nonce(sender)
        final = final_nonce(self._ledger, sender)
        if final is None:  # then the same answer twice has to do
            final = min(latest, again)
        unknown = unknown_nonces(final, stored)
        if not self._is_exclusive:
            newest = unknown_nonces(latest, stored)
            if newest is not None and latest == again and newest[1] - newest[0] < MOST_FILLED:
                return latest  # a wallet's; not more than could be closed if it were untrue
        elif unknown is not None:
            self._refuse_unless_acknowledged(sender, *unknown)
        if latest != again or final != latest:
            raise LedgerUnavailable(
                f"the chain shows {again} transactions of the key {to_hex(sender)}, {final} of "
                "them final, and this log did not send the newest ones: nothing is signed with it "
                "until they are final"
            )
        return final

    def _refuse_unless_acknowledged(self, sender: Address, first: int, last: int) -> None:
        text = (
            f"transactions that this log does not know used the nonces {first} to {last} of the "
            f"key {to_hex(sender)}: someone else has this key, or the log was put back from an "
            "older copy. Nothing is signed with it; give its role to a new key, or, if you know "
            "where they come from, acknowledge this alarm and the key goes on after them"
        )
        if self._store.was_alarm_cleared(FOREIGN_NONCE, text):
            return
        self._alarms.start(FOREIGN_NONCE, text)
        raise ForeignNonce(text)
