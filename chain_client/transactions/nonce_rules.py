"""Which nonce is next, and which missing one may be used up: pure decisions, no I/O."""

from __future__ import annotations

from collections.abc import Iterable

from chain_client.errors import LedgerUnavailable
from chain_client.transactions.state import SETTLED_FOR_GOOD, TransactionStatus

MOST_NONCES = 2**63
"""No account has so many, and no database stores more."""

MOST_FILLED = 16
"""A gap of more nonces than that is none that we made: nothing is signed to close it."""


def own_nonce(chain_nonce: int, stored: Iterable[tuple[int, TransactionStatus]]) -> int | None:
    """The nonce after the stored ones; None if the chain holds more, or nothing is stored.

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
    if not rows:
        return None
    nonce = _after(rows)
    return nonce if chain_nonce <= nonce else None


def unknown_nonces(
    final_nonce: int, stored: Iterable[tuple[int, TransactionStatus]]
) -> tuple[int, int] | None:
    """The first and the last nonce that the chain has used for good after the stored ones.

    Args:
        final_nonce: transactions of the sender up to the final block.
        stored: as of `own_nonce`; what a key did before its first stored one is no secret.

    Raises:
        LedgerUnavailable: no account has so many.
    """
    if final_nonce >= MOST_NONCES:
        raise LedgerUnavailable(f"the chain shows {final_nonce} transactions of this key: a lie")
    rows = list(stored)
    if not rows or final_nonce <= _after(rows):
        return None
    return _after(rows), final_nonce - 1


def _after(rows: list[tuple[int, TransactionStatus]]) -> int:
    return 1 + max(nonce for nonce, _ in rows)


def may_fill(chain_nonce: int, final_nonce: int, next_stored: int | None) -> bool:
    """Whether a missing nonce may be used up by a transfer of nothing.

    Args:
        chain_nonce: the missing one: so many transactions of the sender the chain holds.
        final_nonce: so many it holds up to its final block.
        next_stored: the lowest stored nonce above, if there is one.
    """
    if next_stored is None or final_nonce > chain_nonce:
        return False
    return next_stored - chain_nonce <= MOST_FILLED
