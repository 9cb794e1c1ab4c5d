"""E-mail: through a real mail server, and what it refuses; over TLS in `test_mail_tls`."""

from __future__ import annotations

import socket
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from chain_client.errors import ChainError, ConfigurationError, ReceiverUnavailable
from chain_client.notices import ProposalChange
from chain_client.notifying.mail import MailServer, parse_addresses, parse_server, to_mail
from chain_client.notifying.texts import describe_change
from tests.receivers import mail_receiver
from tests.unit.chain_client.notifying.notices import a_change, checks

SENDER, TO = "chain@example.com", ("bob@example.com", "carol@example.com")
MESSAGE = describe_change(a_change(model="détection"))


def _send(port: int) -> None:
    server = MailServer("127.0.0.1", port, tls_at_once=False)
    server.send(MESSAGE, SENDER, TO, 1_800_000_000)


def test_a_mail_arrives_as_people_read_it() -> None:
    with mail_receiver() as mail:
        _send(mail.port)
        _send(mail.port)
    first, second = mail.mails
    assert (first.sender, tuple(first.to)) == (SENDER, TO)
    assert first.subject == "[mlops-chain] approval wanted: détection version 3 for alias:champion"
    assert first.text == MESSAGE.text
    assert first.mail["To"] == "bob@example.com, carol@example.com"
    assert first.mail["Auto-Submitted"] == "auto-generated"
    assert first.mail["Date"] == "Fri, 15 Jan 2027 08:00:00 -0000"
    assert first.mail["Message-ID"] == second.mail["Message-ID"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("451 try again later", ReceiverUnavailable),
        ("452 no room", ReceiverUnavailable),
        ("550 we know nobody of that name", ConfigurationError),
        ("554 refused", ConfigurationError),
    ],
)
def test_what_the_server_says_decides_whether_it_is_tried_again(
    reply: str, error: type[ChainError]
) -> None:
    with mail_receiver() as mail:
        mail.replies.append(reply)
        with pytest.raises(error, match=f"refuses the mail for its recipients .{reply[:3]}."):
            _send(mail.port)


def test_a_server_that_does_not_answer_is_tried_again() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(ReceiverUnavailable, match="ConnectionRefusedError"):
            _send(probe.getsockname()[1])


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "http://mail.example.com",
        "smtp://",
        "smtp://me:hunter2@mail.example.com",
        "smtp://mail.example.com/path",
        "smtp://mail.example.com:port",
    ],
)
def test_an_address_that_is_none_of_a_mail_server_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"notify\.smtp_url: expected smtp://") as refused:
        parse_server(url, "", None)
    assert "hunter2" not in str(refused.value)


def test_a_password_comes_from_a_file_alone(tmp_path: Path) -> None:
    file = tmp_path / "password"
    with pytest.raises(ConfigurationError, match=r"notify\.smtp_password_file is not"):
        parse_server("smtp://host", "me", None)
    with pytest.raises(ConfigurationError, match="can't be read"):
        parse_server("smtp://host", "me", file)
    file.write_text("\n")
    with pytest.raises(ConfigurationError, match="is empty"):
        parse_server("smtp://host", "me", file)
    file.write_text("hunter2\nnot this\n")
    server = parse_server("smtp://host", "me", file)
    assert (server.host, server.port, server.password) == ("host", 587, "hunter2")
    assert "hunter2" not in repr(server)
    assert parse_server("smtps://host", "", None).port == 465


def test_a_long_subject_stands_on_one_line_unless_it_is_encoded() -> None:
    for model in ("fraud" * 20, "détection" * 20):
        message = describe_change(a_change(model=model))
        mail = to_mail(message, SENDER, TO, 1)
        head = mail.as_bytes().partition(b"\n\n")[0]
        (line,) = (line for line in head.split(b"\n") if line.startswith(b"Subject:"))
        assert (message.subject.encode() in line) == message.subject.isascii()
        assert len(line) <= 78 or message.subject.isascii()
        found = message_from_bytes(mail.as_bytes(), policy=policy.default)
        assert found["Subject"] == message.subject


def test_addresses_are_checked() -> None:
    assert parse_addresses(" a@b.example ,c@d.example,", "it") == ("a@b.example", "c@d.example")
    assert parse_addresses("", "it") == ()
    for text in ("nobody", "a@b.example; c@d.example", "a@b\nBcc: x@y.example"):
        with pytest.raises(ConfigurationError, match="expected e-mail addresses"):
            parse_addresses(text, "notify.approvers")


EVIL = "fraud\r\nBcc: everybody@example.com\r\n\r\n.\r\nMAIL FROM:<x@example.com>"


@pytest.mark.parametrize(
    "change",
    [
        a_change(model=EVIL),
        a_change(reason=EVIL),
        a_change(checks=checks(EVIL)),
        a_change(checks=checks(passed=(EVIL,))),
        a_change(checks=checks(obstacle=EVIL)),
    ],
    ids=["model", "reason", "warning", "check", "obstacle"],
)
def test_no_words_from_outside_forge_a_header_or_a_second_mail(change: ProposalChange) -> None:
    message = describe_change(change)
    with mail_receiver() as mail:
        MailServer("127.0.0.1", mail.port, tls_at_once=False).send(message, SENDER, TO, 1)
    (found,) = mail.mails
    assert found.mail["Bcc"] is None
    assert found.to == list(TO)
    assert found.text == message.text
    assert "\\u000aBcc" in found.subject + found.text
    assert not any(line.startswith(("Bcc", "MAIL", ".")) for line in found.text.splitlines())
