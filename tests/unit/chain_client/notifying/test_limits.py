"""Whatever a receiver sends, and however slowly, telling it ends in time and takes no memory."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chain_client.errors import ReceiverUnavailable
from chain_client.notifying import limits
from chain_client.notifying.mail import MailServer
from chain_client.notifying.texts import describe_change
from chain_client.notifying.webhook import make_webhook
from tests.unit.chain_client.notifying.notices import a_change

MESSAGE = describe_change(a_change())


@contextmanager
def _saying(first: bytes, again: bytes, pause_s: float) -> Iterator[int]:
    """A server that says something to who comes, and then something again and again: its port."""
    over = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(10)
            try:
                connection.sendall(first)
                while not over.wait(pause_s):
                    connection.sendall(again)
            except OSError:
                pass  # who came has gone

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"HTTP/1.1 204 No Content\r\n", b"X"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"H"),
    ],
    ids=["a header byte by byte", "interim answers for ever", "a status byte by byte"],
)
def test_a_webhook_that_drips_is_over_in_time(
    monkeypatch: pytest.MonkeyPatch, first: bytes, again: bytes
) -> None:
    monkeypatch.setattr(limits, "WHOLE_S", 0.5)
    with _saying(first, again, 0.02) as port:
        webhook = make_webhook(f"http://127.0.0.1:{port}/T0P-SECRET", bytes(32), "it")
        began_s = time.monotonic()
        with pytest.raises(ReceiverUnavailable, match=r"127\.0\.0\.1 does not .* than 0\.5 s"):
            webhook.send(MESSAGE, 1)
        assert time.monotonic() - began_s < limits.STEP_S


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_mail_server_that_drips_is_over_in_time(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr(limits, "WHOLE_S", 0.5)
    # To who wants TLS at once it is a record that never ends.
    first = b"\x16\x03\x03\x3f\xff" if scheme == "smtps" else b"220-"
    monkeypatch.setattr("chain_client.notifying.mail.STEP_S", 1.0)
    refused = pytest.raises(ReceiverUnavailable, match="does not answer")
    with _saying(first, b"x", 0.02) as port, refused:
        MailServer("127.0.0.1", port, scheme == "smtps").send(MESSAGE, "a@b.c", ["d@e.f"], 1)


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", b"220-" + b"x" * 500 + b"\r\n"),
        (b"220 here\r\n", b"250-" + b"x" * 500 + b"\r\n"),
    ],
    ids=["its greeting", "an answer"],
)
def test_a_mail_server_whose_answer_has_no_end_is_left(first: bytes, again: bytes) -> None:
    refused = pytest.raises(ReceiverUnavailable, match="it answers more than 65536 bytes")
    with _saying(first, again * 100, 0) as port, refused:
        MailServer("127.0.0.1", port, tls_at_once=False).send(MESSAGE, "a@b.c", ["d@e.f"], 1)


def test_what_a_limit_watches_is_closed_with_it_and_nothing_is_taken_after_its_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with limits.Limit() as limit:
            limit.watch(ours)
        ours.sendall(b"still open")
        assert theirs.recv(16) == b"still open"
        limit._end()
        with pytest.raises(TimeoutError):
            limit.watch(ours)
        ours.close()
        assert theirs.recv(1) == b"", "no descriptor is kept"
