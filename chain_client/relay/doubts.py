"""What became of calls whose outcome nobody wrote down: the host is asked, now and then."""

from __future__ import annotations

from chain_client.clock import Clock
from chain_client.events import Event
from chain_client.relay.resolving import Resolver
from chain_client.relay.source_cursor import SourceCursor
from chain_client.relay.standing_alarms import StandingAlarms
from chain_client.steps import step

_ASK_AGAIN_FIRST_US = 250_000
_ASK_AGAIN_LAST_US = 5_000_000


class Doubts:
    """Settles the events in doubt of any source; a host that fails is asked again later.

    Args:
        resolver: asks the host.
        clock: time.
        alarms: told when a host can't be asked.
    """

    def __init__(self, resolver: Resolver, clock: Clock, alarms: StandingAlarms) -> None:
        self._resolver = resolver
        self._clock = clock
        self._alarms = alarms
        self._ask_again: dict[bytes, tuple[int, int]] = {}

    def settle(self, cursor: SourceCursor) -> tuple[list[Event], str | None]:
        """The events of a source that are settled now, and what kept others from it."""
        source_id, now_us = cursor.source_id, self._clock.monotonic_us()
        ask_at_us, pause_us = self._ask_again.get(source_id, (0, _ASK_AGAIN_FIRST_US))
        if not cursor.doubtful or now_us < ask_at_us:
            return [], None
        waiting = {i.event.event_id: n for n, i in sorted(cursor.doubtful.items())}
        answers, trouble = self._resolver.resolve(
            [cursor.doubtful[n].event for n in waiting.values()]
        )
        if trouble is not None:
            self._ask_again[source_id] = now_us + pause_us, min(pause_us * 2, _ASK_AGAIN_LAST_US)
            self._alarms.raise_once("in_doubt", source_id, trouble)
        else:
            self._ask_again.pop(source_id, None)
            self._alarms.clear_any("in_doubt", source_id)
        events = [
            cursor.resolve(sequence, answers[event_id])
            for event_id, sequence in waiting.items()
            if event_id in answers
        ]
        step("relay.resolved")
        return events, trouble
