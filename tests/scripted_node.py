"""A JSON-RPC server in this process that answers as a test scripts it: for unit tests."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

from chain_client.ledger.jsonrpc.address import EndpointAddress, parse_endpoints
from chain_client.signing.keccak import keccak256

CHAIN_ID = 77
HEAD = 100
Script: TypeAlias = Callable[[list[Any]], Any]


@dataclass(frozen=True)
class Http:
    """An HTTP reply as it goes over the wire; ``pieces`` are written one by one."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    pieces: tuple[Callable[[], bytes], ...] = ()


@dataclass(frozen=True)
class Refuse:
    """A JSON-RPC error object."""

    code: int
    message: str
    data: object = None
    status: int = 200


class HangUp:
    """The connection is closed without a reply."""


def hash_of(number: int, salt: bytes = b"") -> str:
    """Hash of a block."""
    return "0x" + keccak256(b"block %d" % number + salt).hex()


def block(number: int, salt: bytes = b"", base_fee: int | None = 7) -> dict[str, Any]:
    """A block, with what nodes show and we don't read left out."""
    found = {"number": hex(number), "hash": hash_of(number, salt), "timestamp": hex(10 * number)}
    return found if base_fee is None else {**found, "baseFeePerGas": hex(base_fee)}


@dataclass
class ScriptedNode:
    """The server. ``answers``: by method; a callable gets the parameters."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    client_ports: list[int] = field(default_factory=list)
    head: int = HEAD
    final: int = HEAD - 10

    @property
    def address(self) -> EndpointAddress:
        """As the ledger takes it."""
        return parse_endpoints(self.url)[0]

    def counts(self) -> Counter[str]:
        """How often each method was asked."""
        return Counter(self.asked)

    def answer(self, method: str, params: list[Any]) -> Any:
        """The scripted answer, else that of a plain chain."""
        self.asked.append(method)
        scripted = self.answers.get(method, self)
        if scripted is not self:
            return scripted(params) if callable(scripted) else scripted
        plain = getattr(self, method, None)
        return Refuse(-32601, "Method not found") if plain is None else plain(params)

    def eth_chainId(self, params: list[Any]) -> str:  # noqa: N802 - the method's name
        return hex(CHAIN_ID)

    def eth_blockNumber(self, params: list[Any]) -> str:  # noqa: N802
        return hex(self.head)

    def eth_getCode(self, params: list[Any]) -> str:  # noqa: N802
        return "0x60"

    def eth_getBlockByNumber(self, params: list[Any]) -> Any:  # noqa: N802
        at = {"latest": self.head, "finalized": self.final}.get(params[0])
        number = int(params[0], 16) if at is None else at
        return block(number) if number <= self.head else None

    def eth_getTransactionByHash(self, params: list[Any]) -> None:  # noqa: N802
        return None

    def eth_sendRawTransaction(self, params: list[Any]) -> str:  # noqa: N802
        self.sent.append(bytes.fromhex(params[0][2:]))
        return "0x" + keccak256(self.sent[-1]).hex()


@contextmanager
def scripted_node(**answers: Any) -> Iterator[ScriptedNode]:
    """A server on the loopback interface, ended with the block."""
    node = ScriptedNode(answers=answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536  # one packet a reply: else each waits 40 ms for an acknowledgement

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            node.headers.append(dict(self.headers))
            node.client_ports.append(self.client_address[1])
            if isinstance(asked, list):
                found: Any = Http(400, b"no batches here")
            else:
                found = node.answer(asked["method"], asked["params"])
            if isinstance(found, HangUp):
                self.close_connection = True
                return
            if not isinstance(found, Http):
                found = _as_http(found, asked["id"])
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            size = len(found.body) if not found.pieces else 1_000_000
            self.send_header("Content-Length", found.headers.get("X-Length", str(size)))
            self.end_headers()
            try:
                self.wfile.write(found.body)
                for piece in found.pieces:
                    self.wfile.write(piece())
                    self.wfile.flush()
            except OSError:
                pass
            if found.pieces or "X-Length" in found.headers:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    node.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield node
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _as_http(found: Any, request_id: int) -> Http:
    reply: dict[str, Any] = {"jsonrpc": "2.0", "id": request_id}
    status = 200
    if isinstance(found, Refuse):
        status = found.status
        reply["error"] = {"code": found.code, "message": found.message}
        if found.data is not None:
            reply["error"]["data"] = found.data
    else:
        reply["result"] = found
    return Http(status, json.dumps(reply).encode(), {"Content-Type": "application/json"})
