"""Signs of life of an owner in a folder that machines share, where its lock may not show.

A relay on another machine takes an owner for dead that gave no sign for a minute. Should it live
after all (it was stopped, or its network was away), it finds that its source was taken before it
records anything more there.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

from chain_client.spool import ownership

BEAT_S = 3.0
"""Seconds between two signs."""
_LATE_S = 10.0
"""After so long without one, the owner looks whether the source is still its own."""
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine sleeps, where there is such a clock."""


class Heartbeat:
    """Touches a source's lock every few seconds, in a daemon thread of its own.

    Args:
        directory: of the source.
        lock_fd: its lock, which the owner holds open until `stop` has returned.
    """

    def __init__(self, directory: Path, lock_fd: int) -> None:
        self._directory = directory
        self._lock_fd = lock_fd
        self._pid = os.getpid()
        self._last_s = time.clock_gettime(_CLOCK)
        self._lost = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlops-chain-owner", daemon=True)

    def start(self) -> None:
        """Begin. Where no thread can start any more, the owner is about to end."""
        with contextlib.suppress(RuntimeError):
            self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._pid == os.getpid() and self._thread.is_alive():
            self._thread.join()

    def is_lost(self) -> bool:
        """Whether another machine has taken the source. Quick, unless the last sign was late."""
        if time.clock_gettime(_CLOCK) - self._last_s > _LATE_S:
            self._beat()
        return self._lost

    def _beat(self) -> None:
        try:
            self._lost = self._lost or not ownership.is_named(self._directory, self._lock_fd)
            if not self._lost:
                os.utime(self._lock_fd)
                self._last_s = time.clock_gettime(_CLOCK)
        except OSError:
            return  # the folder does not answer: asked again before anything is recorded

    def _run(self) -> None:
        while not self._stopped.wait(BEAT_S):
            self._beat()
