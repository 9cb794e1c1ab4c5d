"""Events that are recorded and not yet in the log: a verification must know them too."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from chain_client.errors import InvalidEvent, SchemaTooNew, SpoolUnavailable
from chain_client.events import Event
from chain_client.log import Log
from chain_client.relay.source_cursor import SourceCursor
from chain_client.spool import Kind, Position, SourceReader, list_sources
from chain_client.types import EventId

_READ_BYTES = 1 << 20
_GIVING = (Kind.INTENT, Kind.NOTE)
"""Kinds of records that take a sequence of their own."""


@dataclass(slots=True)
class Spooled:
    """What stands in the spools of a home.

    Args:
        events: by id, in the order of the sources; a call without an outcome is UNDETERMINED.
        waiting: sequences that a relay has still to take, by source.
        settled: those of them whose outcome is known, so that a relay can take them now.
        live_sources: sources whose process lives.
        corruptions: how many damaged places, or sources that can't be read, were met.
    """

    events: dict[EventId, Event] = field(default_factory=dict)
    waiting: dict[bytes, set[int]] = field(default_factory=dict)
    settled: dict[bytes, set[int]] = field(default_factory=dict)
    live_sources: int = 0
    corruptions: int = 0


def read_spooled(root: Path, log: Log) -> Spooled:
    """Read every source from its first segment on, changing nothing.

    Guarantee: an event that was recorded before the call is here, or is in the log when the call
    returns, whatever the log has noted of its source. A source that can't be read is counted, and
    stops no other. Memory is taken for what the log lacks.

    Raises:
        LogUnavailable: the log can't be read.
        SpoolUnavailable: the spool's folder can't be read.
    """
    found = Spooled()
    for reader in list_sources(root):
        found.waiting[reader.source_id] = set()
        try:
            _read_source(reader, log, found)
        except (InvalidEvent, SchemaTooNew, SpoolUnavailable):
            found.corruptions += 1
    return found


def _read_source(reader: SourceReader, log: Log, found: Spooled) -> None:
    source_id = reader.source_id
    cursor = SourceCursor(source_id, Position(0, 0), 0)
    events: list[Event] = []
    found.live_sources += reader.is_live()
    while True:
        read = reader.read(cursor.position, _READ_BYTES)
        found.corruptions += len(read.corruptions)
        given = {record.sequence for record in read.records if record.kind in _GIVING}
        known = log.known(source_id, given)
        events.extend(
            event
            for record in read.records
            if not (record.kind in _GIVING and record.sequence in known)
            and (event := cursor.take(record)) is not None
        )
        cursor.position = read.next
        if not read.records and not read.corruptions:
            break
    settled = {event.sequence for event in events}
    events.extend(i.event for i in (*cursor.open.values(), *cursor.doubtful.values()))
    if reader.is_empty():
        # The relay has taken the rest and removed the spool: the log has it.
        del found.waiting[source_id]
        return
    # A relay may have taken some since they were read.
    known = log.known(source_id, [event.sequence for event in events])
    found.events.update({e.event_id: e for e in events if e.sequence not in known})
    found.waiting[source_id] = {e.sequence for e in events} - known
    found.settled[source_id] = settled - known
