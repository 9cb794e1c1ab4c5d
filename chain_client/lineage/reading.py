"""The log, as adapters see it when they look for links: by subject, never as a whole."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from chain_client.compact_json import to_text
from chain_client.errors import InvalidEvent
from chain_client.event_codec import decode_event
from chain_client.events import Event, Subject
from chain_client.log import Log
from chain_client.log.model import Entry
from chain_client.traces import LoggedEvent

_MOST_TEXTS: Final = 8


class LoggedInLog:
    """`chain_client.traces.Logged` of a log.

    Takes 8 bytes of memory for each event of a question, and reads no event that has another type.

    Args:
        log: of the deployment.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._stores: list[str] | None = None

    def stores(self) -> Collection[str]:
        """Ids of all databases that the log has events of, in order."""
        if self._stores is None:
            self._stores = sorted(store for store in self._log.stores() if store)
        return self._stores

    def events(
        self,
        subject: Subject,
        *,
        below: bool = False,
        types: Collection[str] = (),
        containing: Collection[str] = (),
    ) -> Iterator[LoggedEvent]:
        """What the log has of a subject; see `chain_client.traces.Logged`."""
        # Decoding costs ten times as much as a look at the bytes, but not for many texts.
        sought = _stored(containing) if len(containing) <= _MOST_TEXTS else []
        for entry in self._log.find_events(subject.to_key(), exact=not below, types=types):
            stored = entry.event
            if not sought or stored is None or any(text in stored for text in sought):
                yield to_logged(entry, subject)

    def subjects(self, beginning: Subject) -> Iterator[Subject]:
        """The subjects whose ids begin so; see `chain_client.traces.Logged`."""
        for key in self._log.subject_keys(beginning.to_key()):
            yield _to_subject(key, beginning)


def _stored(texts: Collection[str]) -> list[bytes]:
    """How texts stand in stored events."""
    return [to_text(text, 1)[1:-1].encode("utf-8", "surrogatepass") for text in texts]


def to_logged(entry: Entry, asked: Subject) -> LoggedEvent:
    """An entry of the log, with its event if that can be read."""
    event: Event | None = None
    if entry.event is not None:
        try:
            event = decode_event(entry.event)
        except InvalidEvent:
            event = None  # verification names it
    subject = asked if entry.subject_key is None else _to_subject(entry.subject_key, asked)
    return LoggedEvent(entry.index, subject, event)


def _to_subject(key: str, asked: Subject) -> Subject:
    """The subject of a key that begins like the key of the one that was asked for."""
    return Subject(
        asked.store, asked.kind, key.removeprefix(Subject(asked.store, asked.kind, "").to_key())
    )
