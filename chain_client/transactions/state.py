"""What to do about one stored transaction: pure decisions, no I/O.

::

    SIGNED ──► BROADCAST ──► INCLUDED ──► FINALIZED
       │           ▲  │          │  ├───► REVERTED    included for good, but it failed
       │           │  │          │  └───► CANCELLED   our self-transfer is there for good
       │           └──┼──────────┤ the receipt vanished (reorg)
       │              ▼          ▼
       └─────────► REPLACED ◄────┘        the chain holds another transaction at its nonce

A row has one attempt or more: transactions signed at its nonce, each offering more than the one
before; a receipt of any of them settles it. It leaves SIGNED and BROADCAST only by what the chain
shows, never by what a reply says: a lost reply, a timeout and ``nonce too low`` all end in a
look-up by hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


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
    """Read the sender's nonce, *then* the receipts, and decide again."""
    OUTBID = "outbid"
    """Look up; if no block holds it, replace it."""
    REPLACE = "replace"
    """Sign the same call at the same nonce with higher fees, store it, send it."""
    CLOSE_GAP = "close_gap"
    """Nonces before it are missing on chain: see to the lowest one. It waits itself."""
    WAIT = "wait"
    """Look up again later."""
    DONE = "done"
    """The chain holds it; nothing to do but to watch it become final."""
    REPORT = "report"
    """Tell the caller why the chain refuses it; the row stays and is sent again later."""
    FORGET = "forget"
    """No chain can ever take these bytes, or nothing is lost without them: cancel or remove it."""
    STOP_KEY = "stop_key"
    """Send nothing more with this key, raise the alarm."""


class RejectionKind(StrEnum):
    """What a refusal means for a stored transaction."""

    LOOK_UP = "look_up"
    EARLIER_NEEDED = "earlier_needed"
    OUTBID = "outbid"
    CURABLE = "curable"
    HOPELESS = "hopeless"


REJECTIONS = {
    "nonce_too_low": RejectionKind.LOOK_UP,
    "reverted": RejectionKind.LOOK_UP,  # hardhat mines it, and then says so
    "nonce_gap": RejectionKind.EARLIER_NEEDED,
    "underpriced": RejectionKind.OUTBID,
    "fee_too_low": RejectionKind.OUTBID,
    "insufficient_funds": RejectionKind.CURABLE,
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
    """The chain refused the bytes.

    Args:
        reason: as in `TransactionRejected`.
        never_sent_before: nothing at this nonce was ever handed to any node before.
    """

    reason: str
    never_sent_before: bool = False


@dataclass(frozen=True, slots=True)
class Included:
    """The chain holds a receipt of ours.

    Args:
        succeeded: it did not revert.
        final: the receipt's block is final and still the one at its height.
        is_cancel: it is the self-transfer that cancels the call.
    """

    succeeded: bool
    final: bool
    is_cancel: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """The chain holds no receipt of any of our attempts.

    Args:
        chain_nonce: transactions of the sender in the chain, read *before* the receipts (else a
            block between the two reads would look like a foreign transaction).
        resend_due: these bytes were not sent by this process for a while.
        replace_due: it is time to offer more.
        node_lags: the node has not the block yet that held it, so its silence means nothing.
        is_filler: the row only fills a gap between nonces.
        lasts: for a while, every look showed the row's nonce to be used, or to be free, as now.
    """

    chain_nonce: int
    resend_due: bool
    replace_due: bool = False
    node_lags: bool = False
    is_filler: bool = False
    lasts: bool = False


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
        case Included():
            return Decision(_included_status(seen), Action.DONE)
        case Missing():
            return _after_look_up(status, nonce, seen)
        case SendAccepted():
            sent = TransactionStatus.BROADCAST if status in UNSETTLED else status
            return Decision(sent, Action.LOOK_UP)
        case SendUnknown():
            return Decision(status, Action.LOOK_UP)
        case SendRejected():
            return Decision(status, _after_rejection(status, seen))


def _included_status(seen: Included) -> TransactionStatus:
    if not seen.final:
        return TransactionStatus.INCLUDED
    if seen.is_cancel:
        return TransactionStatus.CANCELLED
    return TransactionStatus.FINALIZED if seen.succeeded else TransactionStatus.REVERTED


def _after_look_up(status: TransactionStatus, nonce: int, seen: Missing) -> Decision:
    if seen.chain_nonce > nonce:
        if not seen.lasts and status is not TransactionStatus.REPLACED:
            return Decision(status, Action.WAIT)  # one answer of one node stops no key
        if seen.is_filler:  # the nonce is used, which was all that it was for
            return Decision(status, Action.FORGET)
        return Decision(TransactionStatus.REPLACED, Action.STOP_KEY)
    if status is TransactionStatus.REPLACED and not seen.lasts:
        return Decision(status, Action.WAIT)  # and none sets it free again
    if status not in UNSETTLED:  # its block, or the foreign one, vanished
        if seen.node_lags:
            return Decision(status, Action.WAIT)
        return Decision(TransactionStatus.BROADCAST, Action.SEND)
    if seen.replace_due and seen.chain_nonce == nonce:  # more gas price helps only the first
        return Decision(status, Action.REPLACE)
    if seen.resend_due:
        return Decision(status, Action.SEND)
    return Decision(status, Action.CLOSE_GAP if seen.chain_nonce < nonce else Action.WAIT)


def _after_rejection(status: TransactionStatus, seen: SendRejected) -> Action:
    match REJECTIONS.get(seen.reason, RejectionKind.CURABLE):
        case RejectionKind.LOOK_UP:
            return Action.LOOK_UP
        case RejectionKind.EARLIER_NEEDED:
            return Action.CLOSE_GAP
        case RejectionKind.OUTBID:
            return Action.OUTBID
        case RejectionKind.HOPELESS if seen.never_sent_before:
            return Action.FORGET
        case _:
            return Action.REPORT


def is_replacement_due(
    *, signed_ago_us: int, seen_ago_us: int, after_us: int, block_made: bool
) -> bool:
    """Whether a transaction that no block takes is replaced by one that offers more.

    A jump of the wall clock may let it happen early once, and can't keep it from happening.

    Args:
        signed_ago_us: since its newest attempt was signed, by the wall clock.
        seen_ago_us: since this process first found that attempt missing, by the steady clock.
        after_us: how long is waited.
        block_made: the chain made a block meanwhile: on a chain that stands still, more money
            helps nothing.
    """
    return block_made and max(signed_ago_us, seen_ago_us) >= after_us
