"""Alarms of sources, each raised once as long as its cause stands."""

from __future__ import annotations

from collections.abc import Callable


class StandingAlarms:
    """Raises an alarm when its cause begins, not anew in each round, and clears it when it ends.

    Args:
        alarm: called with (kind, subject, detail).
        clear: called with (kind, subject).
    """

    def __init__(
        self, alarm: Callable[[str, str, str], None], clear: Callable[[str, str], None]
    ) -> None:
        self._alarm = alarm
        self._clear = clear
        self._raised: set[tuple[str, bytes]] = set()

    def raise_once(self, kind: str, source_id: bytes, detail: str) -> None:
        """Raise it, unless it stands already."""
        if (kind, source_id) not in self._raised:
            self._alarm(kind, source_id.hex(), detail)
            self._raised.add((kind, source_id))

    def clear(self, kind: str, source_id: bytes) -> None:
        """Clear it, if it was raised here."""
        if (kind, source_id) in self._raised:
            self.clear_any(kind, source_id)

    def stands(self, kind: str, source_id: bytes) -> bool:
        """Whether it was raised here, and not cleared or forgotten since."""
        return (kind, source_id) in self._raised

    def forget(self, kind: str, source_id: bytes) -> None:
        """Let it stand, and raise it anew when its cause begins anew."""
        self._raised.discard((kind, source_id))

    def clear_any(self, kind: str, source_id: bytes) -> None:
        """Clear it, also if an earlier relay raised it."""
        self._clear(kind, source_id.hex())
        self._raised.discard((kind, source_id))
