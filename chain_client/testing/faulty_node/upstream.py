"""The real node behind a faulty one."""

from __future__ import annotations

import http.client
import itertools
from typing import Any
from urllib.parse import urlsplit

from chain_client.errors import InvalidInput, LedgerUnavailable
from chain_client.testing.faulty_node.exchange import RESET, Request, Response, RpcCall


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

    def forward(self, request: Request) -> Response:
        """Hand a request to the node; a node that is gone shows as a reset connection."""
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
