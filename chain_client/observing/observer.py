"""One observer, with a daemon thread and a bounded queue of its own.

Each has its own, so that one which hangs keeps no other from being told.
"""

from __future__ import annotations

import copy
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from chain_client.clock import Clock
from chain_client.errors import ChainError, Unavailable
from chain_client.observing.breaker import Breaker
from chain_client.observing.ticket import ObserverFigures, Outcome, Ticket

_logger = logging.getLogger(__name__)

_AGAIN_US = 2_000_000
_AGAIN_MAX_US = 60_000_000
_GIVE_UP_US = 24 * 3_600_000_000

MOST_HANGING = 16
"""Most threads that are left behind in calls which do not come back."""


class Observer:
    """Calls hooks of a plugin in a daemon thread of its own.

    Guarantee: no method raises, and none but `close` waits. Whatever the plugin does in a call
    (raise, ask for the process's end by ``sys.exit``, hang for ever, fork, change what it was
    given), its caller only sees a ticket that is settled in bounded time, unless the plugin itself
    asked to be called again (`chain_client.errors.Unavailable`). A thread in a call that takes too
    long is left behind, and a new one goes on after a minute; so many at most as `MOST_HANGING`.

    Args:
        name: of the observer, for people and metrics.
        hooks: what is called, by hook.
        clock: time.
        size: most notices that wait; what comes beyond is skipped.
        timeout_s: how long one call may take.
        given: what each call is given besides, by name; copies.
    """

    def __init__(
        self,
        name: str,
        hooks: Mapping[str, Callable[..., object]],
        clock: Clock,
        size: int,
        timeout_s: float,
        given: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self._hooks = hooks
        self._clock = clock
        self._size = size
        self._timeout_us = round(timeout_s * 1e6)
        self._given = given or {}
        self._breaker = Breaker()
        self._queue: deque[Ticket] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closing = False
        self._running: Ticket | None = None
        self._running_since_us = 0
        self._hanging = 0
        self._again_us = 0
        self._again_at_us = 0
        self._trouble: str | None = None
        self._logged: set[str] = set()
        self._counts = dict.fromkeys(Outcome, 0)

    def listens_to(self, hook: str) -> bool:
        """Whether it implements a hook."""
        return hook in self._hooks

    def put(self, hook: str, values: Mapping[str, Any]) -> Ticket:
        """Let it be told, unless it is left alone now; a skipped notice's ticket is settled."""
        ticket = Ticket(self.name, hook, values)
        with self._changed:
            now_us = self._clock.monotonic_us()
            self._look_for_overtime(now_us)
            if self._is_closing:
                pass  # it stays open: whoever comes next tells it
            elif self._breaker.is_open(now_us):
                self._skip(ticket, "it is left alone for now")
            elif self._hanging >= MOST_HANGING:
                self._skip(ticket, "too many of its calls hang")
            elif len(self._queue) >= self._size:
                self._skip(ticket, "its queue is full")
            elif not self._start():
                self._skip(ticket, "this machine has no thread left for it")
            else:
                self._queue.append(ticket)
                self._changed.notify_all()
        return ticket

    def sweep(self) -> None:
        """Settle what has waited for too long."""
        with self._changed:
            self._look_for_overtime(self._clock.monotonic_us())

    def figures(self) -> ObserverFigures:
        """Counts, and how it is."""
        with self._changed:
            counts = self._counts
            return ObserverFigures(
                self.name,
                counts[Outcome.TOLD],
                counts[Outcome.FAILED],
                counts[Outcome.SKIPPED],
                len(self._queue),
                self._hanging,
                self._trouble,
            )

    def begin_to_close(self) -> None:
        """Take nothing more; what waits is still told, but nothing is tried again."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()

    def join(self, wait_s: float) -> None:
        """Wait for what is under way; what does not end in this time is left behind.

        Tickets of what was not told any more are not settled: it is told again by who comes next.
        """
        thread = self._thread
        if thread is not None:
            thread.join(max(0.0, wait_s))

    # --- with the lock held

    def _start(self) -> bool:
        if self._thread is not None and self._thread.is_alive():
            return True
        # A daemon: an observer that hangs must not keep the process from ending.
        thread = threading.Thread(
            target=self._run, name=f"mlops-chain observer {self.name}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            return False
        self._thread = thread
        return True

    def _is_over_time(self, now_us: int) -> bool:
        return self._running is not None and now_us - self._running_since_us > self._timeout_us

    def _look_for_overtime(self, now_us: int) -> None:
        ticket = self._running
        if ticket is None or not self._is_over_time(now_us):
            return
        # Its thread is left behind: it ends when the call does.
        self._thread = self._running = None
        self._hanging += 1
        self._breaker.took_too_long(now_us, self._hanging)
        self._trouble = f"a call of {ticket.hook} takes longer than {self._timeout_us / 1e6:g} s"
        self._log_once("time", "the observer %s is left alone: %s", self.name, self._trouble)
        self._settle(ticket, Outcome.SKIPPED)
        self._drop_all()

    def _drop_all(self) -> None:
        while self._queue:
            self._settle(self._queue.popleft(), Outcome.SKIPPED)

    def _skip(self, ticket: Ticket, why: str) -> None:
        self._log_once(why, "the observer %s is not told everything: %s", self.name, why)
        self._settle(ticket, Outcome.SKIPPED)

    def _settle(self, ticket: Ticket, outcome: Outcome) -> None:
        if ticket.outcome is None:
            ticket.outcome = outcome
            self._counts[outcome] += 1

    def _log_once(self, cause: str, text: str, *values: object) -> None:
        level = logging.DEBUG if cause in self._logged else logging.WARNING
        self._logged.add(cause)
        _logger.log(level, text, *values)

    # --- in its thread

    def _run(self) -> None:
        while True:
            ticket = self._next()
            if ticket is None or not self._call(ticket):
                return

    def _next(self) -> Ticket | None:
        with self._changed:
            while True:
                now_us = self._clock.monotonic_us()
                if self._breaker.is_open(now_us):
                    self._drop_all()
                if self._queue and self._again_at_us <= now_us:
                    ticket = self._queue.popleft()
                    self._running, self._running_since_us = ticket, now_us
                    if ticket.first_us is None:
                        ticket.first_us = now_us
                    return ticket
                if self._is_closing:
                    self._queue.clear()
                    return None
                wait_s = (self._again_at_us - now_us) / 1e6 if self._queue else None
                self._changed.wait(wait_s)

    def _call(self, ticket: Ticket) -> bool:
        """Call it; whether this thread goes on."""
        process = os.getpid()
        error: BaseException | None = None
        try:
            values = {**ticket.values, **self._given}
            self._hooks[ticket.hook](**copy.deepcopy(values))
        except BaseException as exc:
            error = exc
        finally:
            if os.getpid() != process:
                # A child that the observer forked, and that came back: it is no relay.
                os._exit(0)
        with self._changed:
            now_us = self._clock.monotonic_us()
            self._look_for_overtime(now_us)
            if self._thread is not threading.current_thread():
                self._hanging -= 1
                return False  # it came back too late
            self._running = None
            if error is None:
                self._went_well(ticket)
            elif isinstance(error, Unavailable) and now_us - (ticket.first_us or 0) < _GIVE_UP_US:
                self._put_off(ticket, error, now_us)
            else:
                self._went_wrong(ticket, error, now_us)
            return True

    def _went_well(self, ticket: Ticket) -> None:
        if self._trouble is not None:
            _logger.info("the observer %s is told again", self.name)
        self._breaker.succeeded()
        self._trouble, self._again_us, self._again_at_us = None, 0, 0
        self._logged.clear()
        self._settle(ticket, Outcome.TOLD)

    def _put_off(self, ticket: Ticket, error: Unavailable, now_us: int) -> None:
        """It asked for another try: the same notice again, later, and nothing before it."""
        self._trouble = str(error)
        self._log_once(str(error), "the observer %s is told later: %s", self.name, error)
        self._again_us = min(self._again_us * 2 or _AGAIN_US, _AGAIN_MAX_US)
        self._again_at_us = now_us + self._again_us
        self._queue.appendleft(ticket)

    def _went_wrong(self, ticket: Ticket, error: BaseException, now_us: int) -> None:
        self._settle(ticket, Outcome.FAILED)
        self._again_us = self._again_at_us = 0
        text = describe(error)
        self._trouble = f"{ticket.hook} failed: {text}"
        self._log_once(text, "the observer %s failed: %s", self.name, self._trouble)
        if self._breaker.failed(now_us):
            self._log_once(
                "open",
                "the observer %s failed again and again: it is left alone for a minute",
                self.name,
            )
            self._drop_all()


def describe(error: BaseException) -> str:
    """An error of a plugin in words that hold no secret: our own text, else its kind and place.

    The text of any other error may hold whatever the plugin was configured with.
    """
    if isinstance(error, ChainError):
        return str(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    return f"{type(error).__name__} in {Path(trace.tb_frame.f_code.co_filename).name}, line " + str(
        trace.tb_lineno
    )
