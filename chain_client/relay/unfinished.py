"""Shipments that were begun and do not go on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from chain_client.clock import Clock
from chain_client.shipping.base import Unfinished

_UNFINISHED_S = 600.0
"""A shipment that has not grown for so long is not going on: a shipper has seconds."""


class UnfinishedShipments:
    """Tells of each once, until it is whole or gone.

    Args:
        clock: time.
        alarm: called with (kind, subject, detail).
        clear: called with (kind, subject).
        standing: subjects of the alarms of a kind that stand.
    """

    def __init__(
        self,
        clock: Clock,
        alarm: Callable[[str, str, str], None],
        clear: Callable[[str, str], None],
        standing: Callable[[str], Collection[str]],
    ) -> None:
        self._clock = clock
        self._alarm = alarm
        self._clear = clear
        self._standing = standing
        self._watched: dict[str, tuple[str, int]] = {}
        self._told: set[str] = set()

    def begin(self) -> None:
        """An earlier relay may have told of some."""
        self._told = set(self._standing("shipment_unfinished"))

    def note(self, found: Iterable[Unfinished]) -> None:
        """See what is unfinished now."""
        now_us = self._clock.monotonic_us()
        names = set()
        for item in found:
            name = item.source_id.hex()
            names.add(name)
            if self._watched.get(name, ("", 0))[0] != item.stand:
                self._watched[name] = item.stand, now_us
            elif now_us - self._watched[name][1] >= _UNFINISHED_S * 1e6:
                self._tell_of(name, item.files)
        for name in (self._watched.keys() | self._told) - names:
            self._watched.pop(name, None)
            if name in self._told:
                self._told.discard(name)
                self._clear("shipment_unfinished", name)

    def _tell_of(self, source: str, count: int) -> None:
        if source in self._told:
            return
        self._told.add(source)
        self._alarm(
            "shipment_unfinished",
            source,
            f"source {source} was being handed over, and its sender has stopped; {count} of its "
            "files are here, and nothing of it is in the log",
        )
