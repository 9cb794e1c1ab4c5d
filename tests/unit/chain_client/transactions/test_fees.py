"""What is offered for gas, as tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_client.ledger.base import Fees
from chain_client.transactions.fees import bumped_fees, first_fees

CAP = 500


@pytest.mark.parametrize(
    ("market", "offered"),
    [
        (Fees(100, 2), Fees(100, 2)),
        (Fees(500, 2), Fees(500, 2)),
        (Fees(501, 2), Fees(500, 2)),
        (Fees(9000, 700), Fees(500, 500)),
        (Fees(0, 0), Fees(0, 0)),
        (Fees(100, 0, is_legacy=True), Fees(100, 100, is_legacy=True)),
        (Fees(800, 0, is_legacy=True), Fees(500, 500, is_legacy=True)),
    ],
)
def test_a_new_transaction_offers_the_markets_fees_under_the_cap(
    market: Fees, offered: Fees
) -> None:
    assert first_fees(market, CAP) == offered


@pytest.mark.parametrize(
    ("highest", "market", "offered"),
    [
        (Fees(80, 8), Fees(50, 5), Fees(90, 9)),  # an eighth more, though the market fell
        (Fees(80, 8), Fees(200, 20), Fees(200, 20)),  # the market is higher
        (Fees(80, 8), Fees(200, 2), Fees(200, 9)),
        (Fees(80, 8), Fees(50, 20), Fees(90, 20)),
        (Fees(81, 9), Fees(1, 1), Fees(92, 11)),  # rounded up
        (Fees(0, 0), Fees(0, 0), Fees(1, 1)),  # a chain without fees
        (Fees(80, 8), Fees(9000, 8), Fees(500, 9)),  # the market is above the cap
        (Fees(80, 8), Fees(9000, 800), Fees(500, 500)),
        (Fees(444, 1), Fees(1, 1), Fees(500, 2)),
        (Fees(445, 1), Fees(1, 1), None),  # nodes would not take what the cap leaves
        (Fees(500, 1), Fees(9000, 1), None),
        (Fees(80, 80), Fees(50, 5), Fees(90, 90)),
        (Fees(80, 80), Fees(50, 0, is_legacy=True), Fees(90, 90, is_legacy=True)),
        (Fees(80, 80), Fees(200, 0, is_legacy=True), Fees(200, 200, is_legacy=True)),
        (Fees(445, 445), Fees(200, 0, is_legacy=True), None),
    ],
)
def test_a_replacement_offers_an_eighth_more_or_the_markets_fees(
    highest: Fees, market: Fees, offered: Fees | None
) -> None:
    assert bumped_fees(highest, market, CAP) == offered


wei = st.integers(0, 2000)
fees = st.builds(lambda a, b, old: Fees(max(a, b), min(a, b), old), wei, wei, st.booleans())


@given(fees, fees, st.integers(1, 1500))
def test_a_replacement_is_one_that_nodes_take_and_never_above_the_cap(
    highest: Fees, market: Fees, cap: int
) -> None:
    offered = bumped_fees(highest, market, cap)
    tip = highest.max_fee_wei if highest.is_legacy else highest.max_priority_fee_wei
    if offered is None:
        assert cap < max(highest.max_fee_wei * 1.125, highest.max_fee_wei + 1)
        return
    assert offered.max_priority_fee_wei <= offered.max_fee_wei <= cap
    assert offered.max_fee_wei >= highest.max_fee_wei * 1.125
    assert offered.max_priority_fee_wei >= tip * 1.125
    assert offered.max_fee_wei > highest.max_fee_wei
    assert offered.is_legacy == market.is_legacy


@given(fees)
def test_the_cap_is_reached_after_as_many_steps_as_an_eighth_takes(market: Fees) -> None:
    offered: Fees | None = first_fees(market, 10**12)
    steps = 0
    while offered is not None:
        offered = bumped_fees(offered, market, 10**12)
        steps += 1
    assert steps < 300
