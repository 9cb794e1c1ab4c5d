"""All observers of a process."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from chain_client.observing.observer import Observer
from chain_client.observing.ticket import ObserverFigures, Ticket

CLOSE_S = 5.0
"""How long the end waits for calls that are under way, all together."""


class Dispatcher:
    """Hands each notice to every observer that listens to its hook.

    Guarantee: as `Observer`; and observers do not notice each other.

    Args:
        observers: each with a thread and a queue of its own.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def listens(self) -> bool:
        """Whether there is anybody to be told."""
        return bool(self._observers)

    def waiting(self, hook: str) -> int:
        """How many notices wait for the one of a hook's observers who has the fewest."""
        listening = (one for one in self._observers if one.listens_to(hook))
        return min((one.figures().waiting for one in listening), default=0)

    def tell(
        self, hook: str, /, *, told: Collection[str] = (), **values: Any
    ) -> tuple[Ticket, ...]:
        """Let everybody be told who listens.

        Args:
            hook: name of the hook.
            told: observers who know it already.
            values: the hook's arguments by name.

        Returns:
            a ticket for each; `Ticket.outcome` tells when it is settled.
        """
        return tuple(
            observer.put(hook, values)
            for observer in self._observers
            if observer.listens_to(hook) and observer.name not in told
        )

    def sweep(self) -> None:
        """Settle what takes too long; call it now and then."""
        for observer in self._observers:
            observer.sweep()

    def figures(self) -> Mapping[str, ObserverFigures]:
        """What became of the notices, by observer."""
        return {observer.name: observer.figures() for observer in self._observers}

    def close(self) -> None:
        """Tell what still waits, for some seconds at most, then leave behind what hangs."""
        for observer in self._observers:
            observer.begin_to_close()
        end_s = time.monotonic() + CLOSE_S
        for observer in self._observers:
            observer.join(end_s - time.monotonic())
