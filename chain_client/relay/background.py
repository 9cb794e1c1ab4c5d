"""Work that goes on beside the relay's rounds, one piece at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """One thread that does one piece of work; its result or error is given to whoever asks.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._future: Future[T] | None = None
        self._thread: threading.Thread | None = None

    def start(self, work: Callable[[], T]) -> None:
        """Begin; only when nothing is under way and what was done is `take`\\ n."""
        assert self._future is None
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as exc:
                future.set_exception(exc)

        # A daemon: a chain that never answers must not keep a process from ending.
        thread = threading.Thread(target=run, name=self._name, daemon=True)
        thread.start()  # a machine may have no thread left: then nothing is under way
        self._future, self._thread = future, thread

    @property
    def is_busy(self) -> bool:
        """Whether work is under way, or done and not taken yet."""
        return self._future is not None

    def is_working(self, wait_s: float = 0) -> bool:
        """Whether work is under way, also after ``wait_s``; what is done need not be taken yet."""
        if self._future is None or self._thread is None:
            return False
        self._thread.join(wait_s)
        return not self._future.done()

    def take(self, wait_s: float = 0) -> tuple[T] | None:
        """What was done, in a tuple; None if nothing was begun or it goes on after ``wait_s``.

        Raises:
            BaseException: what the work raised.
        """
        if self._future is None or self._thread is None:
            return None
        self._thread.join(wait_s)
        if not self._future.done():
            return None
        future, self._future = self._future, None
        return (future.result(),)

    def join(self, wait_s: float) -> None:
        """Wait for what is under way, at most so long; what it gives is forgotten."""
        if self._thread is not None:
            self._thread.join(wait_s)
        self._future = None
