"""The guard around every hook: what goes wrong in us stays with us, what is Airflow's reaches it.

Airflow skips the listeners behind one that raises, and a `SystemExit` in a hook ends the
scheduler; so nothing of ours gets out, whatever its class. But an exception may also be Airflow's
own word to what it interrupts: its signal handlers end a task that takes too long
(`AirflowTaskTimeout`) and the scheduler (`SystemExit`) by raising, wherever the main thread is.
Within a hook such a signal waits: its handler is called when the hook is done, outside the guard.
Where a hook takes far too long, as in a file of a mount that is away, the handler is called in it,
and what it raises gets out.
"""

from __future__ import annotations

import _thread
import contextlib
import logging
import signal
import sys
import threading
import time
from collections import Counter
from types import FrameType, TracebackType
from typing import Any

_logger = logging.getLogger(__name__)

_WAITING = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGTERM,
    signal.SIGXCPU,
)
"""Signals whose handlers in Python wait for the end of a hook."""

PATIENCE_S = 3.0
"""How long a hook may last before a signal does not wait for its end any more."""

_MOST_CAUSES = 100

faults: Counter[str] = Counter()
"""How often what went wrong in this process, by hook and class of error."""


class Guard:
    """Around the body of one hook; nothing but what a signal's handler raises gets out of it.

    Args:
        hook: its name, for the log.
    """

    __slots__ = ("_arrived", "_began", "_handlers", "_hook", "_word")

    def __init__(self, hook: str) -> None:
        self._hook = hook
        self._handlers: dict[int, Any] = {}
        self._arrived: list[int] = []
        self._began = 0.0
        self._word: BaseException | None = None

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # no handler is ever called in it
        self._began = time.monotonic()
        try:
            for number in _WAITING:
                handler = signal.getsignal(number)
                if callable(handler) and not _belongs_to_asyncio(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._wait)
        except BaseException:  # a signal came just before, and its handler raised
            self._restore()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        try:
            if error is not None and error is not self._word:
                _tell(self._hook, error)
        finally:
            self._restore()
        if self._word is not None and error is not self._word:
            raise self._word  # the hook kept it for itself
        return error is not self._word or error is None

    def _wait(self, number: int, frame: FrameType | None) -> None:
        if time.monotonic() - self._began >= PATIENCE_S:
            self._hand_on(number, frame)
        elif number not in self._arrived:
            self._arrived.append(number)
            # No thread of `threading`: what it starts one with may be held where this came.
            _thread.start_new_thread(self._remind, (number,))

    def _hand_on(self, number: int, frame: FrameType | None) -> None:
        if number in self._arrived:
            self._arrived.remove(number)
        try:
            self._handlers[number](number, frame)
        except BaseException as exc:
            self._word = exc
            raise

    def _remind(self, number: int) -> None:
        """Send a signal once more, if the hook still lasts when it should have ended."""
        time.sleep(max(0.0, self._began + PATIENCE_S - time.monotonic()))
        if number in self._arrived:
            signal.pthread_kill(threading.main_thread().ident or 0, number)

    def _restore(self) -> None:
        """Give the handlers back, and the signals that came meanwhile to them."""
        try:
            for number in list(self._handlers):
                signal.signal(number, self._handlers[number])
                del self._handlers[number]
        except BaseException:  # a handler that was given back was called at once, and raised
            self._restore()
            raise
        self._deliver()

    def _deliver(self) -> None:
        if self._arrived:
            try:
                signal.raise_signal(self._arrived.pop(0))
            finally:
                self._deliver()


def _belongs_to_asyncio(handler: Any) -> bool:
    """Such a handler does nothing: the event loop was told by the system already."""
    return str(getattr(handler, "__module__", "")).startswith("asyncio")


def _tell(hook: str, error: BaseException) -> None:
    """Count it, and log the first of its kind; of a foreign error nothing but its class."""
    with contextlib.suppress(BaseException):
        cause = f"{hook}: {type(error).__name__}"
        if cause not in faults and len(faults) >= _MOST_CAUSES:
            cause = "others"
        faults[cause] += 1
        if faults[cause] > 1:
            return
        errors = sys.modules.get("chain_client.errors")
        ours = errors is not None and isinstance(error, errors.ChainError)
        _logger.error(
            "mlops-chain: %s was not recorded (%s); Airflow goes on. It is told once for each "
            "cause. Mend it, then run: mlops-chain doctor",
            hook,
            error if ours else type(error).__name__,
        )
