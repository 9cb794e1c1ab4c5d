"""Keeping hosts equal to the registry while a relay runs.

It is done in a thread of the relay's process with a connection to the chain of its own, so that no
host and no promotion holds up anchoring. Where nothing happens on chain it asks one small question
at a time, and no adapter is imported.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Protocol

from chain_client.errors import ChainError, LedgerUnavailable
from chain_client.home import Home
from chain_client.log import Log
from chain_client.registry.documents import Records
from chain_client.relay.looking import LookingThread
from chain_client.sync.syncing import ALARM, Syncer

_logger = logging.getLogger(__name__)

_RETRY_MAX_S = 30.0
_STOP_S = 30.0
SUBJECT = "registry of home "
"""Subject of the alarm that a home can sync nothing at all; the home's id in the log follows."""


class HostRecords(Records, Protocol):
    """What is needed of the process's `chain_client.recorder.Recorder`."""

    def close(self) -> None:
        """Close the source; a later record opens a new one."""


class RegistrySync:
    """Runs passes of sync when something happened on chain.

    Guarantee: no method raises, and none waits for a pass, except `stop` for the one under way.
    What fails stands as an alarm until it works, or is wanted no more, and is tried again. A chain
    that does not answer is no alarm of its own: whoever anchors raises one.

    Args:
        home: the home; its alarm names it, as others may feed the same log.
        open_syncer: makes the syncer, in the thread that uses it; None where sync is not wanted.
        lacks: why this home can't sync and need not; None if it can.
        close_recorder: puts what a pass recorded on disk, and lets the relay end.
        log: takes alarms.
        look_s: seconds between two questions to the chain.
    """

    def __init__(
        self,
        home: Home,
        open_syncer: Callable[[], Syncer] | None,
        lacks: Callable[[], str | None],
        close_recorder: Callable[[], None],
        log: Log,
        look_s: float,
    ) -> None:
        self._home = home
        self._open_syncer = open_syncer
        self._lacks = lacks
        self._close_recorder = close_recorder
        self._log = log
        self._look_s = look_s
        self._syncer: Syncer | None = None
        self._looking = LookingThread("mlops-chain sync")
        self._failures = 0
        self._is_settled = False
        self._alarmed: str | None = None
        self._told_lack = False
        self.trouble: str | None = None
        """Why the chain can't be asked now; None if it answered, or was not asked."""

    def start(self) -> None:
        """Look now, and again and again; nothing happens if that goes on already."""
        if self._open_syncer is None:
            self._settle()
        elif not self._looking.is_running:
            self._looking.start(lambda: self._run(self._follow))

    def run_once(self) -> None:
        """Look once, also at what failed a moment ago; `is_busy` tells when that is over."""
        if self._open_syncer is None:
            self._settle()
        elif not self._looking.is_running:
            self._looking.start(lambda: self._run(lambda: self._look(at_once=True)))

    def is_busy(self, wait_s: float = 0) -> bool:
        """Whether a pass is under way, or the first look, also after ``wait_s``."""
        return self._looking.is_busy(wait_s)

    def stop(self) -> None:
        """End after the pass that is under way; one that hangs is left behind."""
        self._looking.stop(_STOP_S)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            syncer, self._syncer = self._syncer, None
            if syncer is not None:
                syncer.close()

    def _follow(self) -> None:
        while not self._looking.is_over:
            self._look()
            self._looking.rest(self._look_s, self._failures, _RETRY_MAX_S)

    def _look(self, *, at_once: bool = False) -> None:
        try:
            if self._is_lacking():
                return
            if self._syncer is None and self._open_syncer is not None:
                self._syncer = self._open_syncer()
            if self._syncer is None:
                return
            if self._syncer.is_wanted(at_once=at_once):
                self._looking.say_busy()
                if self._syncer.run().has_recorded:
                    self._close_recorder()
            self.trouble = None
            self._settle()
            self._failures = 0
        except LedgerUnavailable as exc:
            self.trouble = str(exc)
            self._put_off(str(exc))
        except ChainError as exc:
            self._fail(str(exc))
        except Exception as exc:
            # Whatever an adapter raises, the relay lives on.
            _logger.exception("hosts could not be made equal to the registry")
            self._fail(f"the pass failed with {type(exc).__name__}")
        finally:
            self._looking.say_idle()

    def _is_lacking(self) -> bool:
        """Whether this home has not what sync needs; told once."""
        lack = self._lacks()
        if lack is None:
            self._told_lack = False
            return False
        if not self._told_lack:
            _logger.info("hosts of this home are not made equal to the registry: %s", lack)
            self._told_lack = True
        self._settle()
        return True

    def _settle(self) -> None:
        """Nothing is wrong: clear what an earlier pass or process said. Never raises."""
        if self._is_settled:
            return
        try:
            subject = self._subject()
            if any((a.kind, a.subject) == (ALARM, subject) for a in self._log.alarms()):
                self._log.clear_alarm(ALARM, subject)
            self._is_settled, self._alarmed = True, None
        except ChainError:
            _logger.debug("it could not be seen whether an alarm stands")

    def _subject(self) -> str:
        return SUBJECT + self._home.ingester_id()

    def _fail(self, text: str) -> None:
        self._put_off(text)
        if text == self._alarmed:
            return
        try:
            where = f"{socket.gethostname()}:{self._home.path}"
            self._log.raise_alarm(ALARM, self._subject(), f"{where}: {text}")
            self._alarmed, self._is_settled = text, False
        except ChainError:
            _logger.debug("the log takes no alarm now")

    def _put_off(self, text: str) -> None:
        """Try again later."""
        self._failures = min(self._failures + 1, 10)
        if self._failures > 1:
            _logger.debug("not synced: %s", text)
        else:
            _logger.warning("hosts are not made equal to the registry now: %s", text)
