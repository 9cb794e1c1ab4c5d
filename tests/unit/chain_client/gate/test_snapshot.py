"""The snapshot: what is remembered of the registry, and that nobody edits it unseen."""

from __future__ import annotations

import errno
import json
import stat
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain_client.gate.question import Allowed, Code, Decision, Refused
from chain_client.gate.sealed_file import Seal, SealBroken, read_sealed, write_sealed
from chain_client.gate.snapshot import Snapshot
from chain_client.gate.snapshot_file import SnapshotFile
from chain_client.ledger.base import Block
from chain_client.types import Digest
from tests.unit.chain_client.gate.people import (
    ALICE,
    BOB,
    CAROL,
    NOTHING,
    REQUESTER,
    Governed,
)


def code_of(decision: Decision) -> Code:
    assert isinstance(decision, Refused), decision
    return decision.code


def taken(governed: Governed) -> Snapshot:
    found = governed.gate.refresh()
    assert isinstance(found, Snapshot)
    return found


def kept(governed: Governed) -> Snapshot:
    found = SnapshotFile(governed.snapshot_file, Seal(governed.client.folder.gate_seal)).read()
    assert found is not None
    return found


def test_the_file_gives_back_all_that_was_read(governed: Governed) -> None:
    governed.promote(1)
    governed.propose(2)
    governed.revoke(1)
    governed.send(
        governed.owner, governed.contract.remove_approver_call(governed.group, CAROL.address())
    )
    snapshot = taken(governed)
    file = kept(governed)
    assert replace(file, block=snapshot.block) == snapshot
    assert (file.block.number, file.block.hash) == (snapshot.block.number, snapshot.block.hash)
    assert snapshot.members(governed.group) == {ALICE.address(), BOB.address()}
    assert snapshot.versions_in_use(governed.model) == (1,)
    assert snapshot.versions_proposed(governed.model) == (2,)
    assert snapshot.revoked == {(governed.model, 1)}
    (former,) = snapshot.former.values()
    assert former == governed.documents[1].fields
    assert snapshot.has_default_policy
    assert not snapshot.has_own_policy(governed.model)


def test_the_file_is_private_and_only_written_when_the_registry_changed(
    governed: Governed,
) -> None:
    taken(governed)
    file = governed.snapshot_file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    before = file.stat().st_ino
    rotate = governed.client.contract.rotate_writer_call(
        governed.client.deployment.log_id, governed.client.deployment.writer
    )
    governed.send(governed.owner, rotate)
    taken(governed)
    governed.new_gate().refresh()
    assert file.stat().st_ino == before
    governed.register(1)
    taken(governed)
    assert file.stat().st_ino != before


def test_a_proposal_that_was_withdrawn_rejected_or_expired_is_not_open(
    governed: Governed,
) -> None:
    withdrawn, rejected, open_one = (governed.propose(version) for version in (1, 2, 3))
    contract = governed.contract

    governed.send(REQUESTER, contract.withdraw_call(withdrawn.fields))
    governed.send(ALICE, contract.reject_call(rejected.fields, NOTHING, ALICE.address()))
    snapshot = taken(governed)
    assert snapshot.versions_proposed(governed.model) == (3,)
    later = replace(
        snapshot.block,
        number=snapshot.block.number + 1,
        timestamp_s=open_one.fields.deadline_s + 1,
    )
    assert replace(snapshot, block=later).versions_proposed(governed.model) == ()
    assert snapshot.advance([], later).open == {}


def test_an_older_snapshot_never_replaces_a_newer_one(governed: Governed) -> None:
    snapshot = taken(governed)
    file = SnapshotFile(governed.snapshot_file, Seal(governed.client.folder.gate_seal))
    older = replace(snapshot, policies={}, block=Block(1, Digest(bytes(32)), 1, 0))
    file.write(older)
    assert kept(governed).policies == snapshot.policies
    file.write(older, replace_newer=True)
    assert kept(governed).policies == {}


def _drop_policies(content: dict[str, Any]) -> None:
    content["body"]["policies"] = []


def _promote_another_kind(content: dict[str, Any]) -> None:
    content["kind"] = "emergency"


def _drop_seal(content: dict[str, Any]) -> None:
    content["seal"] = ""


def _other_schema(content: dict[str, Any]) -> None:
    content["schema_version"] = 99


def _drop_body(content: dict[str, Any]) -> None:
    del content["body"]


@pytest.mark.parametrize(
    "tamper", [_drop_policies, _promote_another_kind, _drop_seal, _other_schema, _drop_body]
)
def test_a_snapshot_that_was_edited_counts_for_nothing(
    governed: Governed, tamper: Callable[[dict[str, Any]], None]
) -> None:
    taken(governed)
    content = json.loads(governed.snapshot_file.read_text())
    tamper(content)
    governed.snapshot_file.write_text(json.dumps(content))
    with pytest.raises(SealBroken):
        kept(governed)
    governed.lose_chain()
    found = governed.check(1, "alias:candidate", gate=governed.new_gate())
    assert isinstance(found, Refused)
    assert found.code is Code.CHAIN_UNREACHABLE
    governed.find_chain()
    governed.new_gate().refresh()
    assert kept(governed).has_default_policy


