"""In which mode the gate is, and how it is recorded."""

from __future__ import annotations

import pytest

from chain_client.errors import ConfigurationError
from chain_client.events import Actor, Event, OutcomeStatus, Subject, Timing, new_event_id
from chain_client.gate.modes import (
    GATE_MODE,
    WOULD_BLOCK,
    check_start,
    effective_mode,
    note_mode,
    note_would_block,
    read_would_block,
)
from chain_client.gate.question import Action, Change, Code, Mode, Refused
from chain_client.types import SourceId
from tests.forked import in_fork
from tests.unit.chain_client.gate.people import Notes


@pytest.mark.parametrize(
    ("setting", "any_policy", "mode"),
    [
        ("auto", False, Mode.OFF),
        ("auto", True, Mode.ENFORCE),
        ("auto", None, Mode.ENFORCE),
        ("enforce", False, Mode.ENFORCE),
        ("warn", True, Mode.WARN),
        ("off", True, Mode.OFF),
        ("off", None, Mode.OFF),
    ],
)
def test_the_mode_follows_from_setting_and_chain(
    setting: str, any_policy: bool | None, mode: Mode
) -> None:
    assert effective_mode(setting, any_policy) is mode


def test_only_an_explicit_enforce_needs_a_default_policy() -> None:
    with pytest.raises(ConfigurationError, match="default policy"):
        check_start("enforce", False)
    for setting, has_default in (("enforce", True), ("enforce", None), ("auto", False)):
        check_start(setting, has_default)


def test_the_mode_is_recorded_once_per_process_store_and_mode() -> None:
    notes = Notes()
    for store_id in ("one", "one", "two"):
        note_mode(notes, "home", store_id, "auto", Mode.ENFORCE)
    note_mode(notes, "home", "one", "warn", Mode.WARN)
    found = [(subject.store, payload["mode"]) for type_, subject, payload in notes.found]
    assert found == [("one", "enforce"), ("two", "enforce"), ("one", "warn")]
    assert {type_ for type_, _, _ in notes.found} == {GATE_MODE}

    def again() -> str:
        note_mode(notes, "home", "one", "auto", Mode.ENFORCE)
        return str(len(notes.found))

    assert in_fork(again) == "4"


def test_what_would_have_been_blocked_is_reported() -> None:
    notes = Notes()
    change = Change(Action.SET, "fraud", "alias:champion", 3)
    refusal = Refused(Code.NOT_APPROVED, "It is refused.", "Run something")
    note_would_block(notes, "store", change, refusal, Actor(claimed="eve"))
    ((type_, subject, payload),) = notes.found
    assert (type_, subject) == (WOULD_BLOCK, Subject("store", "would-block", "fraud"))
    event = Event(
        new_event_id(),
        type_,
        SourceId(bytes(16)),
        0,
        12,
        OutcomeStatus.DONE,
        subject,
        Actor("eve"),
        Timing(0),
        payload,
    )
    (row,) = read_would_block([event])
    assert (row.who, row.action, row.target, row.version) == ("eve", "set", "alias:champion", 3)
    assert (row.time_us, row.code, row.reason) == (12, "not_approved", "It is refused.")
