"""How long to wait until the next look: longer and longer while nothing answers."""

from __future__ import annotations

import asyncio
import random

LOOK_S = 60.0
"""After which a look is given up; the connection's own timeouts are shorter."""
LONGEST_S = 60.0
"""Longest pause while nothing answers, if the usual one is shorter."""
MAX_TEXT = 2_000
"""Characters of what is told: it stands in logs and in the user interface."""


def bounded(text: str) -> str:
    """The text, cut where it would be too long."""
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


class Patience:
    """Pauses between looks.

    Args:
        usual_s: while there are answers.
        most_s: when there are none, at most.
    """

    def __init__(self, usual_s: float, most_s: float = LONGEST_S) -> None:
        self._usual_s = max(usual_s, 0.01)
        self._most_s = max(most_s, self._usual_s)
        self._failures = 0

    @property
    def told(self) -> str:
        """How it stands, in words."""
        return "nothing was seen" if not self._failures else "chain or log did not answer"

    def answered(self) -> None:
        """A look succeeded."""
        self._failures = 0

    def failed(self) -> None:
        """One did not."""
        self._failures += 1

    @property
    def pause_s(self) -> float:
        """The next pause, before it is spread."""
        return min(self._usual_s * 2.0 ** min(self._failures, 20), self._most_s)

    async def pause(self) -> None:
        """Wait; many who were left without answers do not come back all at once."""
        spread = random.uniform(0.8, 1.2) if self._failures else 1.0  # noqa: S311 - no secret
        await asyncio.sleep(self.pause_s * spread)
