"""The guard around every hook: what goes wrong in us stays with us, what is Airflow's reaches it.

Airflow skips the listeners behind one that raises, and a `SystemExit` in a hook ends the
scheduler; so nothing of ours gets out, whatever its class. But an exception may also be Airflow's
own word to what it interrupts: its signal handlers end a task that takes too long
(`AirflowTaskTimeout`) and the scheduler (`SystemExit`) by raising, wherever the main thread is.
Within a hook such a signal waits: its handler is called when the hook is done, outside the guard.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
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

_MOST_CAUSES = 100

faults: Counter[str] = Counter()
"""How often what went wrong in this process, by hook and class of error."""


class Guard:
    """Around the body of one hook; nothing but what a signal's handler raises gets out of it.

    Args:
        hook: its name, for the log.
    """

    __slots__ = ("_arrived", "_handlers", "_hook")

    def __init__(self, hook: str) -> None:
        self._hook = hook
        self._handlers: dict[int, Any] = {}
        self._arrived: list[int] = []

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # no handler is ever called in it
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
            if error is not None:
                _tell(self._hook, error)
        finally:
            self._restore()
        return True

    def _wait(self, number: int, frame: FrameType | None) -> None:
        if number not in self._arrived:
            self._arrived.append(number)

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
