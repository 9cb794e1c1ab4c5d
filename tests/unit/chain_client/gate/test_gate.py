"""The gate on a chain with real bytecode: what it lets through, and that it fails closed."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.errors import ConfigurationError, LedgerUnavailable
from chain_client.gate.gate import Gate
from chain_client.gate.question import (
    Action,
    Allowed,
    Change,
    Code,
    Decision,
    Files,
    FilesCheck,
    Mode,
    Refused,
    TargetReading,
    Trouble,
    WouldBlock,
)
from chain_client.hosts import ModelIncarnation, Scope
from chain_client.ledger import EmbeddedLedger
from chain_client.ledger.deployment import Deployment
from chain_client.registry.documents import note_document
from chain_client.registry.identity import Salt
from chain_client.verify.report import Verdict
from tests.embedded_chains import make_chain
from tests.forked import in_fork
from tests.unit.chain_client.gate.people import (
    BREAKER,
    CHAMPION,
    FRAUD,
    NOTHING,
    Governed,
    OwnClock,
    digest_of,
    no_files,
    no_text,
)


def code_of(decision: Decision) -> Code:
    assert isinstance(decision, Refused), decision
    return decision.code


def test_only_what_was_approved_on_chain_passes(governed: Governed) -> None:
    assert code_of(governed.check(1)) is Code.NOT_APPROVED
    governed.promote(1)
    assert governed.check(1) == Allowed(True, 1)
    assert code_of(governed.check(2)) is Code.NOT_APPROVED
    governed.promote(2)
    assert governed.check(2) == Allowed(True, 2)
    assert code_of(governed.check(1)) is Code.NOT_APPROVED


def test_another_incarnation_of_the_model_has_no_approval(governed: Governed) -> None:
    governed.promote(1)
    again = ModelIncarnation(FRAUD.store_id, "", "fraud", FRAUD.creation_ms + 1)
    change = Change(Action.SET, "fraud", CHAMPION, 1)
    found = governed.gate.check(again, change, lambda: FilesCheck(Files.UNCHANGED, None), no_text)
    assert code_of(found) is Code.NOT_APPROVED


def test_other_files_than_the_approved_ones_are_refused(governed: Governed) -> None:
    governed.promote(1)
    change = Change(Action.SET, "fraud", CHAMPION, 1)
    for files, code in {
        FilesCheck(Files.CHANGED): Code.FILES_NOT_ATTESTED,
        FilesCheck(Files.CHANGED, NOTHING): Code.FILES_CHANGED,
        FilesCheck(Files.UNCHANGED, NOTHING): Code.DIGEST_DIFFERS,
        FilesCheck(Files.UNREACHABLE): Code.FILES_UNREACHABLE,
    }.items():
        found = governed.gate.check(FRAUD, change, lambda f=files: f, governed.judge)  # type: ignore[misc]
        assert code_of(found) is code


def test_a_text_that_approvers_could_not_read_or_that_lied_lets_nothing_through(
    governed: Governed,
) -> None:
    governed.promote(1, is_noted=False)
    assert code_of(governed.check(1)) is Code.TEXT_UNKNOWN
    note_document(governed.records, governed.documents[1])
    assert governed.check(1) == Allowed(True, 1)
    governed.promote(2, told=replace(FRAUD, name="toy"))
    assert code_of(governed.check(2)) is Code.TEXT_NOT_TRUE
    warned = governed.check(2, gate=governed.new_gate(gate_mode="warn"))
    assert isinstance(warned, WouldBlock)


def test_a_text_that_was_true_is_not_looked_for_again(governed: Governed) -> None:
    governed.promote(1)
    assert isinstance(governed.check(1), Allowed)
    change = Change(Action.SET, "fraud", CHAMPION, 1)
    files = FilesCheck(Files.UNCHANGED, digest_of(1))
    assert isinstance(governed.gate.check(FRAUD, change, lambda: files, no_text), Allowed)


def test_nobody_signs_for_broken_glass_but_for_the_return_from_it(governed: Governed) -> None:
    governed.promote(1)
    hasty = governed.propose(2, told=replace(FRAUD, name="toy"))
    governed.send(BREAKER, governed.contract.break_glass_call(hasty.fields, NOTHING))
    assert governed.check(2) == Allowed(True, 2)
    back = governed.to_return(1, 2)
    governed.roll_back(back)
    assert code_of(governed.check(1)) is Code.TEXT_UNKNOWN
    note_document(governed.records, back)
    assert governed.check(1) == Allowed(True, 3)
    again = governed.to_return(2, 3)
    note_document(governed.records, again)
    governed.roll_back(again)
    assert code_of(governed.check(2)) is Code.TEXT_NOT_TRUE


def test_a_target_without_a_policy_passes_and_the_files_are_not_looked_at(
    governed: Governed,
) -> None:
    change = Change(Action.SET, "fraud", "alias:candidate", 9)
    assert governed.gate.check(FRAUD, change, no_files, no_text) == Allowed(False, 0)


def test_a_removal_needs_the_chain_to_have_none_current(governed: Governed) -> None:
    assert isinstance(governed.check_removal(1), Allowed)
    governed.promote(1)
    assert code_of(governed.check_removal(1)) is Code.REMOVAL_NOT_APPROVED


def test_revoked_paused_and_succeeded_registries_let_nothing_through(governed: Governed) -> None:
    governed.promote(1)
    assert isinstance(governed.check(1), Allowed)
    governed.revoke(1)
    assert code_of(governed.check(1)) is Code.REVOKED
    governed.send(BREAKER, governed.contract.pause_call())
    assert code_of(governed.check(1)) is Code.PAUSED
    governed.send(governed.owner, governed.contract.unpause_call())
    governed.send(governed.owner, governed.contract.succeed_call(BREAKER.address(), NOTHING))
    assert code_of(governed.check(1)) is Code.SUCCEEDED


def test_a_policy_counts_from_its_block_on_and_until_it_is_taken_away(
    ungoverned: Governed,
) -> None:
    governed = ungoverned
    assert governed.gate.mode() is Mode.OFF
    assert governed.gate.gates_anything() is False
    assert governed.check(1) == Allowed(False)
    governed.appoint()
    governed.set_policy()
    assert governed.gate.mode() is Mode.ENFORCE
    assert governed.gate.gates_anything() is True
    assert code_of(governed.check(1)) is Code.NOT_APPROVED
    governed.set_policy(threshold=0)
    assert governed.gate.mode() is Mode.OFF
    assert governed.check(1) == Allowed(False)


def test_warn_lets_pass_and_says_what_it_would_have_refused(governed: Governed) -> None:
    found = governed.check(1, gate=governed.new_gate(gate_mode="warn"))
    assert isinstance(found, WouldBlock)
    assert found.refusal.code is Code.NOT_APPROVED
    assert governed.check(1, gate=governed.new_gate(gate_mode="off")) == Allowed(False)


def test_a_model_in_use_is_not_renamed_and_not_deleted(governed: Governed) -> None:
    def ask(action: Action, version: int = 0, held: tuple[str, ...] = ()) -> Decision:
        return governed.gate.check_model(FRAUD, Change(action, "fraud", "", version), held)

    assert ask(Action.DELETE) == ask(Action.RENAME) == Allowed(False)
    assert code_of(ask(Action.RENAME, held=("alias:old", CHAMPION))) is Code.MODEL_IN_USE
    governed.propose(1)
    assert code_of(ask(Action.DELETE)) is Code.MODEL_IN_USE
    assert code_of(ask(Action.DELETE_VERSION, 1)) is Code.VERSION_IN_USE
    governed.promote(2)
    assert code_of(ask(Action.RENAME)) is Code.MODEL_IN_USE
    assert code_of(ask(Action.DELETE_VERSION, 2)) is Code.VERSION_IN_USE
    assert ask(Action.DELETE_VERSION, 3) == Allowed(False)


def test_a_model_with_a_policy_of_its_own_can_not_be_made_anew_without_it(
    governed: Governed,
) -> None:
    governed.set_policy(threshold=0)
    governed.set_policy(model=governed.model)
    found = governed.gate.check_model(FRAUD, Change(Action.DELETE, "fraud"))
    assert code_of(found) is Code.MODEL_IN_USE


def test_without_a_chain_what_is_gated_is_refused_and_the_rest_goes_on(
    governed: Governed,
) -> None:
    governed.promote(1)
    assert isinstance(governed.check(1), Allowed)
    governed.lose_chain()
    for gate in (governed.gate, governed.new_gate()):
        assert code_of(governed.check(1, gate=gate)) is Code.CHAIN_UNREACHABLE
        assert code_of(governed.check_removal(1, gate=gate)) is Code.CHAIN_UNREACHABLE
        assert governed.check(1, "alias:candidate", gate=gate) == Allowed(False)
        assert gate.mode() is Mode.ENFORCE
        deletion = gate.check_model(FRAUD, Change(Action.DELETE, "fraud"))
        assert code_of(deletion) is Code.CHAIN_UNREACHABLE
    governed.find_chain()
    assert isinstance(governed.check(1), Allowed)


def test_without_chain_and_snapshot_every_target_is_refused(governed: Governed) -> None:
    governed.lose_chain()
    assert code_of(governed.check(1, "alias:candidate")) is Code.CHAIN_UNREACHABLE
    assert governed.gate.gates_anything() is None


def test_a_home_without_policies_goes_on_without_its_chain(ungoverned: Governed) -> None:
    ungoverned.gate.refresh()
    ungoverned.lose_chain()
    assert ungoverned.check(1, gate=ungoverned.new_gate()) == Allowed(False)


def test_another_chain_is_not_believed(governed: Governed, tmp_path: Path) -> None:
    governed.gate.refresh()
    make_chain(tmp_path / "other.db", chain_id=99).close()
    other = EmbeddedLedger(tmp_path / "other.db")
    gate = Gate(governed.settings, governed.client.deployment, other, governed.clock)
    assert code_of(governed.check(1, gate=gate)) is Code.WRONG_CHAIN
    assert governed.check(1, "alias:candidate", gate=gate) == Allowed(False)
    other.close()


def test_a_chain_of_the_same_id_without_the_registry_is_not_believed(
    governed: Governed, tmp_path: Path
) -> None:
    governed.gate.refresh()
    chain_id = governed.client.deployment.chain_id
    other = make_chain(tmp_path / "other.db", chain_id=chain_id)
    gate = Gate(governed.settings, governed.client.deployment, other, governed.clock)
    assert code_of(governed.check(1, gate=gate)) is Code.CONTRACT_MISSING
    other.close()


def test_other_code_at_the_registrys_address_is_not_believed(governed: Governed) -> None:
    governed.promote(1)
    other = replace(governed.client.deployment, registry_code_hash=NOTHING)
    other.write(governed.client.folder.deployment_file)
    assert code_of(governed.check(1, gate=governed.new_gate())) is Code.CONTRACT_MISSING


def test_a_salt_that_only_the_deployments_file_names_is_not_believed(governed: Governed) -> None:
    salt = Salt.create()
    governed.client.folder.registry_salt.write_text(salt.value.hex())
    forged = replace(governed.client.deployment, registry_salt_hash=salt.hash())
    forged.write(governed.client.folder.deployment_file)
    assert code_of(governed.check(1, gate=governed.new_gate())) is Code.SALT_WRONG


def test_another_salt_is_seen_without_the_chain_too(governed: Governed) -> None:
    governed.gate.refresh()
    governed.client.folder.registry_salt.write_text(Salt.create().value.hex())
    governed.lose_chain()
    assert code_of(governed.check(1, gate=governed.new_gate())) is Code.SALT_WRONG


def test_a_chain_that_was_put_back_to_an_older_copy_is_not_believed(governed: Governed) -> None:
    governed.promote(1)
    older = governed.chain_file.with_suffix(".older")
    shutil.copy(governed.chain_file, older)
    governed.revoke(1)
    assert code_of(governed.check(1)) is Code.REVOKED
    governed.client.ledger.close()
    older.replace(governed.chain_file)
    for gate in (governed.gate, governed.new_gate()):
        assert code_of(governed.check(1, gate=gate)) is Code.CHAIN_WENT_BACK


def test_of_the_latest_block_a_shorter_chain_is_read_anew(governed: Governed) -> None:
    gate = governed.new_gate(gate_finality="latest")
    governed.promote(1)
    older = governed.chain_file.with_suffix(".older")
    shutil.copy(governed.chain_file, older)
    governed.revoke(1)
    assert code_of(governed.check(1, gate=gate)) is Code.REVOKED
    governed.client.ledger.close()
    older.replace(governed.chain_file)
    assert isinstance(governed.check(1, gate=gate), Allowed)


def test_a_clock_behind_the_chain_refuses_what_is_gated(governed: Governed) -> None:
    governed.promote(1)
    governed.clock.ahead_s = -290
    assert isinstance(governed.check(1), Allowed)
    governed.clock.ahead_s = -320
    assert code_of(governed.check(1)) is Code.CLOCK_BEHIND
    assert governed.check(1, "alias:candidate") == Allowed(False)


@pytest.mark.parametrize("ahead_s", [3600, -3600], ids=["an hour ahead", "an hour behind"])
def test_a_clock_an_hour_off_lets_nothing_pass_that_is_not_approved(
    governed: Governed, ahead_s: int
) -> None:
    governed.promote(1)
    governed.clock.ahead_s = ahead_s
    assert isinstance(governed.check(1), Allowed) is (ahead_s > 0)
    assert not isinstance(governed.check(2), Allowed)


@pytest.mark.parametrize("content", [None, "ab" * 32, "no hex"])
def test_a_missing_or_another_salt_refuses_everything(
    governed: Governed, content: str | None
) -> None:
    salt = governed.client.folder.registry_salt
    if content is None:
        salt.unlink()
    else:
        salt.write_text(content)
    gate = governed.new_gate()
    assert code_of(governed.check(1, "alias:candidate", gate=gate)) is Code.SALT_WRONG
    found = gate.check_model(FRAUD, Change(Action.DELETE, "fraud"))
    assert code_of(found) is Code.SALT_WRONG


def test_no_path_key_or_address_of_the_server_stands_in_a_refusal(governed: Governed) -> None:
    governed.gate.refresh()
    governed.lose_chain()
    text = str(governed.check(1))
    assert str(governed.settings.home) not in text
    assert governed.client.salt.value.hex() not in text


def test_a_block_without_the_registry_costs_no_new_view(governed: Governed) -> None:
    governed.promote(1)
    governed.check(1)
    found = governed.gate.target(FRAUD, CHAMPION)
    governed.send(
        governed.owner,
        governed.client.contract.rotate_writer_call(
            governed.client.deployment.log_id, governed.client.deployment.writer
        ),
    )
    assert governed.gate.target(FRAUD, CHAMPION) is found
    governed.revoke(1)
    again = governed.gate.target(FRAUD, CHAMPION)
    assert isinstance(again, TargetReading)
    assert again is not found
    assert again.current.is_revoked


def test_a_registry_that_the_home_gets_later_is_taken_in_by_a_running_process(
    governed: Governed,
) -> None:
    file, salt = governed.client.folder.deployment_file, governed.client.folder.registry_salt
    complete, secret = file.read_text(), salt.read_text()
    _without_registry(file)
    salt.unlink()
    before = Deployment.read(file)
    gate = Gate(governed.settings, before, governed.client.ledger, governed.clock)
    assert governed.check(1, gate=gate) == Allowed(False)
    salt.write_text(secret)
    file.write_text(complete)
    assert code_of(governed.check(1, gate=gate)) is Code.NOT_APPROVED


def test_a_deployment_that_loses_its_registry_does_not_open_the_gate(governed: Governed) -> None:
    governed.gate.refresh()
    _without_registry(governed.client.folder.deployment_file)
    assert code_of(governed.check(1)) is Code.NOT_APPROVED


@pytest.mark.parametrize("kept", ["salt", "snapshot"])
@pytest.mark.parametrize("setting", ["auto", "enforce"])
def test_a_deployment_from_before_the_registry_does_not_open_the_gate(
    governed: Governed, kept: str, setting: str
) -> None:
    governed.gate.refresh()
    file = governed.client.folder.deployment_file
    _without_registry(file)
    other = governed.snapshot_file if kept == "salt" else governed.client.folder.registry_salt
    other.unlink()
    gate = Gate(
        replace(governed.settings, gate_mode=setting),
        Deployment.read(file),
        governed.client.ledger,
        governed.clock,
    )
    assert gate.mode() is Mode.ENFORCE
    assert gate.gates_anything() is None
    found = governed.check(1, "alias:candidate", gate=gate)
    assert isinstance(found, Refused)
    assert (found.code, found.status) == (Code.REGISTRY_UNNAMED, 409)
    assert "mlops-chain init" in found.help
    deletion = gate.check_model(FRAUD, Change(Action.DELETE, "fraud"))
    assert code_of(deletion) is Code.REGISTRY_UNNAMED
    assert isinstance(gate.target(FRAUD, CHAMPION), Trouble)


def test_verification_says_that_the_deployment_is_from_before_the_registry(
    governed: Governed,
) -> None:
    _without_registry(governed.client.folder.deployment_file)
    client = ChainClient.open(governed.settings)
    report = client.verify(Scope())
    client.close()
    (found,) = (check for check in report.checks if check.name == "registry")
    assert not found.carried_out
    assert "deployment.json" in found.detail
    assert report.verdict is Verdict.NOT_CHECKED


def _without_registry(file: Path) -> None:
    content = json.loads(file.read_text())
    for key in ("registry", "registry_code_hash", "registry_salt_hash", "registry_block"):
        content[key] = None
    file.write_text(json.dumps(content))


def test_threads_and_forked_children_share_a_gate(governed: Governed) -> None:
    governed.promote(1)
    found: list[Decision] = []
    threads = [threading.Thread(target=lambda: found.append(governed.check(1))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert in_fork(lambda: repr(governed.check(1))) == repr(Allowed(True, 1))
    for thread in threads:
        thread.join()
    assert found == [Allowed(True, 1)] * 4


def test_who_waits_while_another_thread_finds_no_chain_does_not_ask_again(
    governed: Governed,
) -> None:
    threads_count = 4
    all_arrived = threading.Event()

    class Arrivals(OwnClock):
        count = 0

        def monotonic_us(self) -> int:
            self.count += 1
            if self.count == threads_count:
                all_arrived.set()
            return super().monotonic_us()

    class Down(EmbeddedLedger):
        asked = 0

        def chain_id(self) -> int:
            self.asked += 1
            all_arrived.wait(timeout=10)
            raise LedgerUnavailable("down")

    governed.gate.refresh()
    down = Down(governed.chain_file)
    gate = Gate(governed.settings, governed.client.deployment, down, Arrivals())
    troubles: list[object] = []
    threads = [
        threading.Thread(target=lambda: troubles.append(gate.refresh()))
        for _ in range(threads_count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(troubles) == threads_count
    assert {getattr(found, "code", None) for found in troubles} == {Code.CHAIN_UNREACHABLE}
    assert down.asked == 1


def test_to_enforce_without_a_default_policy_does_not_start(ungoverned: Governed) -> None:
    ungoverned.gate.check_start()
    with pytest.raises(ConfigurationError, match="policy apply"):
        ungoverned.new_gate(gate_mode="enforce").check_start()
    ungoverned.appoint()
    ungoverned.set_policy(model=ungoverned.model)
    with pytest.raises(ConfigurationError):
        ungoverned.new_gate(gate_mode="enforce").check_start()
    ungoverned.set_policy()
    ungoverned.new_gate(gate_mode="enforce").check_start()
    ungoverned.lose_chain()
    ungoverned.new_gate(gate_mode="enforce").check_start()


def test_opening_a_gate_does_no_io(tmp_path: Path, governed: Governed) -> None:
    nowhere = Settings(tmp_path / "nowhere")
    Gate(nowhere, governed.client.deployment, EmbeddedLedger(tmp_path / "no.db"))
    assert not nowhere.home.exists()
