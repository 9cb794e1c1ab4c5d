"""Starting a relay process beside a recorder, and seeing that one runs."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

from chain_client.relay.lock import is_relay_running
from chain_client.relay.log_file import open_log_file

__all__ = ["RelayStarter", "is_relay_running"]

_logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0
_LOOK_AT_MOST_EVERY_S = 60.0


class RelayStarter:
    """Sees, at most every two seconds, that the home has a relay; starts one if not.

    Guarantee: `ensure` never raises and never waits. A relay is a process of its own with a
    lower priority (measured: a thread would make training slower). One that ends at once, such
    as over a log that contradicts the chain, is started again less and less often.

    Args:
        home: the home folder.
        lock: the file that a running relay holds locked.
        log: file that takes the relay's own messages.
    """

    def __init__(self, home: Path, lock: Path, log: Path) -> None:
        self._home = home
        self._lock = lock
        self._log = log
        self._look_at = 0.0
        self._pause_s = _LOOK_EVERY_S
        self._started: _Detached | None = None
        self._warned = False

    def ensure(self) -> None:
        """Start a relay if none runs."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + self._pause_s
        try:
            if self._started is not None and self._started.poll() is not None:
                self._started = None
            if is_relay_running(self._lock):
                self._pause_s = _LOOK_EVERY_S
                return
            self._pause_s = min(self._pause_s * 2, _LOOK_AT_MOST_EVERY_S)
            if self._started is None:
                self._start()
        except Exception as exc:
            # Whatever keeps a relay from starting, the host's call goes on.
            if not self._warned:
                self._warned = True
                _logger.warning(
                    "no relay could be started (%s); what is recorded waits in the spool. "
                    "Run: mlops-chain relay",
                    exc,
                )

    def _start(self) -> None:
        environment = os.environ | {"MLOPS_CHAIN_HOME": str(self._home)}
        descriptor = open_log_file(self._log)
        try:
            # Detached: it outlives this process, drains what is left, and ends when idle.
            self._started = _Detached(
                [sys.executable, "-m", "chain_client.cli", "relay", "--until-idle"],
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
                cwd=self._home,
                env=environment,
            )
        finally:
            os.close(descriptor)


class _Detached(subprocess.Popen[bytes]):
    """A child that is meant to outlive us: leaving it running is no mistake to warn of."""

    def __del__(self) -> None:
        pass
