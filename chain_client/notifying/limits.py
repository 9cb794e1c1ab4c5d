"""A limit to one whole exchange with a receiver: in time, and in what it answers."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from types import TracebackType

STEP_S = 8.0
"""How long the receiver may take for each step: to take a connection, to send something more."""
WHOLE_S = 20.0
"""How long everything may take together; below what `observers.timeout_s` is by default."""
MOST_BYTES = 65_536
"""How much a mail server may answer."""


class Limit:
    """The bounds of one exchange; a context.

    Guarantee: when the time is over, whoever waits for a watched connection goes on at once, as if
    the other side had closed it, however slowly and however long that sends.

    A time limit of a socket holds for each step alone: a peer that sends one byte a second, or one
    interim answer after the other, is never over it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._timer = threading.Timer(WHOLE_S, self._end)
        self._timer.daemon = True
        self._watched: list[socket.socket] = []
        self._answered = 0
        self.broken: str | None = None

    def __enter__(self) -> Limit:
        try:
            self._timer.start()
        except RuntimeError as exc:  # no thread left
            raise OSError("no thread") from exc
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._lock:
            while self._watched:
                self._watched.pop().close()

    def watch(self, connection: socket.socket) -> None:
        """End it when the time is over.

        Raises:
            OSError: the time is over already.
        """
        with self._lock:
            if self.broken is not None:
                raise TimeoutError(self.broken)
            # A descriptor of our own: whatever becomes of the other one, this ends no other file.
            self._watched.append(socket.socket(fileno=os.dup(connection.fileno())))

    def count(self, size_bytes: int) -> None:
        """Note what was answered.

        Raises:
            OSError: it is too much.
        """
        self._answered += size_bytes
        if self._answered > MOST_BYTES:
            self.broken = f"it answers more than {MOST_BYTES} bytes"
            raise OSError(self.broken)

    def _end(self) -> None:
        with self._lock:
            self.broken = f"it takes longer than {WHOLE_S:g} s"
            for connection in self._watched:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
