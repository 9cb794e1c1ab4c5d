"""What a fault is: a value that says what happens to a request on its way through."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from chain_client.testing.faulty_node.exchange import Answer, Request, Response, RpcCall


class Asker(Protocol):
    """Asks the real node, past every fault."""

    def ask(self, method: str, *params: Any) -> Any:
        """The result of one call.

        Raises:
            LedgerUnavailable: the node does not answer.
            InvalidInput: the node refuses the call.
        """

    def alone(self) -> AbstractContextManager[None]:
        """Hold every request of others to this node meanwhile."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One request on its way through a node, as a fault sees it.

    Args:
        request: what the client (or a fault further out) asks.
        methods: of the rule; empty for every method.
        forward: hands a request on: to the next fault, and last to the real node. May be called
            not at all, or more than once.
        upstream: the real node, for what a fault has to know or to do itself.
        random: for choices of the fault; the same in every run of a plan with a seed.
        memory: of this rule in this node; a fault that has to remember keeps it here.
        wait: waits for so many seconds, or less: False means that the node ends.
        wait_overtaken: waits until so many later requests were answered, at most so many
            seconds.
        later: runs something after the client got its response.
    """

    request: Request
    methods: frozenset[str]
    forward: Callable[[Request], Response]
    upstream: Asker
    random: random.Random
    memory: dict[str, Any]
    wait: Callable[[float], bool]
    wait_overtaken: Callable[[int, float], None]
    later: Callable[[Callable[[], object]], None]

    def is_hit(self, call: RpcCall) -> bool:
        """Whether the rule is about this call of the request."""
        return not self.methods or call.method in self.methods

    def pass_on(self) -> Response:
        """Forward the request as it is."""
        return self.forward(self.request)

    def change_answers(
        self, change: Callable[[RpcCall, Answer], Answer], request: Request | None = None
    ) -> Response:
        """Forward, and change the answer of every call that is hit.

        Args:
            change: gives the answer for a call and its true answer.
            request: forwarded instead; its calls have the same ids.
        """
        response = self.forward(request or self.request)
        calls = {call.id: call for call in self.request.calls}
        answers = response.answers()
        if not answers or not all(answer.get("id") in calls for answer in answers):
            return response
        changed = []
        for answer in answers:
            call = calls[answer["id"]]
            changed.append(change(call, answer) if self.is_hit(call) else answer)
        return self.request.answered(changed)


class Fault(ABC):
    """One kind of fault. Subclasses are frozen dataclasses: what they remember is in `Passage`."""

    @abstractmethod
    def inject(self, passage: Passage) -> Response:
        """Answer a request wrongly, or do something wrong besides answering it."""
