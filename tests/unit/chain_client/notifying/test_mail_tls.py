"""Mail over TLS, with a real server, an authority of the test's own, and none that lets it pass.

127.0.0.2 is an address of this machine that does not count as such, so that TLS is demanded there.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from chain_client.errors import ConfigurationError, ReceiverUnavailable
from chain_client.notifying.mail import parse_server
from chain_client.notifying.texts import describe_change
from tests.certificates import Authority
from tests.receivers import MailReceiver, mail_receiver
from tests.unit.chain_client.notifying.notices import a_change

ELSEWHERE = "127.0.0.2"
LOGIN = ("chain", "hunter2")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Whom this process trusts, as people say it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


@pytest.fixture
def password(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text(LOGIN[1])
    return file


def _send(url: str, password: Path) -> None:
    message, to = describe_change(a_change()), ["bob@example.com"]
    parse_server(url, LOGIN[0], password).send(message, "chain@example.com", to, 1_800_000_000)


@contextmanager
def _starttls(context: ssl.SSLContext) -> Iterator[tuple[MailReceiver, str]]:
    with mail_receiver(host=ELSEWHERE, login=LOGIN, starttls=context) as mail:
        yield mail, f"smtp://{ELSEWHERE}:{mail.port}"


@contextmanager
def _at_once(context: ssl.SSLContext) -> Iterator[tuple[MailReceiver, str]]:
    with mail_receiver(host=ELSEWHERE, login=LOGIN, tls=context) as mail:
        yield mail, f"smtps://{ELSEWHERE}:{mail.port}"


ways = pytest.mark.parametrize("way", [_starttls, _at_once], ids=["STARTTLS", "smtps"])
Way = Callable[[ssl.SSLContext], AbstractContextManager[tuple[MailReceiver, str]]]


@ways
def test_whom_an_authority_vouches_for_is_sent_password_and_mail(
    trusted: Authority, password: Path, way: Way
) -> None:
    with way(trusted.server(ELSEWHERE)) as (mail, url):
        _send(url, password)
        assert (mail.logins, mail.were_encrypted) == ([LOGIN], [True])
        assert mail.mails[0].to == ["bob@example.com"]
        password.write_text("hunter3")
        with pytest.raises(ConfigurationError, match="refuses the user or the password") as no:
            _send(url, password)
        assert "hunter" not in repr(no.value)
        assert len(mail.mails) == 1


def _refused(way: Way, context: ssl.SSLContext, password: Path, why: str) -> None:
    """Nothing is sent, and what is said names the cause; it is tried again, as it may be mended."""
    said = rf"the certificate of the mail server 127\.0\.0\.2:\d+ is not accepted \(.*{why}"
    with way(context) as (mail, url):
        with pytest.raises(ReceiverUnavailable, match=said) as refused:
            _send(url, password)
        assert (mail.logins, mail.senders, mail.mails) == ([], [], [])
    assert "SSL_CERT_FILE" in str(refused.value)
    assert "hunter2" not in repr(refused.value)


@ways
def test_who_is_vouched_for_by_nobody_we_trust_is_sent_nothing(
    authority: Authority, password: Path, way: Way
) -> None:
    _refused(way, authority.server(ELSEWHERE), password, "unable to get local issuer")


@ways
def test_who_is_vouched_for_by_another_authority_is_sent_nothing(
    trusted: Authority, password: Path, way: Way, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    _refused(way, other.server(ELSEWHERE), password, "certificate")


@ways
@pytest.mark.parametrize("host", ["127.0.0.3", "mail.example.com"])
def test_the_certificate_of_another_host_is_refused(
    trusted: Authority, password: Path, way: Way, host: str
) -> None:
    _refused(way, trusted.server(host), password, "IP address mismatch")


@ways
def test_a_certificate_that_is_over_is_refused(
    trusted: Authority, password: Path, way: Way
) -> None:
    _refused(way, trusted.server(ELSEWHERE, hours=-1), password, "certificate has expired")


def test_a_server_that_is_named_has_to_have_that_name(trusted: Authority, password: Path) -> None:
    with mail_receiver(login=LOGIN, tls=trusted.server("localhost")) as mail:
        _send(f"smtps://localhost:{mail.port}", password)
        assert len(mail.mails) == 1
    with mail_receiver(login=LOGIN, tls=trusted.server("mail.example.com")) as mail:
        with pytest.raises(ReceiverUnavailable, match="Hostname mismatch"):
            _send(f"smtps://localhost:{mail.port}", password)
        assert (mail.logins, mail.senders) == ([], [])


def test_without_starttls_nothing_is_sent_to_another_machine(password: Path) -> None:
    with mail_receiver(host=ELSEWHERE, login=LOGIN) as mail:
        with pytest.raises(ReceiverUnavailable, match="offers no STARTTLS; nothing is sent"):
            _send(f"smtp://{ELSEWHERE}:{mail.port}", password)
        assert (mail.logins, mail.senders) == ([], [])
    # On this machine nobody listens in.
    with mail_receiver(login=LOGIN) as mail:
        _send(f"smtp://127.0.0.1:{mail.port}", password)
        assert (mail.logins, mail.were_encrypted) == ([LOGIN], [False])


@pytest.mark.parametrize("answer", [b"454 not now", b"500 what", b"501 no"])
def test_a_server_that_offers_starttls_and_refuses_it_is_told_nothing_more(
    password: Path, answer: bytes
) -> None:
    heard: list[bytes] = []

    def serve() -> None:
        connection, _ = listening.accept()
        connection.settimeout(30)
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 here\r\n")
            for line in lines:
                heard.append(line.split()[0])
                offer = b"250-here\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS"
                reply = answer if heard[-1].upper() == b"STARTTLS" else offer
                connection.sendall(reply + b"\r\n")

    with socket.create_server((ELSEWHERE, 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(ReceiverUnavailable, match="offers no STARTTLS; nothing is sent"):
            _send(f"smtp://{ELSEWHERE}:{listening.getsockname()[1]}", password)
        thread.join(60)
    assert [word.upper() for word in heard] == [b"EHLO", b"STARTTLS"]


def test_a_server_without_tls_where_tls_begins_at_once_is_sent_nothing(password: Path) -> None:
    with mail_receiver(host=ELSEWHERE, login=LOGIN) as mail:
        with pytest.raises(ReceiverUnavailable, match=r"does not answer \(SSLError\)"):
            _send(f"smtps://{ELSEWHERE}:{mail.port}", password)
        assert (mail.logins, mail.senders) == ([], [])
