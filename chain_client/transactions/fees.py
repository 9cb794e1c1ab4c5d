"""What a transaction offers for gas: pure, no I/O."""

from __future__ import annotations

from chain_client.ledger.base import Fees

_BUMP_PER_MILLE = 125
"""Nodes take a replacement that offers 10 % more (geth, Erigon, reth, Besu, Nethermind, anvil) or
12.5 % more (OpenEthereum's rule, which some chains kept)."""


def first_fees(market: Fees, cap_wei: int) -> Fees:
    """What a new transaction offers: the market's fees, cut at the cap.

    Args:
        market: fees that will do now.
        cap_wei: most that is ever offered for a unit of gas.
    """
    return _cut(market.max_fee_wei, market.max_priority_fee_wei, cap_wei, market.is_legacy)


def bumped_fees(highest: Fees, market: Fees, cap_wei: int) -> Fees | None:
    """What a replacement offers: both fees an eighth above ``highest``, or the market's if higher.

    Args:
        highest: the highest offer so far at this nonce.
        market: fees that will do now; they tell the type of the transaction too.
        cap_wei: most that is ever offered for a unit of gas.

    Returns:
        the fees, or None if the cap leaves no room for a replacement that nodes would take.
    """
    fee_wei = _raised(highest.max_fee_wei)
    tip_wei = _raised(_tip(highest))
    if max(fee_wei, tip_wei) > cap_wei:
        return None
    return _cut(
        max(fee_wei, tip_wei, market.max_fee_wei),
        max(tip_wei, market.max_priority_fee_wei),
        cap_wei,
        market.is_legacy,
    )


def _raised(wei: int) -> int:
    return max(wei + 1, -(-wei * (1000 + _BUMP_PER_MILLE) // 1000))


def _tip(fees: Fees) -> int:
    return fees.max_fee_wei if fees.is_legacy else fees.max_priority_fee_wei


def _cut(fee_wei: int, tip_wei: int, cap_wei: int, is_legacy: bool) -> Fees:
    fee_wei = min(fee_wei, cap_wei)
    return Fees(fee_wei, fee_wei if is_legacy else min(tip_wei, fee_wei), is_legacy)
