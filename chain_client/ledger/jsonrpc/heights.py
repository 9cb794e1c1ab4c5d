"""How far each endpoint has come: who lags behind, and who stands still.

What one endpoint says of its height must not shut out the others for ever: it may lie, or have
shown a fork that lost. So it counts only while it is fresh, unless another one confirmed it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from chain_client.clock import Clock
from chain_client.forking import ForkableLock

FRESH_S = 120.0
"""So long, no other endpoint may be behind a block that one showed."""
STILL_S = 60.0
"""An endpoint that is behind and does not move for so long counts as one that is down."""


@dataclass(slots=True)
class _Height:
    shown: int = 0
    """Highest block that callers were told of; it may fall when the endpoint's own head does."""
    shown_us: int = 0
    head: int = 0
    seen_us: int = 0
    moved_us: int = 0
    behind_us: int | None = None
    """Since when it has been behind another one's head without a new block."""


class Heights:
    """Heights of the endpoints of one chain, by any key. Threads may share it.

    Args:
        clock: for what is fresh, and for who stands still.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = ForkableLock()
        self._heights: dict[Hashable, _Height] = {}
        self._confirmed = 0

    def shown(self, who: Hashable, number: int, *, is_head: bool = True) -> None:
        """Callers are told of a block; ``is_head``: there is no later one."""
        with self._lock.held():
            height = self._of(who)
            if is_head:
                self._notice(height, number)
            if is_head or number > height.shown:
                height.shown = number
            height.shown_us = self._clock.monotonic_us()

    def noticed(self, who: Hashable, head: int) -> None:
        """An endpoint's head, which nobody relies on; it is no bar for others."""
        with self._lock.held():
            self._notice(self._of(who), head)

    def confirmed(self, number: int) -> None:
        """Two endpoints call a block final: whoever lacks it lags behind."""
        with self._lock.held():
            self._confirmed = max(self._confirmed, number)

    def bar(self, who: Hashable) -> int:
        """The block that an endpoint must have reached to take another one's place."""
        with self._lock.held():
            shown = (h.shown for key, h in self._fresh() if key is not who)
            return max(self._confirmed, max(shown, default=0))

    def newest(self) -> int:
        """The highest block that was shown of late."""
        with self._lock.held():
            return max((height.shown for _, height in self._fresh()), default=0)

    def noticed_s(self, who: Hashable) -> float:
        """How long ago an endpoint's head was last looked at."""
        with self._lock.held():
            height = self._heights.get(who)
            return self._since_s(height.seen_us) if height and height.seen_us else float("inf")

    def unmoved_s(self, who: Hashable) -> float:
        """How long its head has been the same, as far as was seen."""
        with self._lock.held():
            height = self._heights.get(who)
            return self._since_s(height.moved_us) if height else 0.0

    def still_behind(self, who: Hashable) -> str | None:
        """In words, where an endpoint stands still while another one goes on; None if not so."""
        with self._lock.held():
            height = self._heights.get(who)
            if height is None:
                return None
            best = self._best()
            if height.behind_us is None or best <= height.head:
                return None
            if height.seen_us - height.behind_us < STILL_S * 1e6:
                return None
            return f"stands still at block {height.head}, and {best} was seen"

    def clear(self) -> None:
        """Forget all."""
        with self._lock.held():
            self._heights.clear()
            self._confirmed = 0

    def _of(self, who: Hashable) -> _Height:
        return self._heights.setdefault(who, _Height(moved_us=self._clock.monotonic_us()))

    def _notice(self, height: _Height, head: int) -> None:
        now_us = self._clock.monotonic_us()
        if head > height.head or height.seen_us == 0:
            height.moved_us, height.behind_us = now_us, None
        height.head, height.seen_us = head, now_us
        if head >= self._best():
            height.behind_us = None
        elif height.behind_us is None:
            height.behind_us = now_us

    def _best(self) -> int:
        seen = (h.head for h in self._heights.values() if self._since_s(h.seen_us) <= FRESH_S)
        return max(seen, default=0)

    def _fresh(self) -> list[tuple[Hashable, _Height]]:
        found = self._heights.items()
        return [(key, h) for key, h in found if self._since_s(h.shown_us) <= FRESH_S]

    def _since_s(self, then_us: int) -> float:
        return (self._clock.monotonic_us() - then_us) / 1e6
