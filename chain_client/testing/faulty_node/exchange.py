"""What goes through a `FaultyNode`: calls in a request, answers in a response."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from chain_client.errors import InvalidInput

Answer = dict[str, Any]
"""One JSON-RPC answer, with ``result`` or ``error``."""


@dataclass(frozen=True, slots=True)
class RpcCall:
    """One call of a request.

    Args:
        id: as the client chose it; its answer has the same.
        method: such as ``eth_call``.
        params: positional parameters.
    """

    id: Any
    method: str
    params: tuple[Any, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The call as the protocol has it."""
        params = list(self.params)
        return {"jsonrpc": "2.0", "id": self.id, "method": self.method, "params": params}

    def result(self, value: Any) -> Answer:
        """An answer to it."""
        return {"jsonrpc": "2.0", "id": self.id, "result": value}

    def error(self, code: int, message: str, data: Any = None) -> Answer:
        """A refusal of it."""
        error: dict[str, Any] = {"code": code, "message": message}
        if data is not None:
            error["data"] = data
        return {"jsonrpc": "2.0", "id": self.id, "error": error}

    def with_params(self, *params: Any) -> RpcCall:
        """The same call with other parameters."""
        return replace(self, params=params)


@dataclass(frozen=True, slots=True)
class Request:
    """The body of one HTTP request.

    Args:
        calls: at least one.
        is_batch: whether the client sent a list.
    """

    calls: tuple[RpcCall, ...]
    is_batch: bool = False

    @classmethod
    def from_json(cls, body: bytes) -> Request:
        """Read a body.

        Raises:
            InvalidInput: it is no JSON-RPC request.
        """
        try:
            document = json.loads(body)
            items = document if isinstance(document, list) else [document]
            calls = tuple(
                RpcCall(item.get("id"), str(item["method"]), tuple(item.get("params") or ()))
                for item in items
            )
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise InvalidInput("the body is no JSON-RPC request") from exc
        if not calls:
            raise InvalidInput("the batch is empty")
        return cls(calls, isinstance(document, list))

    def to_json(self) -> bytes:
        """The body."""
        items = [call.to_json() for call in self.calls]
        return json.dumps(items if self.is_batch else items[0]).encode()

    def answered(self, answers: Sequence[Answer]) -> Response:
        """A response with these answers, in this order."""
        return Response(body=json.dumps(list(answers) if self.is_batch else answers[0]).encode())


@dataclass(frozen=True, slots=True)
class Response:
    """What the client gets.

    Args:
        body: any bytes.
        status: of HTTP.
        headers: besides the length; a content type of JSON unless given.
        is_reset: the connection is reset instead, and nothing of the rest is sent.
        copies: how often it is written to the connection; the client expects one.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    is_reset: bool = False
    copies: int = 1

    def answers(self) -> list[Answer]:
        """The answers in it; empty if it holds none, such as a page of a proxy."""
        if self.is_reset:
            return []
        try:
            document = json.loads(self.body)
        except ValueError:
            return []
        items = document if isinstance(document, list) else [document]
        return [item for item in items if isinstance(item, dict)]

    def with_changes(self, **changes: Any) -> Self:
        """The same response with other fields."""
        return replace(self, **changes)


RESET = Response(is_reset=True)
"""The connection is reset."""
