"""A thread beside the relay's rounds that looks again and again for something to do."""

from __future__ import annotations

import threading
from collections.abc import Callable


class LookingThread:
    """Begun, asked and ended by the relay; it says itself, from within, whether it is idle.

    It counts as busy until it has said for the first time that it is not. A daemon: one that hangs
    must not keep a process from ending.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: threading.Thread | None = None
        self._over = threading.Event()
        self._idle = threading.Event()

    @property
    def has_begun(self) -> bool:
        """Whether it was started, and not ended by `stop`."""
        return self._thread is not None

    @property
    def is_running(self) -> bool:
        """Whether its work goes on."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, work: Callable[[], None]) -> None:
        """Begin; only when nothing is running."""
        self._idle.clear()
        thread = threading.Thread(target=work, name=self._name, daemon=True)
        thread.start()  # a machine may have no thread left: then nothing has begun
        self._thread = thread

    def is_busy(self, wait_s: float = 0) -> bool:
        """Whether something is under way, or was not looked for yet, also after ``wait_s``."""
        return self.is_running and not self._idle.wait(wait_s)

    def stop(self, wait_s: float) -> bool:
        """Have it end, and wait for that; whether it has, or never began."""
        self._over.set()
        thread, self._thread = self._thread, None
        if thread is None:
            return True
        thread.join(wait_s)
        return not thread.is_alive()

    # --- from within

    @property
    def is_over(self) -> bool:
        """Whether it is to end."""
        return self._over.is_set()

    def say_idle(self) -> None:
        """Nothing is under way now."""
        self._idle.set()

    def say_busy(self) -> None:
        """Something is."""
        self._idle.clear()

    def rest(self, pause_s: float, failures: int, most_s: float) -> None:
        """Wait before the next look, twice as long after each failure, or until it is to end."""
        self._over.wait(min(pause_s * 2**failures, most_s))
