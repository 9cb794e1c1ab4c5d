"""The thread that makes outcomes durable soon, without anybody waiting for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from chain_client.errors import SpoolUnavailable

logger = logging.getLogger(__name__)

FLUSH_INTERVAL_S = 0.2
"""Longest time between an outcome and the sync that makes it durable."""


class Flusher:
    """Calls ``sync`` within `FLUSH_INTERVAL_S` of a `touch`, in a daemon thread of its own.

    The thread is started by the first touch and wakes at most once in an interval.
    """

    __slots__ = ("_stopped", "_sync", "_thread", "_touched", "_wake")

    def __init__(self, sync: Callable[[], None]) -> None:
        self._sync = sync
        self._touched = False
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def touch(self) -> None:
        """Something waits for a sync."""
        if self._touched:
            return
        self._touched = True
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="mlops-chain-spool", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no thread can start any more: the interpreter is ending
                self._touched = False
                self._sync_quietly()
                return
            self._thread = thread
        self._wake.set()

    def stop(self) -> None:
        """End the thread; what was touched last is the caller's to sync."""
        self._stopped.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._stopped.wait(FLUSH_INTERVAL_S):
                return
            self._touched = False  # before the sync: what comes during it is touched anew
            self._sync_quietly()

    def _sync_quietly(self) -> None:
        try:
            self._sync()
        except SpoolUnavailable:
            # the journal has logged it, and goes on in a new segment
            logger.debug("outcomes may not be durable", exc_info=True)
