"""Events that are recorded and not yet in the log: a verification must know them too."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from chain_client.errors import InvalidEvent, SchemaTooNew, SpoolUnavailable
from chain_client.events import Event
from chain_client.log import Log
from chain_client.relay.source_cursor import SourceCursor
from chain_client.spool import Position, SourceReader, list_sources
from chain_client.types import EventId

_READ_BYTES = 1 << 20


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
    """Read every source from where the log has it, changing nothing.

    Guarantee: an event that was recorded before the call is here, or is in the log when the call
    returns. A source that can't be read is counted, and stops no other.

    Raises:
        LogUnavailable: the log can't be read.
        SpoolUnavailable: the spool's folder can't be read.
    """
    found = Spooled()
    for reader in list_sources(root):
        found.waiting[reader.source_id] = set()
        try:
            _read_source(reader, log, found)
        except FileNotFoundError:
            # The relay has taken the rest and removed the spool: the log has it.
            found.waiting.pop(reader.source_id)
        except (InvalidEvent, SchemaTooNew, SpoolUnavailable):
            found.corruptions += 1
    return found


def _read_source(reader: SourceReader, log: Log, found: Spooled) -> None:
    source_id = reader.source_id
    state = log.source(source_id)
    start = Position(state.segment, state.offset) if state else Position(0, 0)
    cursor = SourceCursor(source_id, start, state.next_sequence if state else 0)
    events: list[Event] = []
    found.live_sources += reader.is_live()
    while True:
        read = reader.read(cursor.position, _READ_BYTES)
        found.corruptions += len(read.corruptions)
        events.extend(e for record in read.records if (e := cursor.take(record)) is not None)
        cursor.position = read.next
        if not read.records and not read.corruptions:
            break
    settled = {event.sequence for event in events}
    events.extend(i.event for i in (*cursor.open.values(), *cursor.doubtful.values()))
    # What stands behind a call that still runs is read again, though the log may have it.
    known = log.known(source_id, [event.sequence for event in events])
    found.events.update({e.event_id: e for e in events if e.sequence not in known})
    found.waiting[source_id] = {e.sequence for e in events} - known
    found.settled[source_id] = settled - known
