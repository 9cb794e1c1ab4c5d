"""How long to wait until the next look: longer and longer while nothing answers."""

from __future__ import annotations

import asyncio
import random
from typing import Any

LOOK_S = 60.0
"""After which a look is given up; the connection's own timeouts are shorter."""
LONGEST_S = 60.0
"""Longest pause while nothing answers, if the usual one is shorter."""
MAX_TEXT = 2_000
"""Characters of what is told: it stands in logs and in the user interface."""


def bounded(text: str) -> str:
    """The text, cut where it would be too long."""
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


class Outage:
    """Says once that something can't be seen now, and once that it can again.

    Args:
        log: where.
        what: can't be done, such as "look at the anchor".
    """

    def __init__(self, log: Any, what: str) -> None:
        self._log = log
        self._what = what
        self._stands = False

    def began(self, why: object) -> None:
        """It can't be seen; said at the first look in vain."""
        if not self._stands:
            self._log.warning("mlops-chain: can't %s now; waiting: %s", self._what, why)
        self._stands = True

    def ended(self) -> None:
        """It was seen."""
        if self._stands:
            self._log.info("mlops-chain: can %s again", self._what)
        self._stands = False


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
