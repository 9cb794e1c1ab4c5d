"""Faults of the way to a node: connections, proxies, limits, batches."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.utils import formatdate
from time import time

from chain_client.testing.faulty_node.exchange import RESET, Response
from chain_client.testing.faulty_node.fault import Fault, Passage

_PAGE = b"<!DOCTYPE html><html><head><title>%d</title></head><body><h1>Gateway</h1></body></html>"
_HTML = {"Content-Type": "text/html"}


@dataclass(frozen=True, slots=True)
class ConnectionReset(Fault):
    """The connection is reset.

    Args:
        forwarded: whether the node got the request. True is *accepted, but the reply is lost*.
    """

    forwarded: bool = False

    def inject(self, passage: Passage) -> Response:
        if self.forwarded:
            passage.pass_on()
        return RESET


@dataclass(frozen=True, slots=True)
class NoReply(Fault):
    """The client waits in vain, until its timeout or for ``hold_s``.

    Args:
        forwarded: whether the node got the request.
        hold_s: after so many seconds the connection is reset.
    """

    forwarded: bool = True
    hold_s: float = 60

    def inject(self, passage: Passage) -> Response:
        if self.forwarded:
            passage.pass_on()
        passage.wait(self.hold_s)
        return RESET


@dataclass(frozen=True, slots=True)
class Delayed(Fault):
    """The request reaches the node late, so the reply comes late.

    Args:
        delay_s: how late.
        after: the node gets it at once, and only the reply is late.
    """

    delay_s: float
    after: bool = False

    def inject(self, passage: Passage) -> Response:
        if self.after:
            response = passage.pass_on()
            passage.wait(self.delay_s)
            return response
        passage.wait(self.delay_s)
        return passage.pass_on()


@dataclass(frozen=True, slots=True)
class Reordered(Fault):
    """The request reaches the node after later ones.

    Args:
        by: how many later requests are answered first.
        hold_s: forwarded after so many seconds, whatever came.
        is_reset: the client's connection is reset at once, and the request reaches the node
            later all the same: a client that asks one thing after the other can be overtaken
            only so.
    """

    by: int = 1
    hold_s: float = 2
    is_reset: bool = True

    def inject(self, passage: Passage) -> Response:
        def deliver() -> Response:
            passage.wait_overtaken(self.by, self.hold_s)
            return passage.pass_on()

        if not self.is_reset:
            return deliver()
        passage.later(deliver)
        return RESET


@dataclass(frozen=True, slots=True)
class DeliveredTwice(Fault):
    """The node gets the request twice.

    Args:
        answer: which of its two replies the client gets, ``first`` or ``second``.
    """

    answer: str = "second"

    def inject(self, passage: Passage) -> Response:
        first = passage.pass_on()
        second = passage.pass_on()
        return first if self.answer == "first" else second


@dataclass(frozen=True, slots=True)
class ReplyTwice(Fault):
    """The reply is written twice to the connection."""

    def inject(self, passage: Passage) -> Response:
        return passage.pass_on().with_changes(copies=2)


@dataclass(frozen=True, slots=True)
class StaleReply(Fault):
    """The client gets the reply to another request: its ids are those of that one.

    The first request that is hit passes; from the second on each gets the reply before its own.
    """

    def inject(self, passage: Passage) -> Response:
        own = passage.pass_on()
        earlier: Response = passage.memory.get("reply", own)
        passage.memory["reply"] = own
        return earlier


@dataclass(frozen=True, slots=True)
class HtmlPage(Fault):
    """A proxy answers with a page of its own.

    Args:
        status: of HTTP: 200, 502, 503 or any other.
        forwarded: whether the node got the request.
    """

    status: int = 502
    forwarded: bool = False

    def inject(self, passage: Passage) -> Response:
        if self.forwarded:
            passage.pass_on()
        return Response(_PAGE % self.status, self.status, _HTML)


@dataclass(frozen=True, slots=True)
class TruncatedJson(Fault):
    """The reply ends in the middle, with a length that fits.

    Args:
        kept: part of the bytes that arrives, from 0 to 1.
    """

    kept: float = 0.5

    def inject(self, passage: Passage) -> Response:
        response = passage.pass_on()
        return response.with_changes(body=response.body[: int(len(response.body) * self.kept)])


@dataclass(frozen=True, slots=True)
class TooManyRequests(Fault):
    """HTTP 429 with a ``Retry-After``; the node gets nothing.

    Args:
        retry_after_s: seconds; None for no such header.
        as_date: the header is a date instead of seconds (RFC 9110, section 10.2.3).
    """

    retry_after_s: float | None = 1
    as_date: bool = False

    def inject(self, passage: Passage) -> Response:
        headers = {"Content-Type": "text/plain"}
        if self.retry_after_s is not None:
            late = time() + self.retry_after_s
            seconds = str(round(self.retry_after_s))
            headers["Retry-After"] = formatdate(late, usegmt=True) if self.as_date else seconds
        return Response(b"Too Many Requests", 429, headers)


@dataclass(frozen=True, slots=True)
class PartialBatch(Fault):
    """Answers of a batch are missing, or in another order than the calls. Single calls pass.

    Args:
        missing: how many answers are left out, from the end.
        shuffled: whether the others come in another order.
    """

    missing: int = 1
    shuffled: bool = True

    def inject(self, passage: Passage) -> Response:
        response = passage.pass_on()
        answers = response.answers()
        if not passage.request.is_batch or len(answers) < 2:
            return response
        kept = answers[: max(len(answers) - self.missing, 0)]
        if self.shuffled:
            kept.reverse()
        return response.with_changes(body=json.dumps(kept).encode())
