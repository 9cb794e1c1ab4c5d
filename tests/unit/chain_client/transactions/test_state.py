"""The decisions about a stored transaction, as tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_client.errors import LedgerUnavailable
from chain_client.transactions.state import (
    REJECTIONS,
    SETTLED_FOR_GOOD,
    Action,
    Decision,
    Included,
    Input,
    Missing,
    SendAccepted,
    SendRejected,
    SendUnknown,
    TransactionStatus,
    decide,
    next_nonce,
)

SIGNED, BROADCAST, INCLUDED = (
    TransactionStatus.SIGNED,
    TransactionStatus.BROADCAST,
    TransactionStatus.INCLUDED,
)
FINALIZED, REVERTED, REPLACED = (
    TransactionStatus.FINALIZED,
    TransactionStatus.REVERTED,
    TransactionStatus.REPLACED,
)
NONCE = 7
OPEN = (SIGNED, BROADCAST, INCLUDED, REPLACED)


def rejected(reason: str) -> SendRejected:
    return SendRejected(reason)


# what was seen, then (status, action) from each of SIGNED, BROADCAST, INCLUDED, REPLACED
TABLE: list[tuple[Input, list[tuple[TransactionStatus, Action]]]] = [
    (
        SendAccepted(),
        [
            (BROADCAST, Action.LOOK_UP),
            (BROADCAST, Action.LOOK_UP),
            (INCLUDED, Action.LOOK_UP),
            (REPLACED, Action.LOOK_UP),
        ],
    ),
    (SendUnknown(), [(status, Action.LOOK_UP) for status in OPEN]),
    (Included(succeeded=True, final=False), [(INCLUDED, Action.DONE)] * 4),
    (Included(succeeded=False, final=False), [(INCLUDED, Action.DONE)] * 4),
    (Included(succeeded=True, final=True), [(FINALIZED, Action.DONE)] * 4),
    (Included(succeeded=False, final=True), [(REVERTED, Action.DONE)] * 4),
    (
        Missing(NONCE, resend_due=False),
        [
            (SIGNED, Action.WAIT),
            (BROADCAST, Action.WAIT),
            (BROADCAST, Action.SEND),
            (BROADCAST, Action.SEND),
        ],
    ),
    (
        Missing(NONCE, resend_due=True),
        [
            (SIGNED, Action.SEND),
            (BROADCAST, Action.SEND),
            (BROADCAST, Action.SEND),
            (BROADCAST, Action.SEND),
        ],
    ),
    (Missing(NONCE - 3, resend_due=True), [(SIGNED, Action.SEND)] + [(BROADCAST, Action.SEND)] * 3),
    (Missing(NONCE + 1, resend_due=True), [(REPLACED, Action.STOP_KEY)] * 4),
    (Missing(NONCE + 1, resend_due=False), [(REPLACED, Action.STOP_KEY)] * 4),
    (rejected("nonce_too_low"), [(status, Action.LOOK_UP) for status in OPEN]),
    (rejected("nonce_gap"), [(status, Action.WAIT) for status in OPEN]),
    (rejected("insufficient_funds"), [(status, Action.REPORT) for status in OPEN]),
    (rejected("fee_too_low"), [(status, Action.REPORT) for status in OPEN]),
    (rejected("wrong_chain"), [(status, Action.REPORT) for status in OPEN]),
    (rejected("other"), [(status, Action.REPORT) for status in OPEN]),
    (rejected("never heard of"), [(status, Action.REPORT) for status in OPEN]),
    (
        rejected("invalid_signature"),
        [(SIGNED, Action.FORGET), *((status, Action.REPORT) for status in OPEN[1:])],
    ),
    (
        rejected("gas_limit"),
        [(SIGNED, Action.FORGET), *((status, Action.REPORT) for status in OPEN[1:])],
    ),
]


@pytest.mark.parametrize(("seen", "expected"), TABLE, ids=lambda value: repr(value)[:60])
def test_the_table(seen: Input, expected: list[tuple[TransactionStatus, Action]]) -> None:
    for status, (new_status, action) in zip(OPEN, expected, strict=True):
        assert decide(status, NONCE, seen) == Decision(new_status, action), status


@pytest.mark.parametrize("status", sorted(SETTLED_FOR_GOOD))
def test_what_is_settled_for_good_never_moves(status: TransactionStatus) -> None:
    for seen, _ in TABLE:
        assert decide(status, NONCE, seen) == Decision(status, Action.DONE)


def test_every_known_reason_has_its_row() -> None:
    assert {seen.reason for seen, _ in TABLE if isinstance(seen, SendRejected)} >= set(REJECTIONS)


inputs = st.one_of(
    st.just(SendAccepted()),
    st.just(SendUnknown()),
    st.builds(SendRejected, st.sampled_from([*REJECTIONS, "other"])),
    st.builds(Included, st.booleans(), st.booleans()),
    st.builds(Missing, st.integers(0, 20), st.booleans()),
)


@given(st.sampled_from(TransactionStatus), st.integers(0, 20), inputs)
def test_a_reply_alone_neither_settles_nor_stops(
    status: TransactionStatus, nonce: int, seen: Input
) -> None:
    decision = decide(status, nonce, seen)
    if isinstance(seen, SendAccepted | SendUnknown | SendRejected):
        assert decision.status in (status, BROADCAST)
        assert decision.action is not Action.STOP_KEY
    if decision.action is Action.FORGET:
        assert status is SIGNED
    if decision.action is Action.STOP_KEY:
        assert decision.status is REPLACED
    assert status not in SETTLED_FOR_GOOD or decision.status is status


@pytest.mark.parametrize(
    ("chain_nonce", "rows", "nonce"),
    [
        (0, [], 0),
        (5, [], 5),
        (0, [(0, SIGNED)], 1),
        (0, [(0, BROADCAST), (1, BROADCAST)], 2),
        (2, [(1, FINALIZED)], 2),
        (2, [(1, INCLUDED)], 2),
        (1, [(1, INCLUDED)], 2),  # its block vanished just now
        (1, [(3, SIGNED), (0, REVERTED)], 4),
        (9, [(3, REPLACED)], 9),
        (4, [(9, REPLACED)], 10),
    ],
)
def test_the_next_nonce_is_above_all_that_is_known(
    chain_nonce: int, rows: list[tuple[int, TransactionStatus]], nonce: int
) -> None:
    assert next_nonce(chain_nonce, rows) == next_nonce(chain_nonce, rows[::-1]) == nonce


@pytest.mark.parametrize("status", sorted(SETTLED_FOR_GOOD))
@pytest.mark.parametrize("chain_nonce", [0, 4])
def test_no_nonce_is_given_on_a_chain_that_lost_what_was_final(
    chain_nonce: int, status: TransactionStatus
) -> None:
    with pytest.raises(LedgerUnavailable, match="lags behind, or the chain was replaced"):
        next_nonce(chain_nonce, [(4, status), (5, SIGNED)])
