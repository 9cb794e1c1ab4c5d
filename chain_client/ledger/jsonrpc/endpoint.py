"""One JSON-RPC endpoint: asks it, understands its refusals, and leaves it alone when it must.

Nothing that leaves this module shows more of the endpoint than ``https://host:port``.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from chain_client.clock import Clock
from chain_client.errors import LedgerUnavailable
from chain_client.forking import ForkableLock, tell_of_forks
from chain_client.ledger.jsonrpc.address import EndpointAddress
from chain_client.ledger.jsonrpc.replies import (
    BodyKind,
    ReadVerdict,
    SendVerdict,
    classify_read,
    classify_send,
)
from chain_client.ledger.jsonrpc.rest import backoff_s, requested_rest_s

if TYPE_CHECKING:
    from chain_client.ledger.jsonrpc.provider import HttpReply, Provider


class EndpointFailed(LedgerUnavailable):
    """One endpoint gave no answer that can be used; another one may.

    Args:
        text: what happened; begins with the endpoint.
        reached: whether it may have taken the request all the same.
        retry_after_s: how long it wants to be left alone.
    """

    def __init__(self, text: str, *, reached: bool, retry_after_s: float | None = None) -> None:
        super().__init__(text, retry_after_s)
        self.reached = reached


class ReadRefused(Exception):
    """An endpoint understood a question and does not answer it; the verdict says why."""

    def __init__(self, verdict: ReadVerdict) -> None:
        super().__init__(verdict.text)
        self.verdict = verdict


class HistoryPruned(EndpointFailed):
    """One endpoint is no archive, and was asked for what only archives keep."""


class SendRefused(Exception):
    """An endpoint did not take a transaction; the verdict says why."""

    def __init__(self, verdict: SendVerdict) -> None:
        super().__init__(verdict.text)
        self.verdict = verdict


class Endpoint:
    """One endpoint. Threads and forked children may share it; connects with the first request.

    Args:
        address: where it is.
        timeout_s: how long one request waits.
        clock: for rest periods.
    """

    def __init__(self, address: EndpointAddress, *, timeout_s: float, clock: Clock) -> None:
        self.shown = address.shown
        self._address = address
        self._timeout_s = timeout_s
        self._clock = clock
        self._lock = ForkableLock()
        self._provider: Provider | None = None
        self._rests_until_us: int | None = None
        self._is_obeyed = False
        self._failures = 0
        tell_of_forks(self)

    def __repr__(self) -> str:
        return f"Endpoint({self.shown!r})"

    def renew_locks(self) -> None:
        """In a forked child: the connections are the parent's."""
        self._provider = None

    def close(self) -> None:
        """Close the connections; the next request opens another."""
        with self._lock.held():
            provider, self._provider = self._provider, None
        if provider is not None:
            provider.close()

    def read(self, method: str, *params: Any) -> Any:
        """The result of a question.

        Raises:
            EndpointFailed: it gave no answer, or asked to be left alone.
            ReadRefused: it answered that it can't tell, and why.
        """
        refused = self._ask(method, list(params))
        if not isinstance(refused, _Refusal):
            return refused.value
        verdict = classify_read(
            refused.code,
            refused.message,
            refused.http_status,
            data=refused.data,
            body=refused.body,
            names_tag="finalized" in params,
        )
        if verdict.kind in ("rate_limited", "unavailable"):
            raise self._rest(f"says {verdict.text}", refused)
        raise ReadRefused(verdict)

    def send(self, raw: bytes) -> object:
        """Hand over a signed transaction; what it answered.

        Raises:
            EndpointFailed: no reply, or a reply that says nothing about the transaction.
            SendRefused: it did not take it, and said why.
        """
        refused = self._ask("eth_sendRawTransaction", ["0x" + raw.hex()])
        if not isinstance(refused, _Refusal):
            return refused.value
        verdict = classify_send(
            refused.code,
            refused.message,
            refused.http_status,
            data=refused.data,
            body=refused.body,
        )
        if verdict.kind == "rate_limited":
            raise self._rest(f"takes no transaction now: {verdict.text}", refused, reached=False)
        if verdict.kind == "unavailable":
            raise self._rest(f"takes no transaction now: {verdict.text}", refused)
        raise SendRefused(verdict)

    def takes_batches(self) -> bool:
        """Whether it answers several questions in one request. (We never ask so.)"""
        from chain_client.ledger.jsonrpc.provider import NoReply, TooLarge

        methods = ["eth_chainId", "eth_blockNumber"]
        try:
            reply = self._connected().exchange_batch(methods, self._timeout_s)
            answers = json.loads(reply.body)
        except (NoReply, TooLarge, ValueError, RecursionError):
            return False
        if not isinstance(answers, list):
            return False
        return sum(isinstance(answer, dict) and "result" in answer for answer in answers) == 2

    def must_rest_s(self) -> float:
        """How long it asked to be left alone from now on; 0 if it may be asked."""
        until_us = self._rests_until_us
        if until_us is None or not self._is_obeyed:
            return 0.0
        return max(until_us - self._clock.monotonic_us(), 0) / 1e6

    def is_resting(self) -> bool:
        """Whether it failed just now: another one is better asked first."""
        until_us = self._rests_until_us
        return until_us is not None and until_us > self._clock.monotonic_us()

    def now_s(self) -> float:
        """The time that its rests are measured in."""
        return self._clock.monotonic_us() / 1e6

    def failed(self, text: str, *, reached: bool = True) -> EndpointFailed:
        """Let it rest after a failure; the error to raise."""
        self._begin_rest(None)
        return EndpointFailed(f"{self.shown}: {text}", reached=reached)

    def _ask(self, method: str, params: list[Any]) -> _Answer | _Refusal:
        from chain_client.ledger.jsonrpc.provider import NoReply, TooLarge

        must_rest_s = self.must_rest_s()
        if must_rest_s > 0:
            raise EndpointFailed(
                f"{self.shown} asked not to be asked for another {must_rest_s:.1f} s",
                reached=False,
                retry_after_s=must_rest_s,
            )
        try:
            reply = self._connected().exchange(method, params, self._timeout_s)
        except NoReply as exc:
            raise self.failed(f"{exc} (asked for {method})", reached=exc.reached) from None
        except TooLarge:
            return _Refusal(None, "query returned more than can be read", 200, None, "error", None)
        found = _understood(reply)
        if isinstance(found, _Answer):
            self._failures, self._rests_until_us = 0, None
        return found

    def _connected(self) -> Provider:
        from chain_client.ledger.jsonrpc.provider import Provider

        with self._lock.held():
            if self._provider is None:
                self._provider = Provider(self._address.url, self._address.headers)
            return self._provider

    def _rest(self, text: str, refusal: _Refusal, *, reached: bool = True) -> EndpointFailed:
        asked_s = requested_rest_s(refusal.retry_after, refusal.data, self._clock.time_us() / 1e6)
        self._begin_rest(asked_s)
        return EndpointFailed(
            f"{self.shown} {text}", reached=reached, retry_after_s=asked_s or None
        )

    def _begin_rest(self, asked_s: float | None) -> None:
        with self._lock.held():
            self._failures += 1
            rest_s = backoff_s(self._failures) if asked_s is None else asked_s
            self._is_obeyed = asked_s is not None
            self._rests_until_us = self._clock.monotonic_us() + int(rest_s * 1e6)


