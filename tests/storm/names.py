"""Names of what a storm writes: each write has a value of its own, so that matching is exact."""

from __future__ import annotations

from itertools import count

CONTENDED = "shared"
"""Begins the name of what many processes overwrite and delete at once.

MLflow answers a second deletion of such a key, and setting an alias to where it stands, with
success: these calls are recorded as done, and yet change no row.
"""

_A_PROCESS = 1_000_000
_LIVES = 1_000


class Names:
    """Names and numbers that nobody else of the storm uses; for any thread.

    Args:
        slot: which of the storm's processes.
        life: how often that one was started before.
    """

    def __init__(self, slot: int, life: int) -> None:
        self._prefix = f"{slot}_{life}"
        self._count = count()
        self._first = (slot * _LIVES + life) * _A_PROCESS

    def fresh(self, kind: str) -> str:
        """A name such as ``run-3_14-25``."""
        return f"{kind}-{self._prefix}-{next(self._count)}"

    def number(self) -> int:
        """A number."""
        return self._first + next(self._count)


def is_contended(name: object) -> bool:
    """Whether a name begins as that of something contended."""
    return str(name).startswith(CONTENDED)
