"""The server: a JSON-RPC node that hands every request to a real one, past the faults of a plan."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from chain_client.errors import InvalidInput, LedgerUnavailable
from chain_client.testing.faulty_node.exchange import RESET, Request, Response
from chain_client.testing.faulty_node.fault import Fault, Passage
from chain_client.testing.faulty_node.journal import Injection, Journal
from chain_client.testing.faulty_node.plan import FaultPlan, Rule
from chain_client.testing.faulty_node.server import Server
from chain_client.testing.faulty_node.upstream import Upstream


@dataclass(eq=False)
class _Standing:
    """A rule in a running node: what it has seen so far."""

    rule: Rule
    seen: int = 0
    memory: dict[str, Any] = field(default_factory=dict)

    def takes(self, request: Request) -> bool:
        """Whether it hits this request; counts it."""
        rule = self.rule
        if rule.methods and not any(call.method in rule.methods for call in request.calls):
            return False
        self.seen += 1
        past = self.seen - rule.skip
        return past > 0 and (rule.times is None or past <= rule.times)


@dataclass(eq=False)
class _Waiting:
    """A request that waits for later ones."""

    number: int
    overtaken: int = 0


class FaultyNode:
    """A JSON-RPC node on loopback that hands every request to a real one, past a plan's faults.

    Guarantee: without a rule that hits, request and reply pass byte for byte. What was injected
    stands in `journal`, whose text names the seed. At the end nothing is left: no thread, no
    socket; requests that a fault holds are ended. A with statement raises `InvalidInput` at its
    end if a fault could not be injected.

    Several may stand before one node::

        with FaultyNode(anvil.url, FaultPlan.of(Lagging(blocks=5))) as behind, \
                FaultyNode(anvil.url) as straight:
            ledger_url = f"{behind.url},{straight.url}"

    Args:
        upstream: ``http://host:port`` of the real node.
        plan: what goes wrong; nothing by default.
    """

    def __init__(self, upstream: str, plan: FaultPlan | None = None) -> None:
        self.upstream = Upstream(upstream)
        self._plan = plan or FaultPlan()
        self.journal = Journal(self._plan.seed)
        self._standing = [_Standing(rule) for rule in self._plan.rules]
        self._lock = threading.Condition()
        self._taken = 0
        self._overtaken: list[_Waiting] = []
        self._ending = threading.Event()
        self._later: list[threading.Thread] = []
        self._server: Server | None = None

    @property
    def plan(self) -> FaultPlan:
        """The plan that applies now."""
        return self._plan

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port``; the node runs.

        Raises:
            InvalidInput: it does not run.
        """
        if self._server is None:
            raise InvalidInput("the node does not run; use it in a with statement")
        return self._server.url

    def follow(self, *rules: Rule | Fault) -> None:
        """From now on other rules apply, which have seen nothing yet; none for no fault."""
        plan = FaultPlan.of(*rules, seed=self._plan.seed)
        with self._lock:
            self._plan = plan
            self._standing = [_Standing(rule) for rule in plan.rules]

    def start(self) -> Self:
        """Take requests, on a free port."""
        self._server = Server(self._answer)
        self._server.start()
        return self

    def close(self) -> None:
        """End: no request is taken any more, and those that are held are given up."""
        self._ending.set()
        with self._lock:
            self._lock.notify_all()
        if self._server is not None:
            self._server.close()
            self._server = None
        for thread in self._later:
            thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if kind is None and self.journal.failures:
            raise InvalidInput(f"faults of the plan could not be injected:\n{self!r}")

    def __repr__(self) -> str:
        return f"<FaultyNode {self._plan}>\n{self.journal!r}"

    def _answer(self, request: Request) -> Response:
        with self._lock:
            self._taken += 1
            number = self._taken
            taking = [one for one in self._standing if one.takes(request)]
        self.journal.add_request(request)
        try:
            return self._through(request, number, taking)
        except LedgerUnavailable:
            return RESET
        except Exception as exc:
            self.journal.add_failure(f"request {number}: {type(exc).__name__}: {exc}")
            return RESET
        finally:
            with self._lock:
                for waiting in self._overtaken:
                    waiting.overtaken += waiting.number < number
                self._lock.notify_all()

    def _through(self, request: Request, number: int, taking: list[_Standing]) -> Response:
        if not taking or self._ending.is_set():
            return RESET if self._ending.is_set() else self.upstream.forward(request)
        first, *rest = taking
        methods = tuple(call.method for call in request.calls)
        self.journal.add(Injection(number, first.rule.fault, methods))
        passage = Passage(
            request=request,
            methods=first.rule.methods,
            forward=lambda changed: self._through(changed, number, rest),
            upstream=self.upstream,
            random=random.Random(f"{self._plan.seed}:{number}"),  # noqa: S311 - a test's choices
            memory=first.memory,
            wait=lambda seconds: not self._ending.wait(seconds),
            wait_overtaken=lambda by, seconds: self._wait_overtaken(number, by, seconds),
            later=self._run_later,
        )
        return first.rule.fault.inject(passage)

    def _wait_overtaken(self, number: int, by: int, seconds: float) -> None:
        # One request may wait more than once: where another fault delivers it twice.
        waiting = _Waiting(number)
        with self._lock:
            self._overtaken.append(waiting)
            self._lock.wait_for(
                lambda: waiting.overtaken >= by or self._ending.is_set(), timeout=seconds
            )
            self._overtaken.remove(waiting)

    def _run_later(self, work: Callable[[], object]) -> None:
        thread = threading.Thread(target=work, name="faulty-node-later")
        self._later.append(thread)
        thread.start()
