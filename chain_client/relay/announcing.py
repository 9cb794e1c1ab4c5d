"""Telling observers what happened while a relay runs: proposals and alarms.

It is done in a thread of the relay's process with a connection to the chain of its own, and each
observer has another thread: nothing that any of them does holds up the relay.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from chain_client.clock import Clock
from chain_client.errors import AnotherRelay, ChainError, LogUnavailable
from chain_client.log import Log
from chain_client.log.holders import is_gone, this_process
from chain_client.notices import AlarmNotice
from chain_client.observing import Dispatcher
from chain_client.relay.alarm_changes import AlarmChanges
from chain_client.relay.figures import Tally
from chain_client.relay.held_lease import HeldLease
from chain_client.relay.looking import LookingThread
from chain_client.relay.observer_trouble import ObserverTrouble
from chain_client.relay.proposal_changes import ProposalChanges
from chain_client.relay.told_notices import OpenNotice, ToldNotices

_logger = logging.getLogger(__name__)

LEASE = "observers"
"""Held by the one relay of a log that tells."""
PROPOSALS = "observers/proposals"
ALARMS = "observers/alarms"
TOLD = "observers/told"
FIGURES = "observers/figures"
"""Cursors of the log: how far was told to all, who was told more, and what became of it."""

_POLL_S = 0.2
_RETRY_MAX_S = 30.0
_STOP_S = 5.0
_PATIENCE_S = 60.0
"""How long a relay that could end waits for observers that are tried again."""
_AHEAD = 32
_MOST_OPEN = 4096
_REPORT_S = 5.0


@dataclass(slots=True)
class _Progress:
    """What was handed to observers, and is not settled by all of them."""

    told: ToldNotices
    proposals: ProposalChanges | None
    close: Callable[[], None]
    alarms: AlarmChanges
    changes: deque[tuple[tuple[OpenNotice, ...], str]] = field(default_factory=deque)
    notices: list[tuple[OpenNotice, AlarmNotice]] = field(default_factory=list)
    shown: str = "{}"
    since_us: int | None = None
    has_begun: bool = False

    @property
    def is_open(self) -> bool:
        return bool(self.changes or self.notices)

    def show_told(self) -> str:
        changes = (one for group, _ in self.changes for one in group)
        is_read = self.proposals is None or (self.has_begun and not self.proposals.is_waiting)
        notices = [*changes, *(one for one, _ in self.notices)]
        return self.told.show(notices, is_complete=is_read)


class Announcer:
    """Tells observers in order, and remembers in the log how far it has told.

    Guarantee: no method raises, and none waits for an observer, except `stop`, for some seconds.
    What was told is not told again by the next relay; what this one could not tell any more is, and
    has the same id. Of all relays of a log, the one that holds the lease tells. Where nobody
    listens nothing is done at all: no lease, no thread that stays, no question to the chain.

    Args:
        log: keeps lease, cursors and alarms.
        find_dispatcher: finds the plugins; called in the thread, when it begins.
        open_proposals: makes what reads the registry, from a cursor, in the thread that uses it,
            with what closes it; None where there is no registry.
        deployment_id: of the home.
        lease_s: how long a relay that is gone keeps others from telling.
        tally: is told the figures.
        clock: time.
        look_s: seconds between two looks.
    """

    def __init__(
        self,
        log: Log,
        find_dispatcher: Callable[[], Dispatcher],
        open_proposals: Callable[[str | None], tuple[ProposalChanges, Callable[[], None]]] | None,
        deployment_id: str,
        lease_s: float,
        tally: Tally,
        clock: Clock,
        look_s: float,
    ) -> None:
        self._log = log
        self._find_dispatcher = find_dispatcher
        self._open_proposals = open_proposals
        self._deployment_id = deployment_id
        self._tally = tally
        self._clock = clock
        self._look_us = round(look_s * 1e6)
        self._lease = HeldLease(log, LEASE, lease_s, clock)
        self._dispatcher: Dispatcher | None = None
        self._trouble = ObserverTrouble(log, clock)
        self._progress: _Progress | None = None
        self._looking = LookingThread("mlops-chain announcer")
        self._failures = 0
        self._failed: set[str] = set()
        self._look_at_us = 0
        self._reported: tuple[int, str] = (0, "")

    def start(self) -> None:
        """Look again and again from now on; nothing happens if that goes on already."""
        if not self._looking.has_begun:
            self._looking.start(self._follow)

    def is_busy(self, wait_s: float = 0) -> bool:
        """Whether something is being told, or was not looked for yet, also after ``wait_s``."""
        return self._looking.is_busy(wait_s)

    def stop(self) -> None:
        """End; what observers do not end in some seconds is left behind."""
        if not self._looking.has_begun:
            return
        has_ended = self._looking.stop(_STOP_S)
        if self._dispatcher is not None:
            self._dispatcher.close()
        if has_ended:
            self._guarded(self._end)
        self._lease.give_back()

    def _follow(self) -> None:
        try:
            while not self._looking.is_over:
                self._guarded(self._turn)
                if self._dispatcher is not None and not self._dispatcher.listens():
                    return
                self._looking.rest(_POLL_S, self._failures, _RETRY_MAX_S)
        finally:
            self._looking.say_idle()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
            self._failures = 0
        except AnotherRelay as exc:
            _logger.debug("another relay tells observers: %s", exc)
            self._forget()
            self._failures = min(self._failures + 1, 5)
        except Exception as exc:
            self._failures = min(self._failures + 1, 10)
            self._note(exc)
        if self._failures:
            self._looking.say_idle()

    def _turn(self) -> None:
        if self._dispatcher is None:
            self._dispatcher = self._find_dispatcher()
        if not self._dispatcher.listens():
            return
        self._hold()
        progress = self._progress or self._begin()
        now_us = self._clock.monotonic_us()
        if now_us >= self._look_at_us:
            self._look_at_us = now_us + self._look_us
            self._look(progress)
        self._dispatcher.sweep()
        self._settle(progress)
        self._report()
        is_held_back = progress.proposals is not None and progress.proposals.is_waiting
        if is_held_back or (progress.is_open and not self._is_over_patience(progress)):
            self._looking.say_busy()
        else:
            self._looking.say_idle()

    def _hold(self) -> None:
        if not self._lease.is_held:
            self._lease.take(this_process(), is_gone)
            self._forget()
        else:
            self._lease.renew_when_due()

    def _begin(self) -> _Progress:
        alarms = AlarmChanges(self._log, self._deployment_id, self._clock, self._log.cursor(ALARMS))
        proposals, close = None, (lambda: None)
        if self._open_proposals is not None:
            proposals, close = self._open_proposals(self._log.cursor(PROPOSALS))
        assert self._dispatcher is not None
        self._trouble.begin(self._dispatcher.figures())
        told = self._log.cursor(TOLD)
        self._progress = _Progress(ToldNotices(told), proposals, close, alarms, shown=told or "{}")
        return self._progress

    def _forget(self) -> None:
        progress, self._progress = self._progress, None
        if progress is not None:
            progress.close()

    def _look(self, progress: _Progress) -> None:
        assert self._dispatcher is not None
        for notice in progress.alarms.look():
            known = progress.told.take(notice.notice_id)
            tickets = self._dispatcher.tell("alarm_raised", told=known, alarm=notice)
            progress.notices.append((OpenNotice(notice.notice_id, known, tickets), notice))
        if progress.proposals is None:
            return
        try:
            progress.proposals.read()
        except (AnotherRelay, LogUnavailable):
            raise
        except ChainError as exc:
            # Alarms go on meanwhile; that the chain is away is one.
            self._note(exc)
            return
        self._tell_changes(progress, progress.proposals)
        if not progress.has_begun:
            progress.has_begun = True
            if not progress.proposals.is_waiting and not progress.changes:
                self._put(PROPOSALS, progress.proposals.cursor())
            self._put(ALARMS, progress.alarms.cursor())

    def _tell_changes(self, progress: _Progress, proposals: ProposalChanges) -> None:
        assert self._dispatcher is not None
        while len(progress.changes) < _MOST_OPEN:
            if self._dispatcher.waiting("proposal_changed") >= _AHEAD:
                return
            found = proposals.next()
            if found is None:
                return
            group = []
            for change in found.changes:
                known = progress.told.take(change.notice_id)
                tickets = self._dispatcher.tell("proposal_changed", told=known, change=change)
                group.append(OpenNotice(change.notice_id, known, tickets))
            progress.changes.append((tuple(group), found.cursor))

    def _settle(self, progress: _Progress) -> None:
        """Remember what was told, in order; what waits to be tried again holds up the rest."""
        cursor = None
        while progress.changes and all(one.is_settled for one in progress.changes[0][0]):
            _, cursor = progress.changes.popleft()
        if cursor is not None:
            self._put(PROPOSALS, cursor)
        notices, progress.notices = progress.notices, []
        for one, notice in notices:
            if one.is_settled:
                progress.alarms.settle(notice)
            else:
                progress.notices.append((one, notice))
        if len(progress.notices) < len(notices):
            self._put(ALARMS, progress.alarms.cursor())
        # After the cursors: what these pass over must not be forgotten before them.
        shown = progress.show_told()
        if shown != progress.shown:
            self._put(TOLD, shown)
            progress.shown = shown
        if not progress.is_open:
            progress.since_us = None
        elif progress.since_us is None:
            progress.since_us = self._clock.monotonic_us()

    def _is_over_patience(self, progress: _Progress) -> bool:
        since_us = progress.since_us
        now_us = self._clock.monotonic_us()
        return since_us is not None and now_us - since_us > _PATIENCE_S * 1e6

    def _put(self, name: str, value: str) -> None:
        self._log.put_cursor(name, value, self._lease.get())

    def _report(self, *, at_once: bool = False) -> None:
        assert self._dispatcher is not None
        figures = self._dispatcher.figures()
        self._tally.observers = tuple(figures.values())
        self._trouble.look(figures)
        now_us = self._clock.monotonic_us()
        text = json.dumps([one.to_json() for one in figures.values()])
        told_us, told = self._reported
        if text != told and (at_once or now_us - told_us >= _REPORT_S * 1e6):
            self._put(FIGURES, text)
            self._reported = now_us, text

    def _end(self) -> None:
        """What was told at last is remembered, too."""
        if self._progress is not None and self._lease.is_held:
            self._settle(self._progress)
            self._report(at_once=True)
        self._forget()

    def _note(self, exc: Exception) -> None:
        """Once for each cause; our own texts hold no secret, those of others are not shown."""
        text = str(exc) if isinstance(exc, ChainError) else type(exc).__name__
        level = logging.DEBUG if text in self._failed else logging.WARNING
        self._failed.add(text)
        _logger.log(level, "observers are told later: %s", text)
