"""Which changes of proposals are told: from the real contract, over looks, time and restarts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain_client.ledger.model_registry_values import ProposalFields
from chain_client.notices import ChangeKind
from chain_client.relay.proposal_changes import ProposalChanges
from chain_client.types import Digest
from tests.embedded_chains import OWNER
from tests.registries import (
    APPROVERS,
    BREAKER,
    GROUP,
    MODEL,
    REQUESTER,
)
from tests.unit.chain_client.relay.gated_sites import Site, told_now

REASON = Digest(b"\x77" * 32)


def _kinds(changes: ProposalChanges) -> list[ChangeKind]:
    return [change.kind for change, _ in told_now(changes)]


def _live(site: Site) -> ProposalFields:
    """Four proposals with every way to end, and what time alone brings about."""
    registry = site.registry
    contract, send = registry.contract, registry.send
    registry.promote(nonce=1)
    second = registry.propose(nonce=2)
    send(APPROVERS[0], contract.approve_call(second))
    send(APPROVERS[1], contract.reject_call(second, REASON, APPROVERS[1].address()))
    third = registry.propose(nonce=3)
    send(REQUESTER, contract.withdraw_call(third))
    registry.gate(threshold=1, min_delay_s=100)
    fourth = registry.propose(nonce=4)
    send(APPROVERS[0], contract.approve_call(fourth))
    return fourth


EXPECTED = [
    *("proposed", "approved", "quorum", "promoted"),
    *("proposed", "approved", "rejected"),
    *("proposed", "withdrawn"),
    *("proposed", "quorum"),
]


def test_everything_that_happens_to_a_proposal_is_told_in_order(site: Site) -> None:
    changes = site.changes(site.from_the_start())
    _live(site)
    told = [change for change, _ in told_now(changes)]
    assert [str(change.kind) for change in told] == EXPECTED
    assert _kinds(changes) == []
    site.clock.ahead_s = 101
    assert _kinds(changes) == [ChangeKind.PROMOTABLE]
    site.clock.ahead_s = 2_000
    assert _kinds(changes) == [ChangeKind.EXPIRED]
    assert _kinds(changes) == []
    made, approved, quorum, promoted = told[:4]
    people = [key.address() for key in APPROVERS]
    assert [p.address for p in made.may_still_approve] == people
    assert made.actor is not None
    assert made.actor.address == made.requester.address == REQUESTER.address()
    assert [p.address for p in approved.may_still_approve] == people[1:]
    assert [p.address for p in quorum.approved_by] == people[:2]
    assert [change.is_open for change in (made, approved, quorum, promoted)] == [True] * 3 + [False]
    assert promoted.may_still_approve == ()
    assert (made.threshold, made.model) == (2, "model 0x" + "61" * 32)


def test_whoever_starts_again_at_any_place_is_told_the_rest_and_nothing_twice(site: Site) -> None:
    start = site.from_the_start()
    _live(site)
    site.clock.ahead_s = 2_000
    whole = told_now(site.changes(start))
    assert [str(change.kind) for change, _ in whole] == [*EXPECTED, "promotable", "expired"]
    assert len({change.notice_id for change, _ in whole}) == len(whole)
    for number, (_, cursor) in enumerate(whole, 1):
        assert told_now(site.changes(cursor)) == whole[number:]


def test_the_first_start_tells_nothing_old_and_the_next_goes_on_from_there(site: Site) -> None:
    first = site.registry.propose(nonce=1)
    site.clock.ahead_s = 601
    changes = site.changes()
    assert _kinds(changes) == []
    cursor = changes.cursor()
    site.clock.ahead_s = 0
    site.registry.send(APPROVERS[0], site.registry.contract.approve_call(first))
    assert _kinds(site.changes(cursor)) == [ChangeKind.APPROVED]


@pytest.mark.parametrize("cursor", ["", "null", "[]", '["0x00", 1, 2, 3]', "no json", "3"])
def test_a_cursor_of_another_registry_or_none_at_all_is_a_first_start(
    site: Site, cursor: str
) -> None:
    site.registry.propose()
    assert _kinds(site.changes(cursor)) == [ChangeKind.PROPOSED]


def test_breaking_the_glass_asks_nobody_for_approval(site: Site) -> None:
    changes = site.changes(site.from_the_start())
    fields = replace(site.registry.fields(), requester=BREAKER.address())
    site.registry.send(BREAKER, site.registry.contract.break_glass_call(fields, REASON))
    (told,) = told_now(changes)
    assert told[0].kind is ChangeKind.GLASS_BROKEN
    assert told[0].actor is not None
    assert told[0].actor.address == BREAKER.address()
    assert not told[0].is_open


def test_an_open_proposal_that_can_be_promoted_no_more_is_told_once(site: Site) -> None:
    changes = site.changes(site.from_the_start())
    registry = site.registry
    registry.propose(nonce=1)
    registry.gate(threshold=3)
    registry.propose(nonce=2)
    registry.send(BREAKER, registry.contract.revoke_version_call(MODEL, 1, REASON))
    site.clock.ahead_s = 5_000
    told = [change for change, _ in told_now(changes)]
    assert [str(change.kind) for change in told] == [
        *("proposed", "policy-changed", "proposed", "revoked"),
    ]
    assert [change.is_open for change in told] == [True, False, True, False]


def test_an_approver_who_left_counts_no_more(site: Site) -> None:
    changes = site.changes(site.from_the_start())
    registry, contract = site.registry, site.registry.contract
    fields = registry.propose()
    for approver in APPROVERS[:2]:
        registry.send(approver, contract.approve_call(fields))
    registry.send(OWNER, contract.remove_approver_call(GROUP, APPROVERS[0].address()))
    registry.send(APPROVERS[2], contract.approve_call(fields))
    told = [change for change, _ in told_now(changes)]
    kinds = [str(change.kind) for change in told]
    assert kinds == ["proposed", "approved", "quorum", "quorum"]
    assert len(told[-1].approved_by) == 2
    assert len({change.notice_id for change in told}) == 4
