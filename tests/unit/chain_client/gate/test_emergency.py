"""Rollbacks and removals that are signed while the chain can't be reached."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from chain_client.errors import (
    CallReverted,
    ContractReverted,
    LedgerUnavailable,
    PromotionConflict,
    PromotionDenied,
    SummaryMismatch,
)
from chain_client.gate.emergency import Emergency, EmergencyRefused, Flaw
from chain_client.gate.emergency_files import (
    EMERGENCY_CONFLICT,
    EMERGENCY_SIGNED,
    EmergencyState,
    StoredEmergency,
)
from chain_client.gate.gate import Gate
from chain_client.gate.modes import Records
from chain_client.gate.question import (
    Action,
    Allowed,
    Change,
    Code,
    Decision,
    Files,
    FilesCheck,
    Refused,
)
from chain_client.ledger.model_registry import Cause, explain
from chain_client.registry.documents import RETURN_WRITTEN
from chain_client.registry.returns import ReturnDocument
from chain_client.registry.statements import SignedStatement
from chain_client.registry.summaries import complete_return
from chain_client.registry.typed_data import hash_summary
from chain_client.signing import Signer
from chain_client.signing.eip712 import Domain
from tests.embedded_chains import make_chain
from tests.unit.chain_client.gate.people import (
    ALICE,
    BOB,
    CAROL,
    CHAMPION,
    FRAUD,
    OWNER_OF_NOTHING,
    REQUESTER,
    Governed,
    Notes,
    no_text,
)


@pytest.fixture
def cut_off(governed: Governed) -> Governed:
    """Versions 1 and 2 were promoted, 2 is current, the gate saw it, and the chain is gone."""
    governed.promote(1)
    governed.promote(2)
    governed.gate.refresh()
    governed.lose_chain()
    return governed


def accept(
    governed: Governed, document: ReturnDocument, *signers: Signer, notes: Records | None = None
) -> StoredEmergency:
    files = governed.signed(document, *signers)
    return governed.gate.accept_emergency(files, notes or Notes())


def flaw_of(governed: Governed, document: ReturnDocument, *signers: Signer) -> Flaw:
    with pytest.raises(EmergencyRefused) as caught:
        accept(governed, document, *signers)
    assert not governed.gate.pending_emergencies()
    assert _is_refused(governed.check(1))
    return caught.value.flaw


def _is_refused(decision: Decision) -> bool:
    return isinstance(decision, Refused) and decision.code is Code.CHAIN_UNREACHABLE


def send(governed: Governed, emergency: Emergency) -> None:
    """As the relay would submit it."""
    document = emergency.document
    signers, signatures = zip(*emergency.signatures, strict=True)
    rest = (document.sequence, document.deadline_s, hash_summary(document.summary))
    if document.former is None:
        call = governed.contract.remove_call(
            document.model_id, document.target_id, *rest, signers, signatures
        )
    else:
        call = governed.contract.rollback_call(document.former.fields, *rest, signers, signatures)
    try:
        governed.client.ledger.call(call, sender=REQUESTER.address())
    except CallReverted as exc:
        raise explain(exc) from exc
    governed.send(REQUESTER, call)


def submit(governed: Governed) -> tuple[list[StoredEmergency], list[tuple[str, str, str]]]:
    alarms: list[tuple[str, str, str]] = []
    changed = governed.gate.submit_pending(
        lambda emergency: send(governed, emergency), lambda *alarm: alarms.append(alarm)
    )
    return changed, alarms


def test_a_rollback_by_two_of_three_lets_that_version_pass_and_no_other(
    cut_off: Governed,
) -> None:
    assert _is_refused(cut_off.check(1))
    notes = Notes()
    stored = accept(cut_off, cut_off.to_return(1, 2), ALICE, CAROL, notes=notes)
    for gate in (cut_off.gate, cut_off.new_gate()):
        assert cut_off.check(1, gate=gate) == Allowed(True, 3, stored.emergency.id)
        assert _is_refused(cut_off.check(2, gate=gate))
        assert _is_refused(cut_off.check(3, gate=gate))
        assert _is_refused(cut_off.check_removal(1, gate=gate))

    (type_, subject, payload), (written, _, _) = notes.found
    assert (type_, written) == (EMERGENCY_SIGNED, RETURN_WRITTEN)
    assert (subject.store, subject.id) == (FRAUD.store_id, stored.emergency.id)
    assert len(payload["signatures"]) == 2  # type: ignore[arg-type]


def test_a_removal_by_two_of_three_lets_the_alias_go(cut_off: Governed) -> None:
    stored = accept(cut_off, cut_off.to_return(None, 2), ALICE, BOB)
    assert cut_off.check_removal(2) == Allowed(True, 3, stored.emergency.id)
    assert _is_refused(cut_off.check(2))


def test_the_files_of_the_version_it_goes_back_to_are_looked_at(cut_off: Governed) -> None:

    accept(cut_off, cut_off.to_return(1, 2), ALICE, BOB)
    change = Change(Action.SET, FRAUD.name, CHAMPION, 1)
    found = cut_off.gate.check(FRAUD, change, lambda: FilesCheck(Files.CHANGED), no_text)
    assert isinstance(found, Refused)
    assert found.code is Code.FILES_NOT_ATTESTED


def test_it_counts_only_while_the_chain_is_gone(cut_off: Governed) -> None:
    accept(cut_off, cut_off.to_return(1, 2), ALICE, BOB)
    cut_off.find_chain()
    found = cut_off.check(1)
    assert isinstance(found, Refused)
    assert found.code is Code.NOT_APPROVED
    assert isinstance(cut_off.check(2), Allowed)


def test_it_does_not_count_against_a_wrong_chain(cut_off: Governed, tmp_path: Path) -> None:
    accept(cut_off, cut_off.to_return(1, 2), ALICE, BOB)
    other = make_chain(tmp_path / "other.db", chain_id=99)
    gate = Gate(cut_off.settings, cut_off.client.deployment, other, cut_off.clock)
    found = cut_off.check(1, gate=gate)
    assert isinstance(found, Refused)
    assert found.code is Code.WRONG_CHAIN
    other.close()


def test_while_the_chain_answers_none_is_accepted(governed: Governed) -> None:
    governed.promote(1)
    with pytest.raises(PromotionConflict, match="answers"):
        accept(governed, governed.to_return(1, 1), ALICE, BOB)


def test_without_a_snapshot_none_is_accepted(cut_off: Governed) -> None:
    cut_off.snapshot_file.unlink()
    cut_off.gate = cut_off.new_gate()  # of a process that never saw the chain
    with pytest.raises(PromotionConflict, match="snapshot"):
        accept(cut_off, cut_off.to_return(1, 2), ALICE, BOB)


def test_against_a_wrong_clock_none_is_accepted(cut_off: Governed) -> None:
    cut_off.find_chain()
    cut_off.clock.ahead_s = -1000
    with pytest.raises(PromotionConflict, match="clock"):
        accept(cut_off, cut_off.to_return(1, 2), ALICE, BOB)
    cut_off.lose_chain()
    assert flaw_of(cut_off, cut_off.to_return(1, 2), ALICE, BOB) is Flaw.CLOCK_BEHIND


def test_too_few_signers_are_refused(cut_off: Governed) -> None:
    assert flaw_of(cut_off, cut_off.to_return(1, 2), ALICE) is Flaw.TOO_FEW


def test_one_signer_twice_is_refused(cut_off: Governed) -> None:
    assert flaw_of(cut_off, cut_off.to_return(1, 2), ALICE, ALICE) is Flaw.DUPLICATE


def test_who_is_no_member_is_refused_even_beside_enough_others(cut_off: Governed) -> None:
    document = cut_off.to_return(1, 2)
    assert flaw_of(cut_off, document, ALICE, REQUESTER) is Flaw.NOT_A_MEMBER
    assert flaw_of(cut_off, document, ALICE, BOB, OWNER_OF_NOTHING) is Flaw.NOT_A_MEMBER


def test_who_left_or_left_and_came_back_is_refused(governed: Governed) -> None:
    governed.promote(1)
    for key in (BOB, CAROL):
        remove = governed.contract.remove_approver_call(governed.group, key.address())
        if key is CAROL:  # two members have to be left for the policy's proposals
            add = governed.contract.add_approver_call(governed.group, BOB.address())
            governed.send(governed.owner, add)
        governed.send(governed.owner, remove)
    governed.gate.refresh()
    governed.lose_chain()
    document = governed.to_return(1, 1)
    assert flaw_of(governed, document, ALICE, CAROL) is Flaw.NOT_A_MEMBER
    assert flaw_of(governed, document, ALICE, BOB) is Flaw.REJOINED


def test_a_passed_deadline_is_refused_and_ends_what_was_accepted(cut_off: Governed) -> None:
    late = cut_off.to_return(1, 2, deadline_in_s=-5)
    assert flaw_of(cut_off, late, ALICE, BOB) is Flaw.EXPIRED
    accept(cut_off, cut_off.to_return(1, 2, deadline_in_s=600), ALICE, BOB)
    assert isinstance(cut_off.check(1), Allowed)
    cut_off.clock.ahead_s = 700
    assert _is_refused(cut_off.check(1))


@pytest.mark.parametrize("sequence", [0, 1, 3])
def test_another_sequence_is_refused(cut_off: Governed, sequence: int) -> None:
    document = cut_off.to_return(1, sequence)
    assert flaw_of(cut_off, document, ALICE, BOB) is Flaw.WRONG_SEQUENCE


def test_a_revoked_version_is_refused(governed: Governed) -> None:
    governed.promote(1)
    governed.promote(2)
    governed.revoke(1)
    governed.gate.refresh()
    governed.lose_chain()
    assert flaw_of(governed, governed.to_return(1, 2), ALICE, BOB) is Flaw.REVOKED


def test_a_version_that_was_only_proposed_is_refused(governed: Governed) -> None:
    governed.promote(2)
    governed.propose(1)
    governed.gate.refresh()
    governed.lose_chain()
    assert flaw_of(governed, governed.to_return(1, 1), ALICE, BOB) is Flaw.NOT_FORMER


def test_a_removal_of_nothing_is_refused(governed: Governed) -> None:
    governed.gate.refresh()
    governed.lose_chain()
    assert flaw_of(governed, governed.to_return(None, 0), ALICE, BOB) is Flaw.NOTHING_CURRENT


def test_a_target_without_policy_needs_none(governed: Governed) -> None:
    governed.promote(1)
    document = governed.to_return(1, 1)
    governed.set_policy(threshold=0)
    governed.gate.refresh()
    governed.lose_chain()
    with pytest.raises(EmergencyRefused) as caught:
        accept(governed, document, ALICE, BOB)
    assert caught.value.flaw is Flaw.NOT_GATED


def test_a_paused_registry_would_refuse_it(governed: Governed) -> None:
    governed.promote(1)
    governed.send(governed.owner, governed.contract.pause_call())
    governed.gate.refresh()
    governed.lose_chain()
    assert flaw_of(governed, governed.to_return(1, 1), ALICE, BOB) is Flaw.PAUSED


def test_what_was_signed_for_another_deployment_is_refused(cut_off: Governed) -> None:
    document = cut_off.to_return(None, 2)
    other = Domain(document.domain.chain_id + 1, document.domain.contract)

    foreign = complete_return(replace(document, domain=other), bytes(32))
    assert flaw_of(cut_off, foreign, ALICE, BOB) is Flaw.FOREIGN


def test_a_contracts_wallet_can_not_be_checked_and_that_is_said(cut_off: Governed) -> None:
    document = cut_off.to_return(1, 2)
    by_alice, by_bob = cut_off.signed(document, ALICE, BOB)
    for signature in (b"\1" * 200, b"", by_alice.signature or b""):
        files = [by_alice, replace(by_bob, signature=signature)]
        with pytest.raises(EmergencyRefused, match="ERC-1271") as caught:
            cut_off.gate.accept_emergency(files, Notes())
        assert caught.value.flaw is Flaw.NOT_CHECKABLE


def test_a_malleable_signature_is_refused(cut_off: Governed) -> None:
    by_alice, by_bob = cut_off.signed(cut_off.to_return(1, 2), ALICE, BOB)
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    signature = by_bob.signature
    assert signature is not None
    high = order - int.from_bytes(signature[32:64], "big")
    flipped = signature[:32] + high.to_bytes(32, "big") + bytes([55 - signature[64]])
    with pytest.raises(EmergencyRefused) as caught:
        cut_off.gate.accept_emergency([by_alice, replace(by_bob, signature=flipped)], Notes())
    assert caught.value.flaw is Flaw.NOT_CHECKABLE


def test_files_about_different_things_or_without_signature_are_refused(
    cut_off: Governed,
) -> None:
    one = cut_off.signed(cut_off.to_return(1, 2), ALICE)
    other = cut_off.signed(cut_off.to_return(None, 2), BOB)
    unsigned = replace(one[0], signer=None, signature=None)
    cases: list[list[SignedStatement]] = [[], one + other, [*one, unsigned]]
    for files in cases:
        with pytest.raises(PromotionDenied):
            cut_off.gate.accept_emergency(files, Notes())


def test_a_text_that_lies_is_refused_though_enough_signed_it(cut_off: Governed) -> None:
    document = cut_off.to_return(1, 2)
    lie = replace(document, summary=document.summary.replace("version 1", "version 2"))
    files = [
        SignedStatement(lie.statement(), lie, key.address(), lie.statement().sign(key))
        for key in (ALICE, BOB)
    ]
    with pytest.raises(SummaryMismatch):
        cut_off.gate.accept_emergency(files, Notes())


def test_the_same_files_again_change_nothing(cut_off: Governed) -> None:
    document, notes = cut_off.to_return(1, 2), Notes()
    first = accept(cut_off, document, ALICE, BOB, notes=notes)
    assert accept(cut_off, document, ALICE, BOB, notes=notes) == first
    assert [type_ for type_, _, _ in notes.found] == [EMERGENCY_SIGNED, RETURN_WRITTEN]


def test_a_second_one_builds_on_the_first_and_both_reach_the_chain_in_order(
    cut_off: Governed,
) -> None:
    accept(cut_off, cut_off.to_return(1, 2), ALICE, BOB)
    with pytest.raises(EmergencyRefused):
        accept(cut_off, cut_off.to_return(None, 2), ALICE, BOB)
    accept(cut_off, cut_off.to_return(None, 3), BOB, CAROL)
    assert isinstance(cut_off.check_removal(1), Allowed)
    assert _is_refused(cut_off.check(1))
    cut_off.find_chain()
    changed, alarms = submit(cut_off)
    assert [stored.state for stored in changed] == [EmergencyState.SUBMITTED] * 2
    assert not alarms
    current = cut_off.contract.current(cut_off.model, cut_off.target())
    assert (current.version, current.sequence, current.cause) == (0, 4, Cause.REMOVED)


def test_what_was_accepted_is_submitted_when_the_chain_is_back(cut_off: Governed) -> None:
    accept(cut_off, cut_off.to_return(1, 2), ALICE, BOB, notes=cut_off.records)
    assert submit(cut_off) == ([], [])
    cut_off.find_chain()
    changed, alarms = submit(cut_off)
    assert [stored.state for stored in changed] == [EmergencyState.SUBMITTED]
    assert not alarms
    assert cut_off.check(1) == Allowed(True, 3)
    assert submit(cut_off) == ([], [])


def test_what_the_chain_has_already_is_not_sent_again(cut_off: Governed) -> None:
    stored = accept(cut_off, cut_off.to_return(1, 2), ALICE, BOB)
    cut_off.find_chain()
    send(cut_off, stored.emergency)

    def never(emergency: Emergency) -> None:
        raise AssertionError("it is on chain")

    changed = cut_off.gate.submit_pending(never, lambda *alarm: None)
    assert [one.state for one in changed] == [EmergencyState.SUBMITTED]


def test_a_conflict_raises_an_alarm_and_stays_flagged(cut_off: Governed) -> None:
    accept(cut_off, cut_off.to_return(1, 2), ALICE, BOB)
    cut_off.find_chain()
    cut_off.promote(3)
    changed, alarms = submit(cut_off)
    assert [stored.state for stored in changed] == [EmergencyState.CONFLICT]
    ((kind, subject, detail),) = alarms
    assert (kind, subject) == (EMERGENCY_CONFLICT, "fraud alias:champion")
    assert "sync" in detail
    assert submit(cut_off) == ([], [])
    files = list((cut_off.settings.home / "gate" / "emergency").glob("*.json"))
    assert len(files) == 1
    assert isinstance(cut_off.check(3), Allowed)


def test_a_chain_that_goes_away_again_leaves_it_pending(cut_off: Governed) -> None:
    accept(cut_off, cut_off.to_return(1, 2), ALICE, BOB)
    cut_off.find_chain()

    def fail(emergency: Emergency) -> None:
        raise LedgerUnavailable("gone again")

    with pytest.raises(LedgerUnavailable):
        cut_off.gate.submit_pending(fail, lambda *alarm: None)
    assert len(cut_off.gate.pending_emergencies()) == 1


def test_a_file_that_was_put_there_by_hand_counts_for_nothing(cut_off: Governed) -> None:
    accept(cut_off, cut_off.to_return(1, 2), ALICE, BOB)
    (file,) = (cut_off.settings.home / "gate" / "emergency").glob("*.json")
    content = json.loads(file.read_text())
    content["seal"] = "00" * 32
    file.write_text(json.dumps(content))
    assert _is_refused(cut_off.check(1))
    assert cut_off.gate.pending_emergencies() == []


def test_what_could_not_be_recorded_does_not_count(cut_off: Governed) -> None:
    class Full(Notes):
        def note(self, *args: object, **named: object) -> None:
            raise LedgerUnavailable("disk full")

    with pytest.raises(LedgerUnavailable):
        accept(cut_off, cut_off.to_return(1, 2), ALICE, BOB, notes=Full())
    assert _is_refused(cut_off.check(1))


def test_what_is_accepted_here_is_what_the_contract_accepts(cut_off: Governed) -> None:
    """The same statements, one by one broken in the same way, before both judges."""
    cut_off.find_chain()
    document = cut_off.to_return(1, 2)
    for signers, name in (
        ((ALICE,), "QuorumMissing"),
        ((ALICE, REQUESTER), "NotApprover"),
    ):
        files = cut_off.signed(document, *signers)
        found = tuple((f.signer, f.signature) for f in files if f.signer and f.signature)
        with pytest.raises(ContractReverted) as caught:
            send(cut_off, Emergency(document, found))
        assert caught.value.name == name
    stale = cut_off.to_return(1, 1)
    found = tuple(
        (f.signer, f.signature)
        for f in cut_off.signed(stale, ALICE, BOB)
        if f.signer and f.signature
    )
    with pytest.raises(ContractReverted) as caught:
        send(cut_off, Emergency(stale, found))
    assert caught.value.name == "SequenceMoved"
