"""What to do about one stored transaction: pure decisions, no I/O.

::

    SIGNED ──► BROADCAST ──► INCLUDED ──► FINALIZED
       │           ▲  │          │  └───► REVERTED    included for good, but it failed
       │           │  │          │
       │           └──┼──────────┤ the receipt vanished (reorg)
       │              ▼          ▼
       └─────────► REPLACED ◄────┘        the chain holds another transaction at its nonce

A row leaves SIGNED and BROADCAST only by what the chain shows, never by what a reply says:
a lost reply, a timeout and ``nonce too low`` all end in a look-up by hash.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from chain_client.errors import LedgerUnavailable


class TransactionStatus(StrEnum):
    """What is known about a stored transaction."""

    SIGNED = "signed"
    """Stored; it may or may not have reached the chain."""
    BROADCAST = "broadcast"
    """The chain has taken it at least once."""
    INCLUDED = "included"
    """In a block that may still vanish; it may have failed there."""
    FINALIZED = "finalized"
    """It succeeded in a final block."""
    REVERTED = "reverted"
    """It failed in a final block."""
    CANCELLED = "cancelled"
    """A self-transfer of ours took its nonce in a final block: its call never happens."""
    REPLACED = "replaced"
    """Another transaction, not ours, used its nonce: the key is stopped."""


UNSETTLED = frozenset({TransactionStatus.SIGNED, TransactionStatus.BROADCAST})
"""Nothing on chain yet: these bytes are sent again until the chain shows what became of them."""

SETTLED_FOR_GOOD = frozenset(
    {TransactionStatus.FINALIZED, TransactionStatus.REVERTED, TransactionStatus.CANCELLED}
)
"""Never looked at again."""


class Action(StrEnum):
    """What the queue does next."""

    SEND = "send"
    """Hand the stored bytes to the chain."""
    LOOK_UP = "look_up"
    """Read the sender's nonce, *then* the receipt, and decide again."""
    WAIT = "wait"
    """Look up again later."""
    DONE = "done"
    """The chain holds it; nothing to do but to watch it become final."""
    REPORT = "report"
    """Tell the caller why the chain refuses it; the row stays and is sent again later."""
    FORGET = "forget"
    """Remove the row and tell the caller: no chain can ever take these bytes."""
    STOP_KEY = "stop_key"
    """Send nothing more with this key, raise the alarm."""


class RejectionKind(StrEnum):
    """What a refusal means for a stored transaction."""

    LOOK_UP = "look_up"
    EARLIER_MISSING = "earlier_missing"
    CURABLE = "curable"
    HOPELESS = "hopeless"


REJECTIONS = {
    "nonce_too_low": RejectionKind.LOOK_UP,
    "nonce_gap": RejectionKind.EARLIER_MISSING,
    "insufficient_funds": RejectionKind.CURABLE,
    "fee_too_low": RejectionKind.CURABLE,
    "invalid_signature": RejectionKind.HOPELESS,
    "gas_limit": RejectionKind.HOPELESS,
}
"""By `TransactionRejected.reason`; any other reason is curable, so that nothing is lost by it."""


@dataclass(frozen=True, slots=True)
class SendAccepted:
    """The chain took the bytes, or had them already."""


@dataclass(frozen=True, slots=True)
class SendUnknown:
    """No reply: the bytes may have arrived."""


@dataclass(frozen=True, slots=True)
class SendRejected:
    """The chain refused the bytes. ``reason``: as in `TransactionRejected`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Included:
    """The chain holds a receipt of ours.

    Args:
        succeeded: it did not revert.
        final: the receipt's block is final and still the one at its height.
    """

    succeeded: bool
    final: bool


@dataclass(frozen=True, slots=True)
class Missing:
    """The chain holds no receipt of ours.

    Args:
        chain_nonce: transactions of the sender in the chain, read *before* the receipt (else a
            block between the two reads would look like a foreign transaction).
        resend_due: these bytes were not sent by this process for a while.
    """

    chain_nonce: int
    resend_due: bool


Input: TypeAlias = SendAccepted | SendUnknown | SendRejected | Included | Missing


@dataclass(frozen=True, slots=True)
class Decision:
    """The row's new status, and what to do next."""

    status: TransactionStatus
    action: Action


def decide(status: TransactionStatus, nonce: int, seen: Input) -> Decision:
    """What ``seen`` means for a stored transaction.

    Args:
        status: its status so far.
        nonce: its nonce.
        seen: the reply to a send, or the result of a look-up.
    """
    if status in SETTLED_FOR_GOOD:
        return Decision(status, Action.DONE)
    match seen:
        case Included(succeeded=succeeded, final=final):
            return Decision(_included_status(succeeded, final), Action.DONE)
        case Missing(chain_nonce=chain_nonce) if chain_nonce > nonce:
            return Decision(TransactionStatus.REPLACED, Action.STOP_KEY)
        case Missing(resend_due=resend_due):
            if status not in UNSETTLED:  # its block, or the foreign one, vanished
                return Decision(TransactionStatus.BROADCAST, Action.SEND)
            return Decision(status, Action.SEND if resend_due else Action.WAIT)
        case SendAccepted():
            sent = TransactionStatus.BROADCAST if status in UNSETTLED else status
            return Decision(sent, Action.LOOK_UP)
        case SendUnknown():
            return Decision(status, Action.LOOK_UP)
        case SendRejected(reason=reason):
            return Decision(status, _after_rejection(status, reason))


def _included_status(succeeded: bool, final: bool) -> TransactionStatus:
    if not final:
        return TransactionStatus.INCLUDED
    return TransactionStatus.FINALIZED if succeeded else TransactionStatus.REVERTED


def _after_rejection(status: TransactionStatus, reason: str) -> Action:
    match REJECTIONS.get(reason, RejectionKind.CURABLE):
        case RejectionKind.LOOK_UP:
            return Action.LOOK_UP
        case RejectionKind.EARLIER_MISSING:
            return Action.WAIT  # the queue sends lower nonces first, each round
        case RejectionKind.HOPELESS if status is TransactionStatus.SIGNED:
            return Action.FORGET
        case _:
            return Action.REPORT


def next_nonce(chain_nonce: int, stored: Iterable[tuple[int, TransactionStatus]]) -> int:
    """The nonce for a new transaction: no stored one and none on chain has it.

    Args:
        chain_nonce: transactions of the sender that the chain holds.
        stored: nonce and status of the sender's stored transactions, at least the highest
            nonce of each status.

    Raises:
        LedgerUnavailable: the chain holds fewer transactions than were final: the node lags, or
            the chain was replaced by an older copy.
    """
    rows = list(stored)
    final = [nonce for nonce, status in rows if status in SETTLED_FOR_GOOD]
    if final and chain_nonce <= max(final):
        raise LedgerUnavailable(
            f"the chain holds {chain_nonce} transactions of this key, but {max(final) + 1} were "
            "final: the node lags behind, or the chain was replaced by an older copy"
        )
    return max([chain_nonce, *(nonce + 1 for nonce, _ in rows)])
