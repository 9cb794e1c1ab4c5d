"""What may pass the gate, as a table: each row is one way in which something can be wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain_client.gate.decision import clock_trouble, decide, needs_files
from chain_client.gate.question import (
    Action,
    Allowed,
    Change,
    Code,
    Files,
    FilesCheck,
    Mode,
    ModelReading,
    Refused,
    TargetReading,
    Trouble,
    WouldBlock,
)
from chain_client.gate.signed_text import SignedText
from chain_client.ledger.model_registry_values import Cause, Current, Policy
from chain_client.registry.texts import TextVerdict
from chain_client.shown_text import escape_unprintable
from chain_client.types import Address, Digest

DIGEST, COMMITMENT = Digest(b"\1" * 32), Digest(b"\2" * 32)
POLICY = Policy(Digest(b"\3" * 32), 2, 0, 3600)
CURRENT = Current(3, COMMITMENT, 7, 1_700_000_000, Cause.PROMOTED, False)
NONE_CURRENT = Current(0, Digest(bytes(32)), 8, 1_700_000_000, Cause.REMOVED, False)
READING = TargetReading(POLICY, CURRENT, False, None, 42)
SIGNED = replace(READING, signed=SignedText(1, Address(b"\6" * 20), COMMITMENT))
SET = Change(Action.SET, "fraud", "alias:champion", 3)
SET_STAGE = Change(Action.SET, "fraud", "stage:Production", 3, archives_others=True)
LEAVE = Change(Action.LEAVE, "fraud", "alias:champion", 3)
GOOD = FilesCheck(Files.UNCHANGED, DIGEST)
IDLE = ModelReading((), (), False, (), 42)

PASS = [
    pytest.param(READING, SET, GOOD, id="the version that is current on chain"),
    pytest.param(READING, SET_STAGE, GOOD, id="a stage that others leave"),
    pytest.param(replace(READING, policy=None), replace(SET, version=9), None, id="no policy"),
    pytest.param(
        replace(READING, policy=None, is_paused=True), LEAVE, None, id="no policy, though paused"
    ),
    pytest.param(replace(READING, current=NONE_CURRENT), LEAVE, None, id="removal after removal"),
    pytest.param(
        READING,
        Change(Action.LEAVE, "fraud", "stage:Production", 9),
        None,
        id="a version beside the approved one leaves the stage",
    ),
    pytest.param(
        Trouble(Code.CHAIN_UNREACHABLE, "the chain does not answer", is_gated=False),
        SET,
        None,
        id="not gated while the chain is down",
    ),
    pytest.param(IDLE, Change(Action.DELETE, "fraud"), None, id="a model nobody governs"),
    pytest.param(IDLE, Change(Action.RENAME, "fraud"), None, id="its name"),
    pytest.param(
        replace(IDLE, versions=(3,)),
        Change(Action.DELETE_VERSION, "fraud", version=2),
        None,
        id="a version that is neither current nor proposed",
    ),
    pytest.param(
        replace(IDLE, gated_held=("alias:champion",)),
        Change(Action.DELETE, "fraud"),
        None,
        id="a model whose alias is from before the policy may go",
    ),
]

REFUSE = [
    *(
        pytest.param(
            Trouble(code, "something is wrong", is_gated), change, None, code, 409, id=f"{code}"
        )
        for code in (
            Code.CHAIN_UNREACHABLE,
            Code.WRONG_CHAIN,
            Code.CONTRACT_MISSING,
            Code.CHAIN_WENT_BACK,
            Code.CHAIN_INCONSISTENT,
            Code.CLOCK_BEHIND,
            Code.SALT_WRONG,
            Code.REGISTRY_UNNAMED,
        )
        for is_gated in (True, None)
        for change in (SET, LEAVE, Change(Action.RENAME, "fraud"))
    ),
    pytest.param(
        replace(READING, is_paused=True), SET, GOOD, Code.PAUSED, 409, id="contract paused"
    ),
    pytest.param(
        replace(READING, is_paused=True, current=NONE_CURRENT),
        LEAVE,
        None,
        Code.PAUSED,
        409,
        id="contract paused, for a removal too",
    ),
    pytest.param(
        replace(READING, successor=Address(b"\7" * 20)),
        SET,
        GOOD,
        Code.SUCCEEDED,
        409,
        id="contract with a successor",
    ),
    pytest.param(
        READING, replace(SET, version=4), GOOD, Code.NOT_APPROVED, 403, id="another version"
    ),
    pytest.param(
        replace(READING, current=NONE_CURRENT),
        SET,
        GOOD,
        Code.NOT_APPROVED,
        403,
        id="no version is approved",
    ),
    pytest.param(
        READING,
        replace(SET, version=2, held=2),
        GOOD,
        Code.HALF_FINISHED,
        409,
        id="half-finished promotion: the old version again",
    ),
    pytest.param(
        READING,
        replace(LEAVE, version=2),
        None,
        Code.HALF_FINISHED,
        409,
        id="half-finished promotion: the old version leaves",
    ),
    pytest.param(
        replace(READING, current=replace(CURRENT, is_revoked=True)),
        SET,
        GOOD,
        Code.REVOKED,
        403,
        id="revoked",
    ),
    pytest.param(
        READING,
        replace(SET_STAGE, archives_others=False),
        GOOD,
        Code.ARCHIVE_NEEDED,
        403,
        id="a gated stage without archiving",
    ),
    pytest.param(
        READING,
        SET,
        FilesCheck(Files.UNREACHABLE, DIGEST),
        Code.FILES_UNREACHABLE,
        409,
        id="artifact unreachable",
    ),
    pytest.param(READING, SET, None, Code.FILES_UNREACHABLE, 409, id="files not looked at"),
    pytest.param(
        READING,
        SET,
        FilesCheck(Files.NOT_ATTESTED),
        Code.FILES_NOT_ATTESTED,
        403,
        id="digest not attested",
    ),
    pytest.param(
        READING,
        SET,
        FilesCheck(Files.UNCHANGED, None),
        Code.FILES_NOT_ATTESTED,
        403,
        id="attested without a digest",
    ),
    pytest.param(
        READING,
        SET,
        FilesCheck(Files.CHANGED, DIGEST),
        Code.FILES_CHANGED,
        403,
        id="fingerprint changed",
    ),
    pytest.param(
        replace(READING, current=replace(CURRENT, digest=Digest(b"\5" * 32))),
        SET,
        GOOD,
        Code.DIGEST_DIFFERS,
        403,
        id="commitment differs",
    ),
    pytest.param(
        READING, LEAVE, None, Code.REMOVAL_NOT_APPROVED, 403, id="removal of the current version"
    ),
    pytest.param(
        READING,
        Change(Action.LEAVE, "fraud", "stage:Production", 3),
        None,
        Code.REMOVAL_NOT_APPROVED,
        403,
        id="the current version leaves its stage",
    ),
    *(
        pytest.param(reading, Change(action, "fraud"), None, Code.MODEL_IN_USE, 403, id=why)
        for action in (Action.DELETE, Action.RENAME)
        for why, reading in {
            f"{action} with a current version": replace(IDLE, versions=(3,)),
            f"{action} with an open proposal": replace(IDLE, proposed=(4,)),
            f"{action} with a policy of its own": replace(IDLE, has_own_policy=True),
        }.items()
    ),
    pytest.param(
        replace(IDLE, gated_held=("alias:champion",)),
        Change(Action.RENAME, "toy"),
        None,
        Code.MODEL_IN_USE,
        403,
        id="a gated alias would travel to another name",
    ),
    *(
        pytest.param(
            reading,
            Change(Action.DELETE_VERSION, "fraud", version=3),
            None,
            Code.VERSION_IN_USE,
            403,
            id=why,
        )
        for why, reading in {
            "current version deleted": replace(IDLE, versions=(3,)),
            "proposed version deleted": replace(IDLE, proposed=(3,)),
        }.items()
    ),
]


@pytest.mark.parametrize(("reading", "change", "files"), PASS)
@pytest.mark.parametrize("mode", list(Mode))
def test_it_passes(
    mode: Mode, reading: TargetReading | ModelReading | Trouble, change: Change, files: FilesCheck
) -> None:
    assert isinstance(decide(mode, reading, change, files, COMMITMENT), Allowed)


@pytest.mark.parametrize(("reading", "change", "files", "code", "status"), REFUSE)
def test_it_is_refused(
    reading: TargetReading | ModelReading | Trouble,
    change: Change,
    files: FilesCheck | None,
    code: Code,
    status: int,
) -> None:
    found = decide(Mode.ENFORCE, reading, change, files, COMMITMENT)
    assert isinstance(found, Refused)
    assert (found.code, found.status) == (code, status)
    assert change.model in found.reason
    assert found.reason.endswith(".")
    assert found.help
    assert DIGEST.hex() not in str(found)

    warned = decide(Mode.WARN, reading, change, files, COMMITMENT)
    assert warned == WouldBlock(found)
    assert isinstance(decide(Mode.OFF, reading, change, files, COMMITMENT), Allowed)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, Code.TEXT_UNKNOWN),
        (TextVerdict.UNKNOWN, Code.TEXT_UNKNOWN),
        (TextVerdict.UNTRUE, Code.TEXT_NOT_TRUE),
        (TextVerdict.UNCHECKED, Code.NOT_CHECKED),
    ],
)
def test_what_was_signed_has_to_be_known_and_true(text: TextVerdict | None, code: Code) -> None:
    found = decide(Mode.ENFORCE, SIGNED, SET, GOOD, COMMITMENT, text=text)
    assert isinstance(found, Refused)
    assert (found.code, found.status) == (code, 403)
    assert decide(Mode.WARN, SIGNED, SET, GOOD, COMMITMENT, text=text) == WouldBlock(found)
    true = decide(Mode.ENFORCE, SIGNED, SET, GOOD, COMMITMENT, text=TextVerdict.TRUE)
    assert true == Allowed(True, 7)


def test_every_code_is_in_the_table_and_no_status_is_one_that_clients_retry() -> None:
    seen = {row.values[3] for row in REFUSE}
    assert seen | {Code.TEXT_UNKNOWN, Code.TEXT_NOT_TRUE, Code.NOT_CHECKED} == set(Code)
    assert {row.values[4] for row in REFUSE} == {403, 409}


def test_an_allowed_change_names_the_sequence_to_be_read_again() -> None:
    assert decide(Mode.ENFORCE, READING, SET, GOOD, COMMITMENT) == Allowed(True, 7)
    assert decide(Mode.ENFORCE, READING, SET, GOOD, COMMITMENT, "ab") == Allowed(True, 7, "ab")


def test_files_are_looked_at_only_where_the_answer_depends_on_them() -> None:
    assert needs_files(Mode.ENFORCE, READING, SET)
    assert not needs_files(Mode.OFF, READING, SET)
    assert not needs_files(Mode.ENFORCE, READING, LEAVE)
    assert not needs_files(Mode.ENFORCE, READING, replace(SET, version=4))
    assert not needs_files(Mode.ENFORCE, replace(READING, policy=None), SET)


@pytest.mark.parametrize(("now_s", "is_wrong"), [(1_000, False), (699.9, True), (700, False)])
def test_a_clock_may_be_five_minutes_behind_the_newest_block_and_no_more(
    now_s: float, is_wrong: bool
) -> None:
    found = clock_trouble(now_s, 1_000, is_gated=True)
    assert (found is not None) == is_wrong
    if found is not None:
        assert (found.code, found.is_gated) == (Code.CLOCK_BEHIND, True)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("a b; rm -rf $(id)", "'a b; rm -rf $(id)'"),
        ("toy\x1b[2K\r\nRun: sh", "$'toy\\x1b[2K\\x0d\\x0aRun: sh'"),
        ("fraud", "fraud"),
    ],
)
def test_a_refusal_writes_names_so_that_neither_terminal_nor_shell_obeys_them(
    name: str, word: str
) -> None:
    wrong = replace(CURRENT, version=2)
    revoked = replace(CURRENT, is_revoked=True)
    for reading, change in (
        (replace(READING, current=wrong), SET),
        (replace(READING, current=revoked), SET),
        (READING, LEAVE),
        (replace(IDLE, versions=(3,)), Change(Action.DELETE, "fraud")),
        (replace(IDLE, versions=(3,)), Change(Action.DELETE_VERSION, "fraud", version=3)),
    ):
        found = decide(Mode.ENFORCE, reading, replace(change, model=name), GOOD, COMMITMENT)
        assert isinstance(found, Refused)
        assert escape_unprintable(found.reason + found.help) == found.reason + found.help
        assert f" {word}" in found.help
    changed = FilesCheck(Files.CHANGED, DIGEST, "model\x1b[2K.txt")
    found = decide(Mode.ENFORCE, SIGNED, replace(SET, model=name), changed, COMMITMENT)
    assert isinstance(found, Refused)
    assert "model\\u001b[2K.txt" in found.reason
    assert f"verify --model {word}" in found.help
