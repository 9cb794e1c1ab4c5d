"""What people read says what happened, and which command comes next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain_client.notices import AlarmState, ChangeKind, CheckWarning, ReportedChecks
from chain_client.notifying.texts import Audience, describe_alarm, describe_change
from tests.unit.chain_client.notifying.notices import BOB, CAROL, a_change, an_alarm, checks

SHORT = "0x" + "3f" * 6
HISTORY = f"mlops-chain model history fraud --proposal {SHORT}"


def test_a_new_proposal_says_who_asks_for_what_until_when_and_how_to_answer() -> None:
    message = describe_change(a_change())
    assert message.audience is Audience.APPROVERS
    assert message.subject == "[mlops-chain] approval wanted: fraud version 3 for alias:champion"
    assert message.text == (
        "ada asks that version 3 of fraud becomes current for alias:champion.\n"
        "\n"
        "Requester    ada\n"
        "Approvals    0 of 2\n"
        "May approve  bob, carol\n"
        "Deadline     2027-01-16 08:00:00 UTC\n"
        f"Proposal     0x{'3f' * 32}\n"
        f"On chain     chain 31337, block 7, 0x{'11' * 32}\n"
        "\n"
        "Look at it, and approve it; the text is shown before anything is signed:\n"
        f"  mlops-chain model approve {SHORT} --key YOUR_KEY\n"
        "or reject it:\n"
        f"  mlops-chain model reject {SHORT} --reason 'why' --key YOUR_KEY\n"
    )


@pytest.mark.parametrize(
    ("values", "subject", "next_command"),
    [
        (
            {"kind": ChangeKind.APPROVED, "actor": BOB, "approved_by": (BOB,)},
            "approved by bob, 1 of 2:",
            f"mlops-chain model approve {SHORT}",
        ),
        (
            {"kind": ChangeKind.QUORUM, "actor": CAROL, "approved_by": (BOB, CAROL)},
            "enough approvals:",
            f"mlops-chain model promote {SHORT}",
        ),
        (
            {"kind": ChangeKind.PROMOTABLE, "actor": None, "approved_by": (BOB, CAROL)},
            "can be promoted now:",
            f"mlops-chain model promote {SHORT}",
        ),
        ({"kind": ChangeKind.PROMOTED, "actor": None, "is_open": False}, "promoted:", HISTORY),
        (
            {"kind": ChangeKind.GLASS_BROKEN, "actor": BOB, "is_open": False, "reason": "fire"},
            "promoted WITHOUT A QUORUM by bob:",
            HISTORY,
        ),
        (
            {"kind": ChangeKind.REJECTED, "actor": BOB, "is_open": False},
            "rejected by bob:",
            f"--supersedes {SHORT}",
        ),
        (
            {"kind": ChangeKind.EXPIRED, "actor": None, "tx_hash": None, "is_open": False},
            "expired:",
            f"mlops-chain model propose fraud 3 --target alias:champion --supersedes {SHORT}",
        ),
    ],
    ids=lambda value: str(value.get("kind")) if isinstance(value, dict) else "",
)
def test_every_change_names_the_command_that_comes_next(
    values: dict[str, object], subject: str, next_command: str
) -> None:
    message = describe_change(a_change(**values))
    assert message.subject.startswith(f"[mlops-chain] {subject}")
    assert next_command in message.text
    assert message.type == f"proposal.{values['kind']}"


PASSED = f"passed, says ada: tags (plugin acme-tags of acme 1.0); configuration 0x{'5' * 12}…"


def test_what_checks_warn_of_is_read_before_it_is_signed_and_whose_word_it_is() -> None:
    found = checks("no tag 'owner'", "hardly better", warning_count=5)
    message = describe_change(a_change(checks=found))
    assert (
        "May approve  bob, carol\n"
        f"Checks       {PASSED}\n"
        "Warning      tags: no tag 'owner'\n"
        "Warning      tags: hardly better\n"
        "Warning      and 3 more, which mlops-chain approvals shows\n"
        "Deadline     "
    ) in message.text
    assert message.data["checks"] == found.to_json()
    assert "Warning" not in describe_change(a_change(checks=checks())).text
    assert "Checks" not in describe_change(a_change()).text


def test_a_report_that_nobody_can_rely_on_is_told_as_such() -> None:
    unreadable = describe_change(a_change(checks=ReportedChecks(obstacle="it can't be read")))
    assert "Checks       it can't be read\n" in unreadable.text
    assert "passed" not in unreadable.text
    text = describe_change(a_change(checks=checks(obstacle="it is not in the log"))).text
    assert f"Checks       {PASSED}\nChecks       it is not in the log\n" in text


def test_who_can_decide_no_more_is_not_told_of_checks_but_programs_are() -> None:
    closed = a_change(kind=ChangeKind.PROMOTED, is_open=False, checks=checks("no tag 'owner'"))
    message = describe_change(closed)
    assert "owner" not in message.text
    assert "no tag 'owner'" in str(message.data["checks"])


@pytest.mark.parametrize("kind", list(ChangeKind))
def test_every_kind_of_change_has_its_text(kind: ChangeKind) -> None:
    message = describe_change(a_change(kind=kind, reason="leaked data"))
    assert "{" not in message.subject + message.text
    assert "Reason       leaked data" in message.text
    assert message.data["kind"] == str(kind)


def test_an_alarm_says_what_stands_and_how_to_say_that_it_was_seen() -> None:
    message = describe_alarm(an_alarm(subject="some 'source'"))
    assert message.audience is Audience.OPERATORS
    assert message.subject == "[mlops-chain] alarm: chain (some 'source')"
    assert "the chain does not answer" in message.text
    assert "docs/how-to/runbook-alarms.md#chain" in message.text
    command = "mlops-chain alarm acknowledge chain 'some '\"'\"'source'\"'\"'' --reason"
    assert command in message.text
    ended = describe_alarm(an_alarm(state=AlarmState.ENDED, at_us=1_800_000_060_000_000))
    assert (ended.type, ended.subject) == (
        "alarm.ended",
        "[mlops-chain] alarm ended: chain (anchor)",
    )
    assert "Until       2027-01-15 08:01:00 UTC" in ended.text


def test_names_from_outside_forge_no_line_and_no_command() -> None:
    message = describe_change(
        a_change(kind=ChangeKind.REJECTED, model="x\n\nrm -rf ~; $(boom)", reason="a\x1b[2J\nb")
    )
    lines = message.text.splitlines()
    assert not any(line.startswith("rm ") for line in lines)
    assert "\x1b" not in message.text
    assert "\\u001b[2J\\u000ab" in message.text
    assert "$'x\\x0a\\x0arm -rf ~; $(boom)'" in message.text
    assert "\n" not in message.subject
    assert len(describe_change(a_change(model="m" * 500)).subject) == 180


def test_no_words_of_a_check_forge_a_line() -> None:
    evil = "fine\r\nApprovals    2 of 2\u2028Deadline     never\x1b[2J\u202e"
    plain = describe_change(a_change(checks=checks("fine"))).text.splitlines()
    values = {"passed": (evil,), "obstacle": evil}
    found = replace(checks(evil, **values), warnings=(CheckWarning(evil, evil),))
    message = describe_change(a_change(checks=found))
    # One line more than without: that of the obstacle.
    assert len(message.text.splitlines()) == len(plain) + 1
    assert not any(char in message.text for char in "\r\u2028\x1b\u202e")
    assert message.text.count("fine\\u000d\\u000aApprovals") == 4
