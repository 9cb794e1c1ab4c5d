"""Asking the host what became of calls whose outcome nobody wrote down."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence

from chain_client.errors import ChainError, ConfigurationError
from chain_client.events import Event, OutcomeStatus
from chain_client.hosts import Host, Resolution, StoreBinding
from chain_client.types import EventId

_logger = logging.getLogger(__name__)


class Resolver:
    """Finds the adapter of an event's database and asks it.

    Args:
        bindings: gives the databases that record into this home.
        load_host: gives an adapter by name.
    """

    def __init__(
        self,
        bindings: Callable[[], Sequence[StoreBinding]],
        load_host: Callable[[str], Host],
    ) -> None:
        self._bindings = bindings
        self._load_host = load_host
        self._hosts: dict[str, Host] = {}

    def resolve(self, in_doubt: Sequence[Event]) -> tuple[dict[EventId, Resolution], str | None]:
        """What became of each event.

        Returns:
            the resolutions by event id, and why the rest could not be resolved now (None if
            there is no rest). What can't be resolved stays in doubt; nothing is guessed.
        """
        by_store: dict[str, list[Event]] = defaultdict(list)
        for event in in_doubt:
            by_store[event.subject.store].append(event)
        known = {binding.store_id: binding for binding in self._bindings()}
        found: dict[EventId, Resolution] = {}
        trouble: str | None = None
        for store_id, events in by_store.items():
            try:
                found.update(self._ask(known.get(store_id), store_id, events))
            except ChainError as exc:
                trouble = str(exc)
                _logger.warning("%d events stay in doubt: %s", len(events), exc)
            except Exception as exc:
                # An adapter is foreign code here: whatever it raises, the relay lives on.
                trouble = f"the adapter failed with {type(exc).__name__}"
                _logger.exception("%d events stay in doubt", len(events))
        return found, trouble

    def _ask(
        self, binding: StoreBinding | None, store_id: str, events: list[Event]
    ) -> dict[EventId, Resolution]:
        if not store_id:
            # A record of the source itself concerns no host.
            return {e.event_id: Resolution(e.event_id, OutcomeStatus.NOT_APPLIED) for e in events}
        if binding is None:
            raise ConfigurationError(
                f"the database {store_id} is not known to this home; open it once with chain+…"
            )
        if binding.adapter not in self._hosts:
            self._hosts[binding.adapter] = self._load_host(binding.adapter)
        answers = self._hosts[binding.adapter].resolve(binding, events)
        return {answer.event_id: answer for answer in answers}
