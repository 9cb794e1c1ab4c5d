"""What became of a head that was sent: a pure decision."""

from __future__ import annotations

from enum import Enum

from chain_client.transactions import TransactionStatus
from chain_client.transactions.state import UNSETTLED


class Fate(Enum):
    """What a head that was sent has come to."""

    KEEP = "keep"
    """As it was noted."""
    ON_ITS_WAY = "on its way"
    """Sent, and in no block: also one whose block vanished."""
    INCLUDED = "included"
    """In a block."""
    GONE = "gone"
    """No block will ever hold it; a later head covers its entries."""


_FATES = {
    TransactionStatus.SIGNED: Fate.ON_ITS_WAY,
    TransactionStatus.BROADCAST: Fate.ON_ITS_WAY,
    TransactionStatus.INCLUDED: Fate.INCLUDED,
    TransactionStatus.FINALIZED: Fate.INCLUDED,
}


def decide_fate(
    size: int, status: TransactionStatus | None, chain_size: int, *, is_void: bool = False
) -> Fate:
    """What became of a head.

    Args:
        size: its entries.
        status: of the transaction that carries it; None if no transaction of ours does, because
            the chain's head was taken over.
        chain_size: entries under the chain's latest head.
        is_void: the transaction reverted in its block, or another of ours took its nonce because a
            person cancelled it.
    """
    if status is None:
        # The chain's heads only grow: a head that no longer covers it shows that its block went.
        return Fate.KEEP if size <= chain_size else Fate.GONE
    if is_void and status not in UNSETTLED:
        return Fate.GONE
    return _FATES.get(status, Fate.GONE)
