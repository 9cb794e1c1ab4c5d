"""The decisions about a stored transaction, as tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    is_replacement_due,
)

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
NONCE = 7
OPEN = (SIGNED, BROADCAST, INCLUDED, REPLACED)


def rejected(reason: str, *, never_sent_before: bool = False) -> SendRejected:
    return SendRejected(reason, never_sent_before=never_sent_before)


def missing(chain_nonce: int, **seen: bool) -> Missing:
    return Missing(chain_nonce, **{"resend_due": False} | seen)


SEEN: list[dict[str, bool]] = [
    {},
    {"resend_due": True},
    {"replace_due": True},
    {"node_lags": True},
]

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
    (Included(True, final=False, is_cancel=True), [(INCLUDED, Action.DONE)] * 4),
    (Included(True, final=True, is_cancel=True), [(CANCELLED, Action.DONE)] * 4),
    (Included(False, final=True, is_cancel=True), [(CANCELLED, Action.DONE)] * 4),
    (
        missing(NONCE),
        [
            (SIGNED, Action.WAIT),
            (BROADCAST, Action.WAIT),
            (BROADCAST, Action.SEND),
            (REPLACED, Action.WAIT),
        ],
    ),
    (
        missing(NONCE, resend_due=True),
        [
            (SIGNED, Action.SEND),
            (BROADCAST, Action.SEND),
            (BROADCAST, Action.SEND),
            (REPLACED, Action.WAIT),
        ],
    ),
    # a block vanished, or the node has not got it yet
    (
        missing(NONCE, node_lags=True),
        [
            (SIGNED, Action.WAIT),
            (BROADCAST, Action.WAIT),
            (INCLUDED, Action.WAIT),
            (REPLACED, Action.WAIT),
        ],
    ),
    # time to offer more: only for the first in line, and only if it is in no block
    *(
        (
            missing(NONCE, replace_due=True, resend_due=resend_due),
            [
                (SIGNED, Action.REPLACE),
                (BROADCAST, Action.REPLACE),
                (BROADCAST, Action.SEND),
                (REPLACED, Action.WAIT),
            ],
        )
        for resend_due in (False, True)
    ),
    (
        missing(NONCE - 1, replace_due=True),
        [
            (SIGNED, Action.CLOSE_GAP),
            (BROADCAST, Action.CLOSE_GAP),
            (BROADCAST, Action.SEND),
            (REPLACED, Action.WAIT),
        ],
    ),
    # nonces before it are missing on chain
    (
        missing(NONCE - 3),
        [
            (SIGNED, Action.CLOSE_GAP),
            (BROADCAST, Action.CLOSE_GAP),
            (BROADCAST, Action.SEND),
            (REPLACED, Action.WAIT),
        ],
    ),
    (
        missing(NONCE - 3, resend_due=True),
        [(SIGNED, Action.SEND)] + [(BROADCAST, Action.SEND)] * 2 + [(REPLACED, Action.WAIT)],
    ),
    # its nonce is used, and not by us: one answer stops no key, and frees no stopped one
    *(
        (
            missing(NONCE + 1, **seen),
            [(status, Action.WAIT) for status in OPEN[:3]] + [(REPLACED, Action.STOP_KEY)],
        )
        for seen in SEEN
    ),
    *((missing(NONCE + 1, lasts=True, **seen), [(REPLACED, Action.STOP_KEY)] * 4) for seen in SEEN),
    (
        missing(NONCE + 1, is_filler=True),
        [(status, Action.WAIT) for status in OPEN[:3]] + [(REPLACED, Action.FORGET)],
    ),
    (missing(NONCE + 1, is_filler=True, lasts=True), [(status, Action.FORGET) for status in OPEN]),
    (
        missing(NONCE, resend_due=True, lasts=True),
        [(SIGNED, Action.SEND)] + [(BROADCAST, Action.SEND)] * 3,
    ),
    (rejected("nonce_too_low"), [(status, Action.LOOK_UP) for status in OPEN]),
    (rejected("reverted"), [(status, Action.LOOK_UP) for status in OPEN]),
    (rejected("nonce_gap"), [(status, Action.CLOSE_GAP) for status in OPEN]),
    (rejected("underpriced"), [(status, Action.OUTBID) for status in OPEN]),
    (rejected("fee_too_low"), [(status, Action.OUTBID) for status in OPEN]),
    (rejected("insufficient_funds"), [(status, Action.REPORT) for status in OPEN]),
    (rejected("wrong_chain"), [(status, Action.REPORT) for status in OPEN]),
    (rejected("other"), [(status, Action.REPORT) for status in OPEN]),
    (rejected("never heard of"), [(status, Action.REPORT) for status in OPEN]),
    # forgotten only if nobody can have it: what any node may hold is never signed anew
    *(
        (
            rejected(reason, never_sent_before=never_sent_before),
            [(status, action) for status in OPEN],
        )
        for reason in ("invalid_signature", "gas_limit")
        for never_sent_before, action in ((True, Action.FORGET), (False, Action.REPORT))
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
    st.builds(SendRejected, st.sampled_from([*REJECTIONS, "other"]), st.booleans()),
    st.builds(Included, st.booleans(), st.booleans(), st.booleans()),
    st.builds(Missing, st.integers(0, 20), *[st.booleans()] * 5),
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
        assert isinstance(seen, SendRejected | Missing)
        if isinstance(seen, SendRejected):
            assert seen.never_sent_before
        else:
            assert seen.is_filler
            assert seen.chain_nonce > nonce
    if decision.action is Action.REPLACE:
        assert isinstance(seen, Missing)
        assert (seen.chain_nonce, status in (SIGNED, BROADCAST)) == (nonce, True)
    if decision.action is Action.STOP_KEY:
        assert decision.status is REPLACED
    assert status not in SETTLED_FOR_GOOD or decision.status is status


@pytest.mark.parametrize(
    ("signed_ago_us", "seen_ago_us", "block_made", "due"),
    [
        (59, 0, True, False),
        (60, 0, True, True),
        (60, 0, False, False),  # the chain stands still
        (-3600, 59, True, False),  # the clock was put back an hour
        (-3600, 60, True, True),
        (3600, 0, True, True),  # the clock was put forward: early, once
    ],
)
def test_when_more_is_offered(
    signed_ago_us: int, seen_ago_us: int, block_made: bool, due: bool
) -> None:
    assert due == is_replacement_due(
        signed_ago_us=signed_ago_us,
        seen_ago_us=seen_ago_us,
        after_us=60,
        block_made=block_made,
    )
