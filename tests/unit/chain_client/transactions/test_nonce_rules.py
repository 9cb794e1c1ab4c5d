"""The decisions about nonces, as tables."""

from __future__ import annotations

import pytest

from chain_client.errors import LedgerUnavailable
from chain_client.transactions.nonce_rules import MOST_FILLED, may_fill, own_nonce, unknown_nonces
from chain_client.transactions.state import SETTLED_FOR_GOOD, TransactionStatus

SIGNED, BROADCAST, INCLUDED = (
    TransactionStatus.SIGNED,
    TransactionStatus.BROADCAST,
    TransactionStatus.INCLUDED,
)
FINALIZED, REVERTED, CANCELLED, REPLACED = (
    TransactionStatus.FINALIZED,
    TransactionStatus.REVERTED,
    TransactionStatus.CANCELLED,
    TransactionStatus.REPLACED,
)


@pytest.mark.parametrize(
    ("chain_nonce", "rows", "nonce"),
    [
        (0, [], None),
        (57, [], None),
        (0, [(0, SIGNED)], 1),
        (0, [(0, BROADCAST), (1, BROADCAST)], 2),
        (2, [(1, FINALIZED)], 2),
        (2, [(1, INCLUDED)], 2),
        (1, [(1, INCLUDED)], 2),  # its block vanished just now
        (1, [(3, SIGNED), (0, REVERTED)], 4),
        (4, [(9, REPLACED)], 10),
        (2, [(1, CANCELLED)], 2),
        # the chain says more than we ever signed: no reason to go there
        (3, [(1, CANCELLED)], None),
        (10**6, [(3, SIGNED)], None),
        (2**70, [(3, SIGNED)], None),
    ],
)
def test_a_key_with_stored_ones_goes_on_after_them(
    chain_nonce: int, rows: list[tuple[int, TransactionStatus]], nonce: int | None
) -> None:
    assert own_nonce(chain_nonce, rows) == own_nonce(chain_nonce, rows[::-1]) == nonce


@pytest.mark.parametrize("status", sorted(SETTLED_FOR_GOOD))
@pytest.mark.parametrize("chain_nonce", [0, 4])
def test_no_nonce_is_given_on_a_chain_that_lost_what_was_final(
    chain_nonce: int, status: TransactionStatus
) -> None:
    with pytest.raises(LedgerUnavailable, match="lags behind, or the chain was replaced"):
        own_nonce(chain_nonce, [(4, status), (5, SIGNED)])


@pytest.mark.parametrize(
    ("final_nonce", "rows", "unknown"),
    [
        (57, [], None),
        (2, [(1, FINALIZED)], None),
        (1, [(1, SIGNED)], None),
        (3, [(1, FINALIZED)], (2, 2)),
        (9, [(1, FINALIZED), (3, REPLACED)], (4, 8)),
    ],
)
def test_what_the_chain_has_for_good_after_the_stored_ones_is_unknown(
    final_nonce: int, rows: list[tuple[int, TransactionStatus]], unknown: tuple[int, int] | None
) -> None:
    assert unknown_nonces(final_nonce, rows) == unknown


@pytest.mark.parametrize("rows", [[], [(1, FINALIZED)]])
def test_no_number_is_believed_that_no_account_has(
    rows: list[tuple[int, TransactionStatus]],
) -> None:
    with pytest.raises(LedgerUnavailable, match="a lie"):
        unknown_nonces(2**63, rows)
    assert unknown_nonces(2**63 - 1, []) is None


@pytest.mark.parametrize(
    ("chain_nonce", "final_nonce", "next_stored", "may"),
    [
        (3, 3, 4, True),
        (3, 0, 3 + MOST_FILLED, True),
        (3, 0, 4 + MOST_FILLED, False),  # none that we made
        (3, 4, 5, False),  # used for good: the node lags behind
        (3, 3, None, False),  # nothing of ours waits for it
    ],
)
def test_only_a_small_gap_before_one_of_ours_is_filled(
    chain_nonce: int, final_nonce: int, next_stored: int | None, may: bool
) -> None:
    assert may_fill(chain_nonce, final_nonce, next_stored) is may
