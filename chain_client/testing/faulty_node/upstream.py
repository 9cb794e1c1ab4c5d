"""The real node behind a faulty one."""

from __future__ import annotations

import http.client
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from chain_client.errors import InvalidInput, LedgerUnavailable
from chain_client.testing.faulty_node.exchange import RESET, Request, Response, RpcCall


class _Gate:
    """Lets requests to one node through, or one thread's alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._passing: dict[int, int] = {}
        self._alone: int | None = None

    @contextmanager
    def passing(self) -> Iterator[None]:
        """A request passes, once nobody else has the node alone."""
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: self._alone in (None, me))
            self._passing[me] = self._passing.get(me, 0) + 1
        try:
            yield
        finally:
            with self._changed:
                self._passing[me] -= 1
                if not self._passing[me]:
                    del self._passing[me]
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No request of another thread passes meanwhile."""
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: self._alone is None)
            self._alone = me
            self._changed.wait_for(lambda: set(self._passing) <= {me})
        try:
            yield
        finally:
            with self._changed:
                self._alone = None
                self._changed.notify_all()


_gates: dict[tuple[str, int], _Gate] = {}
_gates_lock = threading.Lock()


class Upstream:
    """Talks to a node by HTTP; every request has a connection of its own.

    Args:
        url: ``http://host:port`` of the node.
        timeout_s: how long the node may take.
    """

    def __init__(self, url: str, *, timeout_s: float = 30) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise InvalidInput("expected the real node as http://host:port")
        self._address = parts.hostname, parts.port or 80
        self._path = parts.path or "/"
        self._timeout_s = timeout_s
        self._ids = itertools.count(1)
        with _gates_lock:
            self._gate = _gates.setdefault(self._address, _Gate())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold every request of other threads to this node, from whichever faulty node it comes.

        An anvil that is asked while it replaces blocks shows half a chain.
        """
        with self._gate.alone():
            yield

    def forward(self, request: Request) -> Response:
        """Hand a request to the node; a node that is gone shows as a reset connection."""
        with self._gate.passing():
            return self._forward(request)

    def _forward(self, request: Request) -> Response:
        host, port = self._address
        connection = http.client.HTTPConnection(host, port, timeout=self._timeout_s)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", self._path, request.to_json(), headers)
            reply = connection.getresponse()
            return Response(reply.read(), reply.status)
        except (OSError, http.client.HTTPException):
            return RESET
        finally:
            connection.close()

    def ask(self, method: str, *params: Any) -> Any:
        """The result of one call, past every fault.

        Raises:
            LedgerUnavailable: the node does not answer.
            InvalidInput: the node refuses the call.
        """
        call = RpcCall(next(self._ids), method, params)
        answers = self.forward(Request((call,))).answers()
        if not answers:
            raise LedgerUnavailable(f"the node behind the faulty one does not answer {method}")
        if "error" in answers[0]:
            message = answers[0]["error"].get("message")
            raise InvalidInput(f"the node behind the faulty one refuses {method}: {message}")
        return answers[0].get("result")
