"""KMS over a socket that answers as it is told: slowly, wrongly, or not at all.

What nothing is said about is answered as KMS does, with one key.
"""

from __future__ import annotations

import base64
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEY_ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

Body: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of KMS.

    Args:
        code: such as ``ThrottlingException``.
        status: of HTTP.
        words: the message.
        date: the clock of KMS, in HTTP's form; None: the true one.
    """

    code: str
    status: int = 400
    words: str = "no"
    date: str | None = None


class Silence:
    """No answer until the server ends."""


class Held(threading.Event):
    """The right answer, once this is set."""


@dataclass(frozen=True, slots=True)
class Drip:
    """The right answer, byte by byte, as long as anybody takes it.

    Args:
        in_headers: the bytes are of a header that never ends; else of the body.
        pause_s: between two bytes.
    """

    in_headers: bool = False
    pause_s: float = 0.02


class HangUp:
    """The connection ends before there is an answer."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a proxy says instead of KMS."""

    status: int
    text: str = "<html>no</html>"


Change: TypeAlias = Callable[[Body], Body]
"""Makes another answer of the right one."""
Reply: TypeAlias = Refusal | Silence | Held | Drip | HangUp | Page | Change


@dataclass
class ScriptedKms:
    """The server.

    Args:
        endpoint_url: where it listens.
        key: the one it signs with.
        script: what it answers to the next calls of an action, such as ``Sign``.
        asked: the actions it was asked for, in order.
        dripping: answers that come byte by byte now.
    """

    endpoint_url: str = ""
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256K1())
    )
    script: dict[str, deque[Reply]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    dripping: set[int] = field(default_factory=set)
    ended: threading.Event = field(default_factory=threading.Event)

    def will(self, action: str, *replies: Reply) -> None:
        """Answer the next calls of an action so, and those after them rightly."""
        self.script.setdefault(action, deque()).extend(replies)

    def count(self, action: str) -> int:
        """How often it was asked for an action."""
        return self.asked.count(action)

    def sign(self, digest: bytes) -> bytes:
        """A signature in DER; s is high or low, as it happens."""
        return self.key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))

    def answer(self, action: str, request: Body) -> Body:
        """What KMS would answer."""
        if action == "DescribeKey":
            about = {"KeySpec": "ECC_SECG_P256K1", "KeyUsage": "SIGN_VERIFY", "KeyState": "Enabled"}
            return {"KeyMetadata": {"KeyId": KEY_ARN.rpartition("/")[2], "Arn": KEY_ARN, **about}}
        if action == "GetPublicKey":
            public = self.key.public_key().public_bytes(
                Encoding.DER, PublicFormat.SubjectPublicKeyInfo
            )
            return {"KeyId": KEY_ARN, "PublicKey": base64.b64encode(public).decode()}
        signature = self.sign(base64.b64decode(request["Message"]))
        return {
            "KeyId": KEY_ARN,
            "Signature": base64.b64encode(signature).decode(),
            "SigningAlgorithm": "ECDSA_SHA_256",
        }


@contextmanager
def scripted_kms() -> Iterator[ScriptedKms]:
    """Serve on loopback."""
    kms = ScriptedKms()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            action = self.headers["X-Amz-Target"].rpartition(".")[2]
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kms.asked.append(action)
            waiting = kms.script.get(action)
            reply = waiting.popleft() if waiting else None
            if isinstance(reply, Silence):
                kms.ended.wait()
            if isinstance(reply, Held):
                reply.wait()
                reply = None
            if isinstance(reply, Silence | HangUp):
                self.close_connection = True
            elif isinstance(reply, Drip):
                self._drip(reply)
            elif isinstance(reply, Page):
                self._send(reply.status, reply.text.encode(), "text/html")
            elif isinstance(reply, Refusal):
                body = {"__type": reply.code, "message": reply.words}
                self._send(reply.status, json.dumps(body).encode(), date=reply.date)
            else:
                answer = kms.answer(action, request)
                self._send(200, json.dumps(reply(answer) if reply else answer).encode())

        def _drip(self, reply: Drip) -> None:
            self.close_connection = True
            kms.dripping.add(id(self))
            start = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n"
            end = b"X-Long: " if reply.in_headers else b"Content-Length: 1000000\r\n\r\n{"
            try:
                self.wfile.write(start + end)
                while not kms.ended.wait(reply.pause_s):
                    self.wfile.write(b" ")
            except OSError:
                pass  # nobody takes it any more
            finally:
                kms.dripping.discard(id(self))

        def _send(
            self,
            status: int,
            body: bytes,
            kind: str = "application/x-amz-json-1.1",
            date: str | None = None,
        ) -> None:
            self.send_response_only(status)
            self.send_header("Date", date or self.date_time_string())
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("x-amzn-RequestId", "11111111-2222-3333-4444-555555555555")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="scripted-kms")
    thread.start()
    kms.endpoint_url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield kms
    finally:
        kms.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
