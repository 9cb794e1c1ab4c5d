"""Posting a message to a webhook, signed as Standard Webhooks asks.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hmac
import http.client
import json
import os
import secrets
import socket
import ssl
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, urlsplit
from urllib.request import (
    BaseHandler,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    ProxyHandler,
    Request,
    build_opener,
)

from chain_client.errors import ConfigurationError, HomeNotWritable, ReceiverUnavailable
from chain_client.notifying.certificates import refuse_certificate
from chain_client.notifying.limits import STEP_S, Limit
from chain_client.notifying.texts import Message, to_timestamp

PREFIX = "whsec_"
_MIN_BYTES, _MAX_BYTES = 24, 64
_NEW_BYTES = 32
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LATER = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where messages are posted.

    Args:
        url: its path and query are as good as a password; they are never shown.
        secret: that the receiver has too.
    """

    url: str = field(repr=False)
    secret: bytes = field(repr=False)

    @property
    def shown(self) -> str:
        """The address as it may be shown."""
        return f"the webhook at {_host(urlsplit(self.url))}"

    def send(self, message: Message, now_s: int) -> None:
        """Post it, once, and wait for the answer's head, for `limits.WHOLE_S` at most.

        Args:
            message: what.
            now_s: time in seconds since the epoch; receivers refuse what is minutes old.

        Raises:
            ReceiverUnavailable: nobody answers there, or not now.
            ConfigurationError: it answers that it will never take this.
        """
        body = to_body(message)
        headers = {"Content-Type": "application/json", "User-Agent": "mlops-chain"}
        headers |= sign(self.secret, message.id, now_s, body)
        request = Request(self.url, data=body, headers=headers, method="POST")  # noqa: S310
        limit = Limit()
        try:
            with limit, self._open(request, limit):
                # It was taken, and nobody reads what else is said; but a head that was cut off by
                # the limit is no answer.
                if limit.broken is not None:
                    raise TimeoutError(limit.broken)
        except HTTPError as exc:
            code = exc.code
            exc.close()
            self._refuse(code)
        except (OSError, http.client.HTTPException, URLError) as exc:
            # Their texts may hold the path: none of it is passed on.
            cause = exc.reason if isinstance(exc, URLError) else exc
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise ReceiverUnavailable(refuse_certificate(self.shown, cause)) from None
            name = type(cause).__name__ if isinstance(cause, BaseException) else "no answer"
            why = limit.broken or name
            raise ReceiverUnavailable(f"{self.shown} does not answer ({why})") from None

    def _open(self, request: Request, limit: Limit) -> IO[bytes]:
        is_here = urlsplit(self.url).hostname in _LOOPBACK
        # What is on this machine is reached by no proxy; else those of the environment apply.
        handlers: list[BaseHandler] = [ProxyHandler({})] if is_here else []
        handlers += [_NoRedirect(), _Http(limit), _Https(limit)]
        found: IO[bytes] = build_opener(*handlers).open(request, timeout=STEP_S)
        return found

    def _refuse(self, code: int) -> None:
        text = f"{self.shown} answers {code}"
        if 300 <= code < 400:
            raise ConfigurationError(
                f"{text}, a redirect, and none is followed; configure its final address"
            ) from None
        if code >= 500 or code in _LATER:
            raise ReceiverUnavailable(text) from None
        raise ConfigurationError(f"{text}; see that its address and secret are right") from None


class _Connection(http.client.HTTPConnection):
    """Watched from the moment on at which it stands, also while TLS or a proxy is spoken to."""

    def __init__(self, limit: Limit, *args: Any, **options: Any) -> None:
        self._limit = limit
        self._sock: socket.socket | None = None
        super().__init__(*args, **options)

    @property
    def sock(self) -> socket.socket | Any:
        return self._sock

    @sock.setter
    def sock(self, connection: socket.socket | None) -> None:
        self._sock = connection
        if connection is not None:
            self._limit.watch(connection)


class _TlsConnection(_Connection, http.client.HTTPSConnection):
    """The same with TLS."""


class _Http(HTTPHandler):
    def __init__(self, limit: Limit) -> None:
        super().__init__()
        self._limit = limit

    def http_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Connection, self._limit), req)


class _Https(HTTPSHandler):
    def __init__(self, limit: Limit) -> None:
        super().__init__()
        self._limit = limit

    def https_open(self, req: Request) -> http.client.HTTPResponse:
        connect = partial(_TlsConnection, self._limit, context=ssl.create_default_context())
        return self.do_open(connect, req)


class _NoRedirect(HTTPRedirectHandler):
    """Lets a redirect be an error: who answers so might lead the message anywhere."""

    def redirect_request(self, *args: object) -> None:
        return None


def make_webhook(url: str, secret: bytes, setting: str) -> Webhook:
    """A webhook, if its address may be used.

    Args:
        url: as configured.
        secret: as `read_secret` gave it.
        setting: that holds the URL, for the error.

    Raises:
        ConfigurationError: it is no ``https`` URL, or one with a user in it.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("https", "http") or not url.isascii() or " " in url:
        raise ConfigurationError(f"{setting}: expected https://host/path, got something else")
    if "@" in parts.netloc:
        raise ConfigurationError(f"{setting}: user and password can't stand in this URL")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise ConfigurationError(
            f"{setting}: expected https:// for {host}; http:// is for this machine only"
        )
    return Webhook(url, secret)


def to_body(message: Message) -> bytes:
    """The document that is posted: UTF-8 of JSON."""
    document = {
        "type": message.type,
        "timestamp": to_timestamp(message.at_s),
        "text": f"{message.subject}\n\n{message.text}",
        "data": message.data,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def sign(secret: bytes, id_: str, now_s: int, body: bytes) -> dict[str, str]:
    """The three headers: HMAC-SHA-256 over ``id.timestamp.body``."""
    signed = f"{id_}.{now_s}.".encode() + body
    signature = base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(now_s),
        "webhook-signature": f"v1,{signature}",
    }


def read_secret(path: Path) -> bytes:
    """The secret in a file: ``whsec_`` and base64 of 24 to 64 bytes.

    Raises:
        ConfigurationError: the file is missing, can't be read, or holds something else.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except OSError as exc:
        raise ConfigurationError(
            f"the webhook's secret can't be read from {path} ({exc.strerror}); make one by: "
            "mlops-chain notify secret"
        ) from None
    except ValueError:
        secret = b""
    if not _MIN_BYTES <= len(secret) <= _MAX_BYTES:
        raise ConfigurationError(
            f"{path} holds no webhook secret: expected {PREFIX} and base64 of {_MIN_BYTES} to "
            f"{_MAX_BYTES} bytes"
        ) from None
    return secret


def create_secret(path: Path) -> None:
    """Make a new secret in a new file (0600).

    Raises:
        HomeNotWritable: the file is there already, or can't be written.
    """
    text = PREFIX + base64.b64encode(secrets.token_bytes(_NEW_BYTES)).decode() + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="ascii") as file:
            file.write(text)
    except FileExistsError:
        raise HomeNotWritable(
            f"{path} is there already; a receiver may know it. Remove it to make another one"
        ) from None
    except OSError as exc:
        raise HomeNotWritable(f"{path} can't be written ({exc.strerror})") from exc


def _host(parts: SplitResult) -> str:
    host = parts.hostname or "?"
    return f"[{host}]" if ":" in host else host
