"""State and history, folded from events, with and without the readable side of the log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain_client.errors import InvalidEvent, UnknownName, UnknownProposal
from chain_client.events import Actor, Subject
from chain_client.ledger.model_registry import ANY_MODEL, ROLE_NAMES, Cause, ProposalStatus
from chain_client.registry import documents
from chain_client.registry.drafts import (
    Draft,
    find_draft,
    get_draft,
    list_drafts,
    new_draft_id,
    note_draft,
)
from chain_client.registry.history import Lookup, tell
from chain_client.registry.identity import Salt
from chain_client.registry.state import fold
from chain_client.registry.statements import request_approval
from chain_client.registry.targets import Target
from chain_client.types import Digest, to_hex
from tests.unit.chain_client.registry.office import (
    ALICE,
    BOB,
    BREAKER,
    CAROL,
    CHAMPION,
    DAVE,
    FRAUD,
    Office,
)


def test_a_history_names_people_blocks_and_what_each_signature_means(office: Office) -> None:
    document = office.propose()
    office.client.review(document, signer=DAVE)
    office.client.approve(document, signer=BOB)
    office.client.approve(document, signer=CAROL)
    office.client.promote(document)
    entries = office.client.history().of_model(document.fields.model).entries
    told = [(entry.what, entry.name, entry.meaning, entry.version) for entry in entries]
    assert told == [
        ("policy set", "", "", None),
        ("version registered", "", "", 1),
        ("promotion proposed", "alice", "authorship", 1),
        ("proposal reviewed", "dave", "review", 1),
        ("proposal approved", "bob", "approval", 1),
        ("proposal approved", "carol", "approval", 1),
        ("version promoted", "", "", 1),
    ]
    assert all(entry.target == "alias:champion" for entry in entries[2:])
    assert all(entry.model_name == "fraud" for entry in entries[1:])
    assert [e.block_number for e in entries] == sorted(e.block_number for e in entries)
    shown = entries[4].to_json()
    assert shown["who"] == to_hex(BOB.address())
    assert shown["proposal"] == to_hex(document.id)
    assert str(shown["at"]).endswith("UTC")
    assert "files 0x6464" in entries[2].detail
    assert "attested by leaf 7" in entries[1].detail
    assert "2 of risk" in entries[0].detail


def test_groups_and_roles_are_told_too(office: Office) -> None:
    office.client.remove_approver("risk", DAVE.address())
    office.client.revoke_role("breaker", BREAKER.address())
    office.client.pause()
    office.client.unpause()
    told = {entry.what: entry.detail for entry in office.client.history().entries}
    assert told["approver removed"].startswith("dave (0x")
    assert told["approver removed"].endswith("seat 2 of risk")
    assert told["role revoked"].startswith("breaker: eve (0x")
    assert {"registry paused", "registry unpaused", "approver added", "role granted"} <= set(told)


def test_without_the_log_a_history_shows_hashes(office: Office) -> None:
    document = office.promote()
    events = office.client.events()
    nothing = Lookup({}, {}, {}, {}, {})
    entries = tell(events, office.client.times(events), nothing).entries
    proposed = next(entry for entry in entries if entry.meaning == "authorship")
    assert proposed.model_name == f"model {to_hex(document.fields.model)}"
    assert proposed.target == f"target {to_hex(document.fields.target)}"
    assert to_hex(document.fields.summary_hash) in proposed.detail
    assert proposed.name == ""
    assert len(entries) == len(office.client.history().entries)


def test_the_state_holds_what_the_contract_says(office: Office) -> None:
    client = office.client
    first, second = office.promote(1), office.promote(2)
    pending = office.propose(3)
    client.approve(pending, signer=DAVE)
    state = client.state()
    model, target = first.fields.model, first.fields.target
    current = client.contract.current(model, target)
    change = state.current(model, target)
    assert change is not None
    assert (change.version, change.sequence, change.at_s, change.cause) == (
        current.version, current.sequence, current.since_s, Cause.PROMOTED,
    )  # fmt: skip
    assert [one.version for one in state.currents()] == [2]
    former = state.formerly_current(model, target)
    assert [(one.version, one.proposal_id) for one in former] == [(1, first.id)]
    record = state.proposals[pending.id]
    assert record.approved_by == (DAVE.address(),)
    assert [one.id for one in state.open_proposals(client.now_s())] == [pending.id]
    assert state.open_proposals(pending.fields.deadline_s + 1) == []
    assert state.proposals[second.id].status is ProposalStatus.PROMOTED
    group = client.group_id("risk")
    assert state.members(group) == (BOB.address(), CAROL.address(), DAVE.address())
    version = client.contract.version(model, 1)
    assert version == state.versions[model, 1]
    assert state.roles[next(r for r in ROLE_NAMES if ROLE_NAMES[r] == "requester")] == {
        ALICE.address()
    }
    in_force = state.policy(model, target)
    assert in_force is not None
    assert in_force.policy == client.contract.policy(model, target).policy
    assert in_force.policy_hash == first.fields.policy_hash

    client.revoke_version(model, 1, "leaks", signer=BREAKER)
    assert client.state().formerly_current(model, target) == []
    assert client.state().versions[model, 1].is_revoked


def test_policies_and_seats_are_kept_with_their_times(office: Office) -> None:
    client = office.client
    target = client.target_id(CHAMPION)
    policy = client.state().own_policies()[ANY_MODEL, target]
    client.set_policy(None, CHAMPION, replace(policy, threshold=3))
    client.set_policy(None, CHAMPION, replace(policy, threshold=0))
    client.remove_approver("risk", BOB.address())
    state = client.state()
    intervals = state.policies[ANY_MODEL, target]
    assert [one.policy and one.policy.threshold for one in intervals] == [2, 3, None]
    assert [one.until_s for one in intervals[:-1]] == [one.since_s for one in intervals[1:]]
    assert intervals[-1].until_s is None
    assert state.policy(client.model_id(FRAUD), target) is None
    seats = state.groups[client.group_id("risk")]
    assert [seat.address for seat in seats if seat.until_s is not None] == [BOB.address()]
    found = state.policy_by_hash(ANY_MODEL, target, intervals[0].policy_hash)
    assert found is not None
    assert found.policy == intervals[0].policy


def test_events_are_read_once_and_none_is_missed(office: Office) -> None:
    client = office.client
    office.propose(1)
    before = client.events()
    office.connect().grant_role("requester", DAVE.address())
    after = client.events()
    assert after[:-1] == before
    assert after == office.connect().events()
    assert fold(after, client.times(after)).block_number == after[-1].block_number


def test_a_document_that_was_changed_in_the_log_counts_for_nothing(office: Office) -> None:
    document = office.propose()
    forged = document.to_json()
    forged["summary"] = str(forged["summary"]).replace("fraud", "harmless")
    other = office.write(2)
    subject = Subject(FRAUD.store_id, "proposal", to_hex(other.id))
    office.records.note("proposal.written", subject, {"document": forged})
    office.records.note("proposal.written", subject, {"document": {"format": "?"}})
    office.records.note("proposal.written", subject, {})
    assert documents.find_proposal(office.log, other.id) is None
    with pytest.raises(UnknownProposal, match="no proposal whose id begins"):
        office.client.find_document(to_hex(other.id))
    third = office.write(3)
    lie = third.to_json()
    lie["summary"] = str(lie["summary"]).replace("fraud", "harmless")
    same = Subject(FRAUD.store_id, "proposal", to_hex(third.id))
    office.records.note("proposal.written", same, {"document": lie})
    assert documents.find_proposal(office.log, third.id) is None
    documents.note_document(office.records, third)
    assert documents.find_proposal(office.log, third.id) == third
    assert documents.find_proposal(office.log, document.id) == document


def test_names_in_the_log_count_only_if_they_hash_to_their_id(office: Office) -> None:
    before = office.client.names()
    office.records.note(
        "name.written",
        Subject("", "name", to_hex(office.client.group_id("risk"))),
        {"kind": "group", "name": "harmless"},
    )
    office.records.note("name.written", Subject("", "name", "x"), {"kind": "model", "model": 3})
    office.records.note("name.written", Subject("", "name", "x"), {"kind": "target", "name": "!"})
    after = office.client.names()
    assert after.groups[office.client.group_id("risk")] == "risk"
    assert set(after.groups) - set(before.groups) == {office.client.group_id("harmless")}
    assert after.targets == before.targets
    other = documents.NameBook.read(office.log, Salt(b"\x01" * 32))
    assert office.client.group_id("risk") not in other.groups


def test_signed_statements_are_kept_and_forged_ones_left_out(office: Office) -> None:
    document = office.propose()
    office.client.approve(document, signer=BOB)
    kept = documents.statements(office.log, document)
    assert [one.meaning for one in kept] == ["authorship", "approval"]
    forged = replace(request_approval(document).sign(CAROL, None), signer=DAVE.address())
    documents.note_statement(office.records, forged)
    assert documents.statements(office.log, document) == kept


def test_a_reason_is_kept_under_its_hash(office: Office) -> None:
    salted = documents.salt_reason("two\nlines")
    documents.note_reason(office.records, salted)
    hashed = documents.hash_reason(salted)
    assert documents.find_reason(office.log, hashed) == "two\nlines"
    subject = Subject("", "reason", to_hex(b"\x01" * 32))
    office.records.note("reason.written", subject, {"text": "forged"})
    assert documents.find_reason(office.log, b"\x01" * 32) is None
    with pytest.raises(InvalidEvent):
        documents.salt_reason(" ")


def test_several_proposals_of_one_beginning_are_not_guessed(office: Office) -> None:
    office.propose(1)
    office.propose(2)
    with pytest.raises(UnknownProposal, match="2 proposals whose id begins"):
        office.client.find_document("0x")


def test_drafts_come_back_from_the_log(office: Office) -> None:
    draft = Draft(
        new_draft_id(), "s" * 32, "ws", "fraud", 3, Target.parse("stage:production"),
        "no approval", Actor("alice", "al"), mode="warn",
    )  # fmt: skip
    note_draft(office.records, draft)
    note_draft(office.records, replace(draft, id=new_draft_id(), version=None, actor=Actor()))
    note_draft(office.records, replace(draft, reason="no approval, again"))
    draft = replace(draft, reason="no approval, again")
    office.records.note("promotion.refused", Subject("s" * 32, "draft", "x"), {"model": 1})
    found = list(list_drafts(office.log))
    assert len(found) == 3
    assert find_draft(office.log, draft.id) == replace(draft, time_us=found[2].time_us)
    assert get_draft(office.log, draft.id[:6]).id == draft.id
    assert [one.who for one in found] == ["alice", "unknown", "alice"]
    assert replace(draft, actor=Actor(None, "al")).who == "(al)"
    assert find_draft(office.log, "x") is None
    with pytest.raises(UnknownName, match="2 drafts"):
        get_draft(office.log, "")


def test_what_a_place_never_had_is_none(office: Office) -> None:
    state = office.client.state()
    nowhere = Digest(b"\x09" * 32)
    assert state.current(nowhere, nowhere) is None
    assert state.formerly_current(nowhere, nowhere) == []
    assert state.policy(nowhere, nowhere) is None
    assert state.policy_by_hash(nowhere, nowhere, nowhere) is None
    assert state.members(nowhere) == ()
