"""Keeping hosts equal to the registry while a relay runs.

It is done in a thread of the relay's process with a connection to the chain of its own, so that no
host and no promotion holds up anchoring. Where nothing happens on chain it asks one small question
at a time, and no adapter is imported.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from chain_client.errors import ChainError, LogUnavailable
from chain_client.log import Log
from chain_client.registry.documents import Records
from chain_client.sync.syncing import ALARM, Syncer

_logger = logging.getLogger(__name__)

_RETRY_MAX_S = 30.0
_STOP_S = 30.0
SUBJECT = "registry"
"""Subject of the alarm that nothing at all can be synced."""


class HostRecords(Records, Protocol):
    """What is needed of the process's `chain_client.recorder.Recorder`."""

    def close(self) -> None:
        """Close the source; a later record opens a new one."""


class RegistrySync:
    """Runs passes of sync when something happened on chain.

    Guarantee: no method raises, and none waits for a pass, except `stop` for the one under way.
    What fails stands as an alarm until it works, and is tried again.

    Args:
        open_syncer: makes the syncer, in the thread that uses it.
        close_recorder: puts what a pass recorded on disk, and lets the relay end.
        log: takes alarms.
        look_s: seconds between two questions to the chain.
    """

    def __init__(
        self,
        open_syncer: Callable[[], Syncer],
        close_recorder: Callable[[], None],
        log: Log,
        look_s: float,
    ) -> None:
        self._open_syncer = open_syncer
        self._close_recorder = close_recorder
        self._log = log
        self._look_s = look_s
        self._syncer: Syncer | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._idle = threading.Event()
        self._failures = 0

    def start(self) -> None:
        """Look now, and again and again; nothing happens if that goes on already."""
        if self._thread is None or not self._thread.is_alive():
            self._launch(self._follow)

    def run_once(self) -> None:
        """Look once, also at what failed a moment ago; `is_busy` tells when that is over."""
        if self._thread is None or not self._thread.is_alive():
            self._launch(lambda: self._look(at_once=True))

    def is_busy(self, wait_s: float = 0) -> bool:
        """Whether a pass is under way, or the first look, also after ``wait_s``."""
        thread = self._thread
        if thread is None or not thread.is_alive():
            return False
        return not self._idle.wait(wait_s)

    def stop(self) -> None:
        """End after the pass that is under way; one that hangs is left behind."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(_STOP_S)

    def _launch(self, work: Callable[[], None]) -> None:
        self._idle.clear()
        self._thread = threading.Thread(
            target=self._run, args=(work,), name="mlops-chain sync", daemon=True
        )
        self._thread.start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            syncer, self._syncer = self._syncer, None
            if syncer is not None:
                syncer.close()

    def _follow(self) -> None:
        while not self._stop.is_set():
            self._look()
            pause_s = min(self._look_s * 2**self._failures, _RETRY_MAX_S)
            self._stop.wait(pause_s)

    def _look(self, *, at_once: bool = False) -> None:
        try:
            if self._syncer is None:
                self._syncer = self._open_syncer()
            if self._syncer.is_wanted(at_once=at_once):
                self._idle.clear()
                if self._syncer.run().has_recorded:
                    self._close_recorder()
            if self._failures:
                self._log.clear_alarm(ALARM, SUBJECT)
            self._failures = 0
        except ChainError as exc:
            self._fail(str(exc))
        except Exception as exc:
            # Whatever an adapter raises, the relay lives on.
            _logger.exception("hosts could not be made equal to the registry")
            self._fail(f"the pass failed with {type(exc).__name__}")
        finally:
            self._idle.set()

    def _fail(self, text: str) -> None:
        self._failures = min(self._failures + 1, 10)
        if self._failures > 1:
            _logger.debug("not synced: %s", text)
            return
        _logger.warning("hosts are not made equal to the registry now: %s", text)
        try:
            self._log.raise_alarm(ALARM, SUBJECT, text)
        except LogUnavailable:
            _logger.debug("the log takes no alarm now")
