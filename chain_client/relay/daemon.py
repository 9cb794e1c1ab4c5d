"""A relay as a service: signals, service manager, health."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

from chain_client.clock import Clock
from chain_client.relay.http import HealthServer
from chain_client.relay.notify import Notifier
from chain_client.relay.service import Relay

_NOTIFY_US = 5_000_000
"""Between two signs of life; a watchdog should wait for several times as long."""


def stop_by_signal(stop: Callable[[], None]) -> None:
    """Let SIGTERM and SIGINT ask for a graceful end, and the second one end the process at once.

    Killed at once is safe: the next relay goes on where this one was.

    Args:
        stop: asks for the end; safe in a signal handler.
    """
    asked = threading.Event()

    def on_signal(number: int, _: FrameType | None) -> None:
        if asked.is_set():
            os._exit(128 + number)
        asked.set()
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)


class Daemon:
    """What surrounds `Relay.run` in a service; a context.

    Args:
        relay: begins, or waits, within the context.
        server: answers for it; None if it shall not.
        notifier: tells the service manager.
        clock: time.
    """

    def __init__(
        self, relay: Relay, server: HealthServer | None, notifier: Notifier, clock: Clock
    ) -> None:
        self._relay = relay
        self._server = server
        self._notifier = notifier
        self._clock = clock
        self._notify_at_us = 0
        self._is_ready = False

    def __enter__(self) -> Daemon:
        if self._server is not None:
            self._server.serve_when_free()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._notifier.stopping()
        if self._server is not None:
            self._server.close()

    def after_round(self) -> None:
        """Tell that the relay lives; called after each of its rounds, also while it waits."""
        now_us = self._clock.monotonic_us()
        if self._server is not None:
            self._server.serve_when_free()
        if self._is_ready and now_us < self._notify_at_us:
            return
        self._notify_at_us = now_us + _NOTIFY_US
        status = str(self._relay.role)
        if not self._is_ready:
            self._notifier.ready(status)
            self._is_ready = True
        self._notifier.alive(status)