class _Answer:
    """The result of a question, which may be null."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class _Refusal:
    """A reply that holds no result."""

    __slots__ = ("body", "code", "data", "http_status", "message", "retry_after")

    def __init__(
        self,
        code: int | None,
        message: str,
        http_status: int,
        data: object,
        body: BodyKind,
        retry_after: str | None,
    ) -> None:
        self.code = code
        self.message = message
        self.http_status = http_status
        self.data = data
        self.body = body
        self.retry_after = retry_after


def _understood(reply: HttpReply) -> _Answer | _Refusal:
    """The JSON-RPC reply in an HTTP reply, whatever the endpoint, or a proxy before it, wrote."""
    document: Any = None
    with suppress(ValueError, RecursionError):  # ValueError: also bytes that are no UTF-8
        document = json.loads(reply.body)
    if isinstance(document, list) and len(document) == 1:
        document = document[0]  # some proxies answer a single question as if it were a batch
    error = document.get("error") if isinstance(document, dict) else None
    if error is not None:
        fields = error if isinstance(error, dict) else {"message": error}
        code, message = fields.get("code"), fields.get("message")
        return _Refusal(
            code if isinstance(code, int) else None,
            message if isinstance(message, str) else "",
            reply.status,
            fields.get("data"),
            "error",
            reply.retry_after,
        )
    is_ours = isinstance(document, dict) and document.get("id") == reply.id
    if reply.status == 200 and is_ours and "result" in document:
        return _Answer(document["result"])
    start = reply.body[:200].lstrip().lower()
    kind: BodyKind = "text" if start else "empty"
    if start.startswith((b"<!doctype", b"<html", b"<")):
        kind = "html"
    return _Refusal(None, "", reply.status, None, kind, reply.retry_after)
