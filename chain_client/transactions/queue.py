"""Sends transactions so that each is included exactly once, whatever dies in between.

Signed bytes are stored before they are sent, and the same bytes are sent until the chain shows
what became of them. What is signed again at a nonce whose outcome is unknown is the same call with
higher fees, or the cancellation that a person asked for. What each reply means is decided in
`state`; rows are kept in `store`, signed by `issuing`, looked at by `lookout`, moved on by
`delivery` and watched by `watching`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chain_client.clock import Clock, SystemClock
from chain_client.errors import (
    CallReverted,
    ContractReverted,
    InvalidInput,
    LedgerUnavailable,
    TransactionCancelled,
    TransactionRejected,
    WrongChain,
)
from chain_client.ledger.base import Call, Ledger
from chain_client.signing import Signer
from chain_client.transactions.alarms import KeyAlarms
from chain_client.transactions.delivery import Delivery
from chain_client.transactions.issuing import FILLER, Issuer
from chain_client.transactions.limits import TransactionLimits
from chain_client.transactions.lookout import Lookout
from chain_client.transactions.model import AttemptKind, SettledTransaction, StoredTransaction
from chain_client.transactions.revert import explain_plainly, reason_of
from chain_client.transactions.state import SETTLED_FOR_GOOD, UNSETTLED, TransactionStatus
from chain_client.transactions.store import TransactionStore
from chain_client.transactions.watching import ReorgWatch
from chain_client.types import Address

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from chain_client.log.model import Lease

_logger = logging.getLogger(__name__)

_INCLUDED = TransactionStatus.INCLUDED
_REPLACED = TransactionStatus.REPLACED
_UNSETTLED_OR_STOPPED = UNSETTLED | {_REPLACED}


@dataclass(frozen=True, slots=True)
class _Opened:
    """What works for one key."""

    store: TransactionStore
    issuer: Issuer
    delivery: Delivery
    watch: ReorgWatch


class TransactionQueue:
    """Sends what one key signs. Its owner is one thread of one process, by the key's lease.

    Args:
        engine: of the log database, which keeps the rows.
        ledger: the chain.
        signer: the key.
        lease: gives the lease `key_lease_name` that the caller holds and renews; its token is
            checked in every SQL transaction that writes a row.
        chain_id: the only chain anything is signed for.
        clock: for the rows' time and for what is due.
        explain: turns a revert into the contract's own error, such as `event_log.explain`.
        alarm: called with (kind, subject, detail) for what a person should see: a foreign
            transaction, a reorg, a limit that is reached; such as `Log.raise_alarm`.
        clear_alarm: called with (kind, subject) when that is over, such as `Log.clear_alarm`.
        wait: called with the seconds between two look-ups.
        poll_s: seconds between two look-ups while a transaction is on its way.
        resend_s: bytes that are missing for so long are sent again.
        gas_margin: the gas limit is the estimate times this.
        limits: of the key; by default a fee cap, and no budget.
    """

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        signer: Signer,
        *,
        lease: Callable[[], Lease],
        chain_id: int,
        clock: Clock | None = None,
        explain: Callable[[CallReverted], ContractReverted] | None = None,
        alarm: Callable[[str, str, str], None] | None = None,
        clear_alarm: Callable[[str, str], None] | None = None,
        wait: Callable[[float], None] = time.sleep,
        poll_s: float = 0.2,
        resend_s: float = 15,
        gas_margin: float = 1.2,
        limits: TransactionLimits | None = None,
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._signer = signer
        self._lease = lease
        self._chain_id = chain_id
        self._clock = clock or SystemClock()
        self._explain = explain or explain_plainly
        self._alarm = alarm
        self._clear_alarm = clear_alarm
        self._wait = wait
        self._poll_s = poll_s
        self._resend_us = round(resend_s * 1e6)
        self._gas_margin = gas_margin
        self._limits = limits or TransactionLimits()
        self._opened: _Opened | None = None
        self._resumed = False

    def submit(self, call: Call, purpose: str, *, gas_limit: int | None = None) -> int:
        """Sign, store and send a transaction; `settle` waits for it, also after a crash.

        What a crashed owner left is settled first. A purpose that is already on its way is not
        signed again: its id is returned. If the chain does not answer *after* the
        bytes were stored, that is no error here: `settle` sends them again.

        Args:
            call: what it does.
            purpose: short stable text, such as ``anchor:0x…:4000``, by which it is found again.
            gas_limit: most gas it may use; by default the estimate with a margin.

        Returns:
            the row's id.

        Raises:
            ContractReverted: it would revert; nothing was stored or sent.
            LedgerUnavailable: the chain does not answer, or has not taken an earlier
                transaction yet; nothing was stored.
            TransactionRejected: the chain refuses it. It stays stored and is sent again, unless
                no chain can ever take it (``invalid_signature``, ``gas_limit``).
            BudgetSpent: the key has used its gas of this hour; nothing was stored.
            ForeignNonce: someone else uses the key; it is stopped.
            InvalidInput: another call is on its way for this purpose.
            AnotherRelay: the key's lease is lost; nothing was stored.
            LogUnavailable: the database does not answer; nothing was stored.
            WrongChain: the ledger is another chain; nothing was stored.
        """
        opened = self._open()
        if purpose.startswith(FILLER):
            raise InvalidInput(f"a purpose must not begin with {FILLER!r}")
        on_its_way = self._on_its_way(opened, call, purpose)
        if not self._resumed:
            self.resume()
        for row in opened.store.with_status({TransactionStatus.SIGNED, _REPLACED}):
            opened.delivery.advance(row)
            now = opened.store.find(row.id)
            if now is not None and now.status is TransactionStatus.SIGNED:
                raise LedgerUnavailable(
                    f"the chain has not taken the transaction for {row.purpose!r} yet; nothing "
                    "new is signed before it has"
                )
        if on_its_way:
            return on_its_way[-1].id
        row = opened.issuer.issue(call, purpose, gas_limit)
        opened.delivery.send_new(row)
        return row.id

    def settle(
        self, tx_id: int, *, final: bool = False, timeout_s: float = 60
    ) -> SettledTransaction:
        """Wait until the chain holds a transaction; lost bytes are sent again.

        Args:
            tx_id: as `submit` gave it.
            final: wait until its block is final.
            timeout_s: how long to wait.

        Raises:
            ContractReverted: it is on chain and failed.
            TransactionCancelled: a self-transfer of ours is on chain instead.
            LedgerUnavailable: not on chain (or not final) in time; it stays stored.
            TransactionRejected: as `submit`, for it or an earlier one.
            ForeignNonce: another transaction has its nonce; the key is stopped.
            AnotherRelay: the key's lease is lost.
            LogUnavailable: the database does not answer.
            InvalidInput: no such transaction.
        """
        settled = self._settle(tx_id, final, timeout_s)
        if settled.is_cancel:
            raise TransactionCancelled(
                f"the transaction for {settled.purpose!r} was cancelled in block "
                f"{settled.receipt.block_number}; what it was for did not happen"
            )
        if not settled.receipt.succeeded:
            raise reason_of(self._ledger, self.get(tx_id), self._explain)
        return settled

    def resume(self, *, timeout_s: float = 60) -> list[SettledTransaction]:
        """Settle everything an earlier owner left, in the order of the nonces.

        Returns:
            what was on its way and is on chain now; a failed one has a failed receipt, and
            ``is_cancel`` tells a cancelled one.

        Raises:
            LedgerUnavailable: not all of it is on chain in time; call again later.
            TransactionRejected: the chain refuses one; as `submit`.
            ForeignNonce: someone else uses the key; it is stopped.
            AnotherRelay: the key's lease is lost.
            LogUnavailable: the database does not answer.
            WrongChain: the ledger is another chain.
        """
        store = self._open().store
        self.watch()
        settled = []
        for row in store.with_status(_UNSETTLED_OR_STOPPED):
            if row.purpose.startswith(FILLER):
                continue  # it is seen to when a later one waits for it
            settled.append(self._settle(row.id, False, timeout_s))
            _logger.info("settled what an earlier process left: %s", row.purpose)
        self._resumed = True
        return settled

    def watch(self) -> list[StoredTransaction]:
        """Look once at every transaction that is included but not final (reorg watch).

        Returns:
            those whose status changed: final now, or sent again because their block vanished.

        Raises:
            LedgerUnavailable: the chain does not answer.
            TransactionRejected: the chain refuses one that vanished; it stays stored.
            ForeignNonce: another transaction took the nonce of a vanished one.
            AnotherRelay: the key's lease is lost.
            LogUnavailable: the database does not answer.
        """
        return self._open().watch.look()

    def retry(self, tx_id: int, *, raise_fees: bool = False) -> StoredTransaction:
        """Look at a transaction now, and hand it to the chain again if no block holds it.

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
            return row
        opened.delivery.advance(row, send_now=True, replace_now=raise_fees)
        now = self.get(tx_id)
        if raise_fees and now.status in UNSETTLED and now.attempts == row.attempts:
            raise _capped(row)
        return now

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

    @property
    def sender(self) -> Address:
        """Address of the key.

        Raises:
            ConfigurationError: the key can't be read or unlocked.
        """
        return self._signer.address()

    def pending(self) -> list[StoredTransaction]:
        """All that is not settled for good, in the order of the nonces."""
        return self._open().store.with_status(_UNSETTLED_OR_STOPPED | {_INCLUDED})

    def get(self, tx_id: int) -> StoredTransaction:
        """A stored transaction.

        Raises:
            InvalidInput: this key has no such transaction.
            LogUnavailable: the database does not answer.
        """
        return self._open().store.get(tx_id)

    def find(self, purpose: str, *, prefix: bool = False) -> list[StoredTransaction]:
        """Stored transactions of a purpose, or of all that begin with it, oldest first."""
        return self._open().store.with_purpose(purpose, prefix=prefix)

    def _open(self) -> _Opened:
        if self._opened is None:
            found = self._ledger.chain_id()
            if found != self._chain_id:
                raise WrongChain(
                    f"the ledger {self._ledger.url} is chain {found}, but the deployment is on "
                    f"chain {self._chain_id}; nothing is sent to it"
                )
            ledger, clock, limits = self._ledger, self._clock, self._limits
            alarms = KeyAlarms(self.sender, self._alarm, self._clear_alarm)
            store = TransactionStore(self._engine, self.sender, self._lease)
            replace_us = round(limits.bump_after_s * 1e6)
            lookout = Lookout(ledger, store, clock, self._resend_us, replace_us)
            issuer = Issuer(
                ledger,
                store,
                self._signer,
                chain_id=self._chain_id,
                clock=clock,
                limits=limits,
                alarms=alarms,
                explain=self._explain,
                gas_margin=self._gas_margin,
            )
            delivery = Delivery(ledger, store, lookout, issuer, alarms)
            watch = ReorgWatch(ledger, store, delivery)
            self._opened = _Opened(store, issuer, delivery, watch)
        return self._opened

    def _on_its_way(self, opened: _Opened, call: Call, purpose: str) -> list[StoredTransaction]:
        found = opened.store.with_status(_UNSETTLED_OR_STOPPED | {_INCLUDED})
        found = [row for row in found if row.purpose == purpose]
        if any(row.is_cancel for row in found):
            raise LedgerUnavailable(
                f"the transaction for {purpose!r} is being cancelled; nothing new is signed for "
                "it before that is final"
            )
        found = [row for row in found if row.status is not _INCLUDED]
        if any(row.to_call() != call for row in found):
            raise InvalidInput(f"another call is on its way for {purpose!r}; settle it first")
        return found

    def _settle(self, tx_id: int, final: bool, timeout_s: float) -> SettledTransaction:
        opened = self._open()
        store, delivery = opened.store, opened.delivery
        deadline_us = self._clock.monotonic_us() + round(timeout_s * 1e6)
        enough = SETTLED_FOR_GOOD if final else SETTLED_FOR_GOOD | {_INCLUDED}
        row = store.get(tx_id)
        while True:
            for earlier in store.with_status(_UNSETTLED_OR_STOPPED, up_to_nonce=row.nonce - 1):
                delivery.advance(earlier)
            receipt = delivery.advance(row)
            row = store.get(tx_id)
            if receipt is not None and row.status in enough:
                return SettledTransaction(
                    row.id, row.purpose, row.nonce, row.status, receipt, row.is_cancel
                )
            if self._clock.monotonic_us() >= deadline_us:
                raise LedgerUnavailable(
                    f"the transaction for {row.purpose!r} is not {'final' if final else 'on chain'}"
                    f" after {timeout_s:g} s; it is stored, and sent again until a block holds it"
                )
            self._wait(self._poll_s)


def _capped(row: StoredTransaction) -> TransactionRejected:
    return TransactionRejected(
        "fee_too_low",
        f"the transaction for {row.purpose!r} can't be replaced: it offers {row.max_fee_wei} wei "
        "for a unit of gas already, and transactions.max_fee_gwei leaves no room for more",
    )
