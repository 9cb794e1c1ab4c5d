"""Blocking calls beside an event loop, which goes on whatever they do.

Not `asyncio.to_thread`: its threads are few and shared with everybody in the process, and ending
the loop waits for them; a chain that hangs would use them up, and keep a triggerer from stopping.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from chain_client.errors import NotInTime

_Result = TypeVar("_Result")


class Aside:
    """Runs blocking calls in threads of its own, one after the other.

    Guarantee: the event loop never waits for a call, and no call begins before the one before it
    has ended; a call that hangs costs one thread, which keeps no process from ending.

    Args:
        name: of the threads.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: Future[Any] | None = None

    @property
    def is_free(self) -> bool:
        """Whether no call goes on."""
        return self._running is None or self._running.done()

    async def run(self, call: Callable[[], _Result], deadline_s: float) -> _Result:
        """What the call returns, or raises.

        Args:
            call: blocks for as long as it likes; once given up it goes on, and what becomes of
                it is nobody's concern any more.
            deadline_s: after which it is given up.

        Raises:
            NotInTime: it, or the one before it, has not ended by then.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + deadline_s
        if self._running is not None and not await _has_ended(self._running, deadline_s):
            raise NotInTime(f"an earlier look has not ended within {deadline_s:g} s more")
        running = self._start(call)
        if not await _has_ended(running, max(0.0, ends - loop.time())):
            raise NotInTime(f"no answer within {deadline_s:g} s")
        return running.result()

    def finish(self, close: Callable[[], object]) -> None:
        """Have something closed once the last call has ended; nobody waits for it."""
        before = self._running

        def last() -> None:
            if before is not None:
                with contextlib.suppress(BaseException):
                    before.result()
            close()

        self._start(last)

    def _start(self, call: Callable[[], _Result]) -> Future[_Result]:
        future: Future[_Result] = Future()
        future.set_running_or_notify_cancel()
        context = contextvars.copy_context()

        def work() -> None:
            try:
                result = context.run(call)
            except BaseException as exc:
                future.set_exception(exc)
            else:
                future.set_result(result)

        self._running = future
        threading.Thread(target=work, name=self._name, daemon=True).start()
        return future


async def _has_ended(future: Future[Any], patience_s: float) -> bool:
    """Wait for a call, however it ends; whether it has."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()

    def tell(_: Future[Any]) -> None:
        # Who has stopped waiting may have closed the loop.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(told.set)

    future.add_done_callback(tell)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(told.wait(), patience_s)
    return future.done()
