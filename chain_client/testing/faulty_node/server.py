"""The HTTP side of a `FaultyNode`: keep-alive, resets, and an end that leaves nothing."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from chain_client.errors import InvalidInput
from chain_client.testing.faulty_node.exchange import Request, Response

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Server:
    """Serves requests on a free port of loopback, each connection in a thread.

    Args:
        answer: gives the response; called in many threads.
    """

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        self._http = _HttpServer(("127.0.0.1", 0), _Handler)
        self._http.answer = answer
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.05,), name="faulty-node"
        )

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port``."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """End every connection and thread."""
        self._http.shutdown()
        self._http.cut_connections()
        self._http.server_close()
        self._thread.join()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 64

    answer: Callable[[Request], Response]

    def __init__(self, *args: Any) -> None:
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        """End what clients keep open."""
        with self._guard:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is no error of ours."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            request = Request.from_json(body)
        except InvalidInput as exc:
            self._write(Response(str(exc).encode(), 400, {"Content-Type": "text/plain"}))
            return
        response = self.server.answer(request)
        if response.is_reset:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.connection.close()
        else:
            self._write(response)

    def _write(self, response: Response) -> None:
        headers = {"Content-Type": "application/json", **response.headers}
        for _ in range(response.copies):
            self.send_response(response.status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the journal tells what happened."""
