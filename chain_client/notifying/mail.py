"""Sending a message by e-mail over SMTP, with TLS wherever it leaves this machine."""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chain_client.errors import ConfigurationError, ReceiverUnavailable
from chain_client.notifying.certificates import refuse_certificate
from chain_client.notifying.limits import STEP_S, Limit
from chain_client.notifying.texts import Message

_LONGEST_LINE = 998
"""RFC 5322, section 2.1.1."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PORTS = {"smtp": 587, "smtps": 465}
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class MailServer:
    """How mails leave.

    Args:
        host: name or address.
        port: TCP port.
        tls_at_once: TLS from the first byte on; else STARTTLS, but on this machine.
        user: to log in as; empty: no login.
        password: of the user.
    """

    host: str
    port: int
    tls_at_once: bool
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def shown(self) -> str:
        """The server as it may be shown."""
        return f"the mail server {self.host}:{self.port}"

    def send(self, message: Message, sender: str, to: Sequence[str], now_s: int) -> None:
        """Hand it over, once, for all recipients, within `limits.WHOLE_S`.

        Args:
            message: what.
            sender: address.
            to: addresses.
            now_s: time in seconds since the epoch.

        Raises:
            ReceiverUnavailable: the server does not answer, takes it not now, or there is no TLS
                with it that can be trusted, which anybody on the way there can bring about.
            ConfigurationError: it refuses the login, sender or recipients.
        """
        mail = to_mail(message, sender, to, now_s)
        limit = Limit()
        try:
            with limit, contextlib.closing(self._connect(limit)) as server:
                refused = server.send_message(mail, sender, list(to))
                with contextlib.suppress(OSError, smtplib.SMTPException):
                    server.quit()  # it has the mail, whatever it says now
        except smtplib.SMTPAuthenticationError as exc:
            raise ConfigurationError(
                f"{self.shown} refuses the user or the password ({exc.smtp_code}); see "
                "notify.smtp_user and notify.smtp_password_file"
            ) from None
        except smtplib.SMTPNotSupportedError:
            raise ConfigurationError(
                f"{self.shown} offers no login; see notify.smtp_user, and notify.smtp_url"
            ) from None
        except smtplib.SMTPRecipientsRefused as exc:
            raise self._refused([code for code, _ in exc.recipients.values()], "to") from None
        except smtplib.SMTPResponseException as exc:
            raise self._refused([exc.smtp_code], "for") from None
        except ssl.SSLCertVerificationError as exc:
            raise ReceiverUnavailable(refuse_certificate(self.shown, exc)) from None
        except (OSError, smtplib.SMTPException) as exc:
            why = limit.broken or type(exc).__name__
            raise ReceiverUnavailable(f"{self.shown} does not answer ({why})") from None
        if refused:
            raise self._refused([code for code, _ in refused.values()], "to some")

    def _connect(self, limit: Limit) -> smtplib.SMTP:
        # The default name would be asked of the network, which may take long.
        name = socket.gethostname()
        own = name if "." in name else "[127.0.0.1]"
        context = ssl.create_default_context()
        if self.tls_at_once:
            server: smtplib.SMTP = _TlsDialogue(
                limit, self.host, self.port, own, timeout=STEP_S, context=context
            )
        else:
            server = _Dialogue(limit, self.host, self.port, own, timeout=STEP_S)
        try:
            if not self.tls_at_once and self.host not in _LOOPBACK:
                self._begin_tls(server, context)
            if self.user:
                server.login(self.user, self.password)
        except BaseException:
            server.close()
            raise
        return server

    def _begin_tls(self, server: smtplib.SMTP, context: ssl.SSLContext) -> None:
        try:
            server.starttls(context=context)
        except (smtplib.SMTPNotSupportedError, smtplib.SMTPResponseException):
            raise ReceiverUnavailable(
                f"{self.shown} offers no STARTTLS; nothing is sent to another machine without"
            ) from None

    def _refused(self, codes: Sequence[int], whom: str) -> ReceiverUnavailable | ConfigurationError:
        shown = ", ".join(str(code) for code in sorted(set(codes)))
        text = f"{self.shown} refuses the mail {whom} its recipients ({shown})"
        if all(400 <= code < 500 for code in codes):
            return ReceiverUnavailable(text)
        return ConfigurationError(
            f"{text}; see notify.email_from, notify.approvers and notify.operators"
        )


class _Dialogue(smtplib.SMTP):
    """A dialogue within its limit, from the greeting on."""

    def __init__(self, limit: Limit, *args: Any, **options: Any) -> None:
        self._limit = limit
        self._sock: socket.socket | None = None
        self._file: _Lines | None = None
        super().__init__(*args, **options)

    @property
    def sock(self) -> Any:
        return self._sock

    @sock.setter
    def sock(self, connection: socket.socket | None) -> None:
        self._sock = connection
        if connection is not None:
            self._limit.watch(connection)

    @property
    def file(self) -> Any:
        return self._file

    @file.setter
    def file(self, file: Any) -> None:
        self._file = None if file is None else _Lines(file, self._limit)


class _TlsDialogue(_Dialogue, smtplib.SMTP_SSL):
    """The same with TLS from the first byte on."""


class _Lines:
    """What a server answers, line by line; smtplib keeps all lines of an answer."""

    def __init__(self, file: Any, limit: Limit) -> None:
        self._file = file
        self._limit = limit

    def readline(self, most: int) -> bytes:
        line: bytes = self._file.readline(most)
        self._limit.count(len(line))
        return line

    def close(self) -> None:
        self._file.close()


def to_mail(message: Message, sender: str, to: Sequence[str], now_s: int) -> EmailMessage:
    """The mail; sent again it has the same Message-ID."""
    # A subject is folded right behind its name otherwise, and some take it for an empty one. What
    # is not ASCII stands in encoded words, whose lines have to be short (RFC 2047, section 2).
    length = _LONGEST_LINE if message.subject.isascii() else policy.default.max_line_length
    mail = EmailMessage(policy.default.clone(max_line_length=length))
    mail["Subject"] = message.subject
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    mail["Date"] = formatdate(now_s)
    mail["Message-ID"] = f"<{message.id}.{message.audience}@mlops-chain.invalid>"
    # RFC 3834: no vacation responder shall answer.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    return mail


def parse_server(url: str, user: str, password_file: Path | None) -> MailServer:
    """The server that settings name.

    Raises:
        ConfigurationError: the URL is none of a mail server, or the password can't be read.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    plain = not (parts.path.strip("/") or parts.query or parts.fragment) if host else False
    if not host or parts.scheme not in _PORTS or not plain or "@" in parts.netloc:
        raise ConfigurationError(
            "notify.smtp_url: expected smtp://host:587 or smtps://host:465, and neither user nor "
            "password in it"
        )
    if user and password_file is None:
        raise ConfigurationError("notify.smtp_user is set, but notify.smtp_password_file is not")
    password = "" if not user or password_file is None else _read_password(password_file)
    return MailServer(host, port or _PORTS[parts.scheme], parts.scheme == "smtps", user, password)


def parse_addresses(text: str, setting: str) -> tuple[str, ...]:
    """E-mail addresses separated by commas.

    Raises:
        ConfigurationError: one of them is none.
    """
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for address in found:
        if not _ADDRESS.fullmatch(address):
            raise ConfigurationError(
                f"{setting}: expected e-mail addresses separated by commas, got {address[:80]!r}"
            )
    return found


def _read_password(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is no text"
        raise ConfigurationError(
            f"notify.smtp_password_file: {path} can't be read ({why})"
        ) from None
    if not lines or not lines[0]:
        raise ConfigurationError(f"notify.smtp_password_file: {path} is empty")
    return lines[0]
