"""A relay's look at its log every few seconds: figures, and the alarm of what waits too long."""

from __future__ import annotations

from chain_client.clock import Clock
from chain_client.errors import InvalidEvent, InvalidInput, LogUnavailable, PayloadsUnavailable
from chain_client.event_codec import decode_event
from chain_client.log import Alarm, EntryStatus, Log
from chain_client.relay.figures import Figures, Role
from chain_client.relay.held_lease import LEASE

ALARM = "oldest_event"
SUBJECT = "log"
_LOOK_US = 5_000_000
_STILL_US = 60_000_000


class Watch:
    """Figures of the log, and the alarm ``oldest_event``.

    Any relay of the log raises it, so that one which withholds is found out by another; and any
    clears it. What comes late from a machine that was off is no alarm as long as it moves.

    Args:
        log: the log.
        clock: time.
        alarm_age_s: see the setting ``relay.alarm_age_s``.
    """

    def __init__(self, log: Log, clock: Clock, alarm_age_s: float) -> None:
        self._log = log
        self._clock = clock
        self._alarm_age_s = alarm_age_s
        self._still_us = min(_STILL_US, round(alarm_age_s * 1e6))
        self._look_at_us = 0
        self._front: tuple[int, int] | None = None

    def look_when_due(self, role: Role, trouble: tuple[str, ...]) -> Figures | None:
        """Look, if the last look is some seconds ago; None if it is not. Never raises."""
        now_us = self._clock.monotonic_us()
        if now_us < self._look_at_us:
            return None
        self._look_at_us = now_us + _LOOK_US
        try:
            return self._look(role, trouble)
        except LogUnavailable as exc:
            return Figures(role, trouble=(*trouble, str(exc)))

    def _look(self, role: Role, trouble: tuple[str, ...]) -> Figures:
        holder = self._log.holder(LEASE)
        counts = self._log.counts()
        final = counts[EntryStatus.FINALIZED]
        anchored = final + counts[EntryStatus.INCLUDED]
        entries = sum(counts.values())
        is_still = self._is_still(anchored) if entries > anchored else False
        oldest_s: float | None = None
        try:
            oldest_s = self._age_s(anchored) if entries > anchored else None
            alarms = self._tell(oldest_s, is_still, entries - anchored)
        except PayloadsUnavailable as exc:  # its age is in there; that alarm stays as it is
            alarms, trouble = self._log.alarms(), (*trouble, str(exc))
        return Figures(
            role=role,
            anchored_by=None if holder is None else holder.holder,
            entries=entries,
            anchored=anchored,
            final=final,
            oldest_waiting_s=oldest_s,
            alarms=tuple((alarm.kind, alarm.subject) for alarm in alarms),
            trouble=trouble,
        )

    def _age_s(self, index: int) -> float | None:
        try:
            entry = self._log.entry(index)
            event = None if entry.event is None else decode_event(entry.event)
        except (InvalidInput, InvalidEvent):  # removed or damaged: verification names it
            return None
        return None if event is None else max(0.0, (self._clock.time_us() - event.time_us) / 1e6)

    def _is_still(self, index: int) -> bool:
        """Whether this entry has been the first that waits for some time."""
        now_us = self._clock.monotonic_us()
        if self._front is None or self._front[0] != index:
            self._front = index, now_us
        return now_us - self._front[1] >= self._still_us

    def _tell(self, oldest_s: float | None, is_still: bool, waiting: int) -> list[Alarm]:
        alarms = self._log.alarms()
        stands = any(alarm.kind == ALARM for alarm in alarms)
        too_old = oldest_s is not None and oldest_s > self._alarm_age_s
        if too_old and is_still and not stands:
            text = (
                f"{waiting} entries are in the log and no head on chain covers them; the oldest is "
                f"{oldest_s:.0f} s old"
            )
            self._log.raise_alarm(ALARM, SUBJECT, text)
            return self._log.alarms()
        if stands and not too_old:
            self._log.clear_alarm(ALARM, SUBJECT)
            return [alarm for alarm in alarms if alarm.kind != ALARM]
        return alarms