def test_every_flipped_byte_of_a_snapshot_is_seen(governed: Governed) -> None:
    taken(governed)
    whole = governed.snapshot_file.read_bytes()
    original = kept(governed)
    for place in range(0, len(whole), max(1, len(whole) // 150)):
        flipped = bytearray(whole)
        flipped[place] ^= 1
        governed.snapshot_file.write_bytes(flipped)
        try:
            found = kept(governed)
        except SealBroken:
            continue
        assert found == original, f"byte {place} changes the snapshot unseen"


def test_a_snapshot_of_another_deployment_counts_for_nothing(governed: Governed) -> None:
    snapshot = taken(governed)
    file = SnapshotFile(governed.snapshot_file, Seal(governed.client.folder.gate_seal))
    foreign = replace(snapshot, chain_id=snapshot.chain_id + 1, policies={})
    file.write(foreign, replace_newer=True)
    governed.lose_chain()
    found = governed.check(1, gate=governed.new_gate())
    assert isinstance(found, Refused)


def test_a_sealed_file_needs_the_same_seal_and_kind(governed: Governed, tmp_path: Path) -> None:
    path = governed.settings.home / "gate" / "anything.json"
    seal = Seal(governed.client.folder.gate_seal)
    write_sealed(path, "one", {"a": 1}, seal)
    assert read_sealed(path, "one", seal) == {"a": 1}
    assert read_sealed(path.with_name("no.json"), "one", seal) is None
    with pytest.raises(SealBroken):
        read_sealed(path, "two", seal)
    other = Seal(tmp_path / "seal")
    other.provide()
    with pytest.raises(SealBroken) as caught:
        read_sealed(path, "one", other)
    secret = governed.client.folder.gate_seal.read_text().strip()
    assert secret not in str(caught.value)


def test_who_has_the_salt_can_not_seal_a_snapshot(governed: Governed) -> None:
    snapshot = taken(governed)
    forged = replace(snapshot, policies={}, block=replace(snapshot.block, number=10**9))
    salt = Seal(governed.client.folder.registry_salt)
    SnapshotFile(governed.snapshot_file, salt).write(forged)
    governed.lose_chain()
    assert code_of(governed.check(1, gate=governed.new_gate())) is Code.CHAIN_UNREACHABLE


def test_the_seal_is_private_made_once_and_no_snapshot_counts_without_it(
    governed: Governed,
) -> None:
    seal = governed.client.folder.gate_seal
    assert stat.S_IMODE(seal.stat().st_mode) == 0o600
    assert seal.read_text() != governed.client.folder.registry_salt.read_text()
    seal.unlink()  # as in a home that is older than seals
    taken(governed)
    first = seal.read_text()
    governed.register(1)
    taken(governed)
    assert seal.read_text() == first
    seal.write_text("no hex")
    governed.register(2)
    assert code_of(governed.check(1, gate=governed.new_gate())) is Code.NOT_APPROVED
    seal.unlink()
    governed.lose_chain()
    found = governed.check(1, "alias:candidate", gate=governed.new_gate())
    assert code_of(found) is Code.CHAIN_UNREACHABLE


def test_a_snapshot_that_can_not_be_written_does_not_stop_what_the_chain_approves(
    governed: Governed,
) -> None:
    (governed.settings.home / "gate").write_text("in the way")
    governed.promote(1)
    assert not isinstance(governed.check(1), Refused)


def test_what_could_not_be_kept_still_counts_for_who_saw_it_and_nothing_older_for_others(
    ungoverned: Governed,
) -> None:
    governed = ungoverned
    governed.appoint()
    assert governed.check(1) == Allowed(False)
    lock = governed.snapshot_file.with_name(".snapshot.json.lock")
    lock.unlink()
    lock.mkdir()  # as if the home could not be written any more
    governed.set_policy()
    assert code_of(governed.check(1)) is Code.NOT_APPROVED
    governed.lose_chain()
    for gate in (governed.gate, governed.new_gate()):
        assert code_of(governed.check(1, gate=gate)) is Code.CHAIN_UNREACHABLE
    assert governed.check(1, "alias:candidate") == Allowed(False)
    unknowing = governed.check(1, "alias:candidate", gate=governed.new_gate())
    assert code_of(unknowing) is Code.CHAIN_UNREACHABLE


def test_an_older_snapshot_goes_when_the_disk_has_no_place_for_a_newer_one(
    ungoverned: Governed, monkeypatch: pytest.MonkeyPatch
) -> None:
    governed = ungoverned
    governed.appoint()
    assert governed.check(1) == Allowed(False)
    governed.set_policy()
    with monkeypatch.context() as full:
        full.setattr(tempfile, "mkstemp", _disk_full)
        assert code_of(governed.check(1)) is Code.NOT_APPROVED
    governed.lose_chain()
    assert code_of(governed.check(1, gate=governed.new_gate())) is Code.CHAIN_UNREACHABLE


def _disk_full(*args: object, **named: object) -> tuple[int, str]:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_an_older_file_does_not_beat_what_this_process_saw(ungoverned: Governed) -> None:
    governed = ungoverned
    governed.appoint()
    assert governed.check(1) == Allowed(False)
    older = governed.snapshot_file.read_bytes()
    governed.set_policy()
    governed.gate.refresh()
    governed.snapshot_file.write_bytes(older)
    governed.lose_chain()
    assert code_of(governed.check(1)) is Code.CHAIN_UNREACHABLE


def test_the_clock_of_a_snapshot_is_the_chains(governed: Governed) -> None:
    governed.set_policy()
    assert taken(governed).block == governed.client.ledger.block("finalized")
