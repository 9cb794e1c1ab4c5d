"""``/healthz`` and ``/metrics`` of a relay, from memory: an answer never waits for log or chain."""

from __future__ import annotations

import json
import logging
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from chain_client.clock import Clock
from chain_client.errors import ConfigurationError
from chain_client.relay import metrics
from chain_client.relay.figures import Tally, find_reasons

_logger = logging.getLogger(__name__)

_READ_S = 5.0
_TRY_AGAIN_US = 10_000_000


def parse_address(text: str) -> tuple[str, int] | None:
    """Host and port of the setting ``relay.http``; None if it is empty.

    Raises:
        ConfigurationError: it is neither.
    """
    if not text.strip():
        return None
    host, _, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(
            f"relay.http: expected host:port, such as 127.0.0.1:9464, or nothing, got {text!r}"
        )
    return host, int(port)


class HealthServer:
    """Answers as long as the relay's process lives, in threads of its own.

    Guarantee: an address that is taken is one warning, never the end of a relay; it is tried again
    with `serve_when_free`.

    Args:
        address: host and port; port 0 takes any.
        tally: of the relay.
        clock: time.
        limit_s: a relay whose last round is longer ago is not ready.
    """

    def __init__(
        self, address: tuple[str, int], tally: Tally, clock: Clock, limit_s: float
    ) -> None:
        self._address = address
        self._tally = tally
        self._clock = clock
        self._limit_s = limit_s
        self._server: ThreadingHTTPServer | None = None
        self._try_at_us = 0
        self._warned = False

    @property
    def port(self) -> int | None:
        """The port that answers; None if none does."""
        return None if self._server is None else int(self._server.server_address[1])

    def serve_when_free(self) -> None:
        """Begin to answer; tried again after a while where the address is taken. Never raises."""
        now_us = self._clock.monotonic_us()
        if self._server is not None or now_us < self._try_at_us:
            return
        self._try_at_us = now_us + _TRY_AGAIN_US
        try:
            self._server = _Server(self._address, self._handler())
        except OSError as exc:
            if not self._warned:
                self._warned = True
                _logger.warning(
                    "no health and no metrics at %s:%d (%s); set relay.http to another address, or "
                    "to nothing",
                    *self._address,
                    exc.strerror or exc,
                )
            return
        threading.Thread(
            target=self._server.serve_forever, name="mlops-chain http", daemon=True
        ).start()

    def close(self) -> None:
        """Answer no more."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def report(self) -> tuple[bool, dict[str, Any]]:
        """Whether the relay is ready, and what ``/healthz`` says."""
        figures = self._tally.figures
        reasons = find_reasons(self._tally, self._clock.monotonic_us(), self._limit_s)
        document = {
            "ready": not reasons,
            "role": str(figures.role),
            "reasons": reasons,
            "anchored_by": figures.anchored_by,
            "entries": figures.entries,
            "anchored": figures.anchored,
            "final": figures.final,
            "oldest_waiting_s": figures.oldest_waiting_s,
            "alarms": [{"kind": kind, "subject": subject} for kind, subject in figures.alarms],
        }
        return not reasons, document

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self._answer

        class Handler(BaseHTTPRequestHandler):
            timeout = _READ_S

            def do_GET(self) -> None:
                status, kind, body = answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_GET  # noqa: N815  # the name that http.server calls

            def version_string(self) -> str:
                return "mlops-chain"

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: an operator's day is no list of requests."""

        return Handler

    def _answer(self, path: str) -> tuple[int, str, bytes]:
        path = path.partition("?")[0]
        if path == "/healthz":
            is_ready, document = self.report()
            body = json.dumps(document).encode() + b"\n"
            return (200 if is_ready else 503), "application/json", body
        if path == "/metrics":
            return 200, metrics.CONTENT_TYPE, metrics.render(self._tally, self.report()[0])
        return 404, "text/plain; charset=utf-8", b"/healthz and /metrics are here\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # The base class asks the network for the machine's full name, which may take long.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        _logger.debug("a request for health or metrics broke off", exc_info=True)
