"""Signs and stores: a new transaction, its replacements, and what fills a gap.

Nothing is sent here. Whatever is signed is stored before anybody may send it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

from chain_client.clock import Clock
from chain_client.errors import (
    BudgetSpent,
    CallReverted,
    ContractReverted,
    LedgerUnavailable,
    TransactionRejected,
)
from chain_client.ledger.base import Call, Fees, Ledger
from chain_client.signing import (
    Signer,
    TransactionFields,
    decode_transaction,
    sign_transaction,
)
from chain_client.steps import step
from chain_client.transactions.alarms import FEE_CAP_REACHED, GAS_BUDGET_SPENT, KeyAlarms
from chain_client.transactions.fees import bumped_fees, first_fees
from chain_client.transactions.limits import TransactionLimits
from chain_client.transactions.model import AttemptKind, StoredTransaction
from chain_client.transactions.nonces import NonceSource
from chain_client.transactions.store import TransactionStore
from chain_client.types import Address

_logger = logging.getLogger(__name__)

_HOUR_US = 3_600_000_000
_GWEI = 10**9
_MOST_GAS = 2**53
"""No block of any chain takes so much."""
FILLER = "fill:"
"""How the purpose of a transaction begins that only uses up a nonce."""


class Issuer:
    """Signs with one key, for one chain, within its limits.

    Args:
        ledger: the chain.
        store: the key's rows.
        signer: the key.
        chain_id: the only chain anything is signed for.
        clock: for the rows' time, and for the hour of the budget.
        limits: of the key.
        alarms: of the key.
        explain: turns a revert into the contract's own error.
        gas_margin: the gas limit is the estimate times this.
        is_exclusive: nobody else sends with the key.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: TransactionStore,
        signer: Signer,
        chain_id: int,
        clock: Clock,
        limits: TransactionLimits,
        alarms: KeyAlarms,
        explain: Callable[[CallReverted], ContractReverted],
        gas_margin: float,
        is_exclusive: bool = True,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._signer = signer
        self._chain_id = chain_id
        self._clock = clock
        self._limits = limits
        self._alarms = alarms
        self._explain = explain
        self._gas_margin = gas_margin
        self._nonces = NonceSource(ledger, store, alarms, is_exclusive=is_exclusive)

    def issue(self, call: Call, purpose: str, gas_limit: int | None) -> StoredTransaction:
        """Sign and store a new transaction.

        Raises:
            ContractReverted: it would revert; nothing was stored.
            BudgetSpent: the key has used the gas of this hour; nothing was stored.
            ForeignNonce: somebody else used the key; nothing was stored.
            LedgerUnavailable: the chain does not answer; nothing was stored.
        """
        if gas_limit is None:
            try:
                gas_limit = self._estimate(call)
            except CallReverted as exc:
                raise self._explain(exc) from exc
        self._stay_within_budget(gas_limit, purpose)
        market = self._ledger.fees()
        if market.max_fee_wei > self._limits.max_fee_wei:
            self._say_capped()
        nonce = self._nonces.next(self._signer.address())
        fees = first_fees(market, self._limits.max_fee_wei)
        return self._add(self._fields(call, nonce, fees, gas_limit), purpose, AttemptKind.CALL)

    def fill(self, nonce: int) -> StoredTransaction:
        """Sign and store a transfer of nothing to the key itself, at a nonce that nobody has.

        Raises:
            BudgetSpent: the key has used the gas of this hour; nothing was stored.
            LedgerUnavailable: the chain does not answer; nothing was stored.
        """
        call, purpose = self._nothing(), f"{FILLER}{nonce}"
        gas_limit = self._estimate(call)
        self._stay_within_budget(gas_limit, purpose)
        fees = first_fees(self._ledger.fees(), self._limits.max_fee_wei)
        return self._add(self._fields(call, nonce, fees, gas_limit), purpose, AttemptKind.CANCEL)

    def replace(
        self, row: StoredTransaction, kind: AttemptKind | None = None, *, insisting: bool = True
    ) -> StoredTransaction | None:
        """Sign and store another attempt at a row's nonce, which offers more.

        Where gas is free, bytes that offer nothing are never given up for bytes that the key can't
        pay.

        Args:
            row: no block holds any of its attempts.
            kind: what it does; by default what the row's bytes do.
            insisting: more must be offered, as a node or a person wants it; else, where the chain
                asks for nothing, more than nothing is not offered.

        Returns:
            the row with its new bytes, or None if the fee cap leaves no room, when the alarm
            stands, or if more helps nothing.

        Raises:
            TransactionRejected: ``insufficient_funds``: it offered nothing so far, more is insisted
                on, and the key has no coin for it; nothing was stored.
            LedgerUnavailable: the chain does not answer; nothing was stored.
        """
        market = self._ledger.fees()
        attempts = self._store.attempts(row.id)
        highest = Fees(
            max(attempt.max_fee_wei for attempt in attempts),
            max(attempt.max_priority_fee_wei for attempt in attempts),
        )
        was_free = highest.max_fee_wei == 0
        if was_free and market.max_fee_wei == 0 and not insisting:
            return None
        fees = bumped_fees(highest, market, self._limits.max_fee_wei)
        if fees is None:
            self._say_capped()
            return None
        if kind is None or (kind is AttemptKind.CANCEL) == row.is_cancel:
            fields = decode_transaction(row.raw)
            call, gas_limit = row.to_call(), fields.gas_limit
            kind = AttemptKind.CANCEL if row.is_cancel else AttemptKind.CALL
        else:
            call = self._nothing()
            gas_limit = self._estimate(call)
        signed_fields = self._fields(call, row.nonce, fees, gas_limit)
        if was_free and (lacking := self._lacking_funds(signed_fields, row.purpose)):
            if insisting:
                raise lacking
            return None
        signed = sign_transaction(self._signer, signed_fields)
        step("transaction.replacement.signed")
        now_us = self._clock.time_us()
        row = self._store.add_attempt(row.id, signed_fields, signed, now_us, kind)
        step("transaction.replacement.stored")
        _logger.info(
            "offering up to %.3g gwei for %s, attempt %d at nonce %d",
            fees.max_fee_wei / _GWEI,
            row.purpose,
            row.attempts,
            row.nonce,
        )
        return row

    def _add(self, fields: TransactionFields, purpose: str, kind: AttemptKind) -> StoredTransaction:
        signed = sign_transaction(self._signer, fields)
        step("transaction.signed")
        row = self._store.add(purpose, fields, signed, self._clock.time_us(), kind)
        step("transaction.stored")
        return row

    def _fields(self, call: Call, nonce: int, fees: Fees, gas_limit: int) -> TransactionFields:
        return TransactionFields(
            chain_id=self._chain_id,
            nonce=nonce,
            max_fee_wei=fees.max_fee_wei,
            max_priority_fee_wei=fees.max_priority_fee_wei,
            gas_limit=gas_limit,
            to=call.to,
            data=call.data,
            value_wei=call.value_wei,
            is_legacy=fees.is_legacy,
        )

    def _nothing(self) -> Call:
        return Call(Address(self._signer.address()), b"")

    def _estimate(self, call: Call) -> int:
        estimate = self._ledger.estimate_gas(call, self._signer.address())
        if estimate > _MOST_GAS:
            raise LedgerUnavailable(f"the chain says that a call needs {estimate} gas: a lie")
        return math.ceil(estimate * self._gas_margin)

    def _stay_within_budget(self, gas_limit: int, purpose: str) -> None:
        budget = self._limits.gas_per_hour
        if budget is None:
            return
        if gas_limit > budget:  # a node's word, which another may correct
            text = (
                f"the transaction for {purpose!r} may use {gas_limit} gas, more than "
                f"transactions.gas_per_hour allows its key in a whole hour ({budget}); raise it, "
                "unless the node that estimates the gas is wrong"
            )
            self._alarms.start(GAS_BUDGET_SPENT, text)
            raise BudgetSpent(f"{text}. Nothing was signed")
        now_us = self._clock.time_us()
        # What a clock that was far ahead signed must not count until it is there again.
        spent = self._store.gas_between(now_us - _HOUR_US, now_us + _HOUR_US)
        if spent + gas_limit > budget:
            self._alarms.start(
                GAS_BUDGET_SPENT,
                f"the key has used its gas of this hour (transactions.gas_per_hour = {budget}); "
                "what it has to send waits, and nothing is lost. Raise the budget, or let the "
                "relay batch more (relay.max_wait_s)",
            )
            raise BudgetSpent(
                f"the key used {spent} gas within an hour, and the transaction for {purpose!r} may "
                f"use {gas_limit}: more than transactions.gas_per_hour = {budget}. Nothing was "
                "signed; it goes on as the hour passes, or when you raise the budget"
            )
        self._alarms.end(GAS_BUDGET_SPENT)

    def _lacking_funds(self, fields: TransactionFields, purpose: str) -> TransactionRejected | None:
        needed_wei = fields.gas_limit * fields.max_fee_wei + fields.value_wei
        balance_wei = self._ledger.balance_wei(self._signer.address())
        if balance_wei >= needed_wei:
            return None
        return TransactionRejected(
            "insufficient_funds",
            f"the transaction for {purpose!r} offers nothing for gas, and what replaces it has to "
            f"offer more: up to {needed_wei} wei, of which its key has {balance_wei}. It stays as "
            "it is, and is sent again; send funds to the key's address to replace it",
        )

    def _say_capped(self) -> None:
        cap_wei = self._limits.max_fee_wei
        self._alarms.start(
            FEE_CAP_REACHED,
            f"what the chain takes is at or above transactions.max_fee_gwei = "
            f"{cap_wei / _GWEI:.6g}: transactions wait at the cap, and go on when fees fall or "
            "you raise it; nothing is lost",
        )
