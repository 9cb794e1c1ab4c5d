"""Who is told: a real web server and a real mail server on this machine, for tests."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

PATIENCE_S = 60


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Look until it is so; the test fails if it never is."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not happen in time"
        threading.Event().wait(0.02)


@dataclass(frozen=True)
class Posted:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class WebReceiver:
    """A web server that keeps what was posted to it.

    Args:
        port: on 127.0.0.1.
        answers: statuses of the next answers, with a Location for redirects; then 204.
        posted: every request, also those that were refused.
        taken: those that were not.
        gate: unset, no request is answered.
        accepted: where each connection came from.
        ended: connections that are over.
    """

    port: int = 0
    answers: list[int] = field(default_factory=list)
    posted: list[Posted] = field(default_factory=list)
    taken: list[Posted] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    accepted: list[object] = field(default_factory=list)
    ended: list[object] = field(default_factory=list)

    def url(self, path: str = "/hooks/T0P-SECRET-PATH?k=T0P-SECRET-QUERY") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def types(self) -> list[str]:
        """What was told, in order."""
        return [one.document["type"] for one in self.posted]

    def settle(self) -> None:
        """Wait until what a process sent that is dead by now was answered, too."""
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            name = last.getsockname()
        wait_until(lambda: name in self.accepted, "the last connection")
        wait_until(lambda: len(self.ended) == len(self.accepted), "the end of all answers")


@contextmanager
def web_receiver(context: ssl.SSLContext | None = None) -> Iterator[WebReceiver]:
    """A web server, ended with the block."""
    receiver = WebReceiver()
    receiver.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            posted = Posted(self.path, headers, body)
            receiver.posted.append(posted)
            receiver.gate.wait(PATIENCE_S)
            status = receiver.answers.pop(0) if receiver.answers else 204
            if status < 300:
                receiver.taken.append(posted)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", receiver.url("/elsewhere"))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def process_request(self, request: Any, client_address: Any) -> None:
            receiver.accepted.append(client_address)
            super().process_request(request, client_address)

        def process_request_thread(self, request: Any, client_address: Any) -> None:
            super().process_request_thread(request, client_address)
            receiver.ended.append(client_address)

        def handle_error(self, request: object, client_address: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Mailed:
    """One mail as it arrived."""

    sender: str
    to: list[str]
    mail: EmailMessage

    @property
    def subject(self) -> str:
        return str(self.mail["Subject"])

    @property
    def text(self) -> str:
        return str(self.mail.get_content()).replace("\r\n", "\n")


@dataclass
class MailReceiver:
    """A mail server that keeps what was sent to it.

    Args:
        port: where it listens.
        mails: that it took.
        senders: whoever began to send a mail, whether it was taken or not.
        replies: to the next mails instead of taking them, such as ``451 later``.
        logins: user and password of every login.
        were_encrypted: whether each mail came over TLS.
    """

    port: int = 0
    mails: list[Mailed] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    were_encrypted: list[bool] = field(default_factory=list)
    accepts: tuple[str, str] | None = None

    async def handle_MAIL(  # noqa: N802  # the name that the server calls
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.senders.append(address)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 go on"

    async def handle_DATA(  # noqa: N802  # likewise
        self, server: Any, session: Any, envelope: Envelope
    ) -> str:
        if self.replies:
            return self.replies.pop(0)
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(Mailed(str(envelope.mail_from), list(envelope.rcpt_tos), mail))
        self.were_encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        return "250 taken"

    def authenticate(self, _: Any, __: Any, ___: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword), mechanism
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=self.logins[-1] == self.accepts, handled=False)


class _OnAnyPort(Controller):
    """Looks whether it answers at the port that it was given."""

    def _trigger_server(self) -> None:
        server: Any = self.server
        self.port = server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextmanager
def mail_receiver(
    *,
    host: str = "127.0.0.1",
    login: tuple[str, str] | None = None,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[MailReceiver]:
    """A mail server, ended with the block.

    Args:
        host: address of this machine.
        login: user and password that it takes; with ``starttls`` nothing goes without.
        starttls: certificate and key, to begin TLS when asked to.
        tls: likewise, from the first byte on.
    """
    receiver = MailReceiver(accepts=login)
    controller = _OnAnyPort(
        receiver,
        hostname=host,
        port=0,
        server_hostname="mail.test",
        tls_context=starttls,
        require_starttls=starttls is not None,
        ssl_context=tls,
        authenticator=receiver.authenticate if login else None,
        # The server warns of whoever asks for a login where STARTTLS is not asked for before.
        auth_required=login is not None and starttls is not None,
        auth_require_tls=starttls is not None,
    )
    controller.start()
    receiver.port = controller.port
    try:
        yield receiver
    finally:
        controller.stop()
