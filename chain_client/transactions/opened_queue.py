"""What a transaction queue is made of: its parts for one key, put together at the first use."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chain_client.clock import Clock, SystemClock
from chain_client.errors import CallReverted, ContractReverted, WrongChain
from chain_client.ledger.base import Ledger
from chain_client.signing import Signer
from chain_client.transactions.alarms import KeyAlarms
from chain_client.transactions.delivery import Delivery
from chain_client.transactions.issuing import Issuer
from chain_client.transactions.limits import TransactionLimits
from chain_client.transactions.lookout import Lookout
from chain_client.transactions.model import StoredTransaction
from chain_client.transactions.revert import explain_plainly
from chain_client.transactions.state import SETTLED_FOR_GOOD, TransactionStatus
from chain_client.transactions.store import TransactionStore
from chain_client.transactions.watching import ReorgWatch
from chain_client.types import Address

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from chain_client.log.model import Lease

_OPEN = frozenset(TransactionStatus) - SETTLED_FOR_GOOD


@dataclass(frozen=True, slots=True)
class QueueParts:
    """What works for one key."""

    store: TransactionStore
    issuer: Issuer
    delivery: Delivery
    watch: ReorgWatch
    alarms: KeyAlarms


class OpenedQueue:
    """The part of `TransactionQueue` that puts its parts together, and reads.

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
        is_exclusive: nothing but this queue sends with the key. Else it is a person's, who may
            use it in a wallet too: what that sent between two transactions of ours is no alarm.
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
        is_exclusive: bool = True,
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._signer = signer
        self._lease = lease
        self._is_exclusive = is_exclusive
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
        self._opened: QueueParts | None = None
        self._resumed = False

    @property
    def sender(self) -> Address:
        """Address of the key.

        Raises:
            ConfigurationError: the key can't be read or unlocked.
        """
        return self._signer.address()

    def pending(self) -> list[StoredTransaction]:
        """All that is not settled for good, in the order of the nonces."""
        return self._open().store.with_status(_OPEN)

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

    def _open(self) -> QueueParts:
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
                is_exclusive=self._is_exclusive,
            )
            delivery = Delivery(ledger, store, lookout, issuer, alarms)
            watch = ReorgWatch(ledger, store, delivery)
            self._opened = QueueParts(store, issuer, delivery, watch, alarms)
        return self._opened
