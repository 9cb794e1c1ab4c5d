"""Which alarms began to stand, and which ended, since that was told last.

Whoever raised or cleared them: they are read from the log, which all processes share.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from chain_client.clock import Clock
from chain_client.log import Alarm, Log
from chain_client.notices import AlarmNotice, AlarmState

OLD_US = 600_000_000
"""What began earlier when a log is told of for the first time, is not told."""

_Key: TypeAlias = tuple[str, str]


class AlarmChanges:
    """Compares the alarms of a log with those that were told.

    Each change is told once: as soon as `look` gave it, it counts as told by this object; `cursor`
    holds only what `settle` said is done.

    Args:
        log: keeps the alarms.
        deployment_id: of the home.
        clock: time.
        cursor: what `cursor` gave last; None where nothing was ever told.
    """

    def __init__(self, log: Log, deployment_id: str, clock: Clock, cursor: str | None) -> None:
        self._log = log
        self._deployment_id = deployment_id
        self._standing, self._seen_us = _parse(cursor)
        if self._seen_us is None:
            self._seen_us = clock.time_us() - OLD_US
            self._is_first = True
        else:
            self._is_first = False
        self._done = dict(self._standing)
        self._done_us = self._seen_us

    def look(self) -> list[AlarmNotice]:
        """What changed since the last look, in order.

        Raises:
            LogUnavailable: the log does not answer.
        """
        rows = self._log.alarms(include_cleared=True)
        seen_us = self._seen_us or 0
        found = [notice for row in rows for notice in self._compare(row, seen_us)]
        self._is_first = False
        self._seen_us = max([seen_us, *(row.cleared_us or 0 for row in rows)])
        return sorted(found, key=lambda notice: notice.at_us)

    def settle(self, notice: AlarmNotice) -> None:
        """A notice was told, or will not be."""
        key = notice.kind, notice.subject
        if notice.state is AlarmState.RAISED:
            self._done[key] = notice.since_us
        elif self._done.get(key) == notice.since_us:
            del self._done[key]
        if notice.state is AlarmState.ENDED:
            self._done_us = max(self._done_us, notice.at_us)

    def cursor(self) -> str:
        """What is told for good."""
        rows = sorted([kind, subject, since] for (kind, subject), since in self._done.items())
        return json.dumps({"standing": rows, "seen_us": self._done_us})

    def _compare(self, row: Alarm, seen_us: int) -> Iterator[AlarmNotice]:
        key = row.kind, row.subject
        known_us = self._standing.get(key)
        if row.cleared_us is not None:
            self._standing.pop(key, None)
            if known_us is not None:
                yield self._notice(row, AlarmState.ENDED, known_us, row.cleared_us)
            elif row.cleared_us > seen_us and row.first_us > seen_us:
                # It came and went between two looks.
                yield self._notice(row, AlarmState.RAISED, row.first_us, row.first_us)
                yield self._notice(row, AlarmState.ENDED, row.first_us, row.cleared_us)
            return
        if known_us == row.first_us:
            return
        self._standing[key] = row.first_us
        if known_us is not None:
            # It ended and began again between two looks.
            yield self._notice(row, AlarmState.ENDED, known_us, row.first_us)
        if self._is_first and row.first_us <= seen_us:
            self._done[key] = row.first_us
            return
        yield self._notice(row, AlarmState.RAISED, row.first_us, row.first_us)

    def _notice(self, row: Alarm, state: AlarmState, since_us: int, at_us: int) -> AlarmNotice:
        named = json.dumps([self._deployment_id, row.kind, row.subject, since_us, str(state)])
        return AlarmNotice(
            notice_id=hashlib.sha256(named.encode()).hexdigest()[:32],
            state=state,
            kind=row.kind,
            subject=row.subject,
            detail=row.detail,
            since_us=since_us,
            at_us=at_us,
            count=row.count,
            deployment_id=self._deployment_id,
        )


def _parse(cursor: str | None) -> tuple[dict[_Key, int], int | None]:
    """What `AlarmChanges.cursor` gave; nothing for what is none."""
    try:
        found = json.loads(cursor or "null")
        rows: Sequence[tuple[str, str, int]] = found["standing"]
        return {(kind, subject): since for kind, subject, since in rows}, int(found["seen_us"])
    except (ValueError, TypeError, KeyError):
        return {}, None
