"""Sends transactions so that each is included exactly once, whatever dies in between.

Signed bytes are stored before they are sent, and the same bytes are sent until the chain shows
what became of them. What is signed again at a nonce whose outcome is unknown is the same call with
higher fees, or the cancellation that a person asked for. What each reply means is decided in
`state`; rows are kept in `store`, signed by `issuing`, looked at by `lookout`, moved on by
`delivery` and watched by `watching`.
"""

from __future__ import annotations

import logging

from chain_client.errors import InvalidInput, LedgerUnavailable, NotOnChainYet, TransactionCancelled
from chain_client.ledger.base import Call
from chain_client.transactions.alarms import FEE_CAP_REACHED
from chain_client.transactions.issuing import FILLER
from chain_client.transactions.model import SettledTransaction, StoredTransaction
from chain_client.transactions.operating import OperatedQueue
from chain_client.transactions.revert import reason_of
from chain_client.transactions.state import SETTLED_FOR_GOOD, UNSETTLED, TransactionStatus

_logger = logging.getLogger(__name__)

_AT_THE_CAP = (
    ". It offers all that transactions.max_fee_gwei allows: it goes on when the chain's fees "
    "fall, or when you raise that"
)
_INCLUDED = TransactionStatus.INCLUDED
_REPLACED = TransactionStatus.REPLACED
_UNSETTLED_OR_STOPPED = UNSETTLED | {_REPLACED}


class TransactionQueue(OperatedQueue):
    """Sends what one key signs. Its owner is one thread of one process, by the key's lease.

    Guarantee: each call that `submit` took is on chain at most once, and once if it is settled
    often enough, whatever dies, answers twice or not at all, replaces blocks or asks for more.

    Args: as of `OpenedQueue`.
    """

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
            TransactionRejected: the chain refuses it. It stays stored and is sent again; what
                no chain can ever take (``invalid_signature``, ``gas_limit``) is cancelled.
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
        on_its_way = self._on_its_way(call, purpose)
        if not self._resumed:
            self.resume()
        for row in opened.store.with_status({TransactionStatus.SIGNED, _REPLACED}):
            opened.delivery.advance(row)
            now = opened.store.find(row.id)
            if now is not None and now.status in (TransactionStatus.SIGNED, _REPLACED):
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
            NotOnChainYet: not on chain (or not final) in time; it stays stored.
            LedgerUnavailable: the chain does not answer; likewise.
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

    def _on_its_way(self, call: Call, purpose: str) -> list[StoredTransaction]:
        found = self.pending()
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
                capped = opened.alarms.stands(FEE_CAP_REACHED)
                raise NotOnChainYet(
                    f"the transaction for {row.purpose!r} is not {'final' if final else 'on chain'}"
                    f" after {timeout_s:g} s; it is stored, and sent again until a block holds it"
                    f"{_AT_THE_CAP if capped else ''}"
                )
            self._wait(self._poll_s)
