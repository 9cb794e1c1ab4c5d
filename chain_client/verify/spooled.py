"""Events that are recorded and not yet in the log: a verification must know them too."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from chain_client.errors import ForeignSource, InvalidEvent, SchemaTooNew, SpoolUnavailable
from chain_client.events import Event
from chain_client.log import Log
from chain_client.relay.belonging import check_deployment_of
from chain_client.relay.lineage import GIVING, find_lineage
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
        foreign_sources: sources that another deployment recorded; nothing of them counts.
    """

    events: dict[EventId, Event] = field(default_factory=dict)
    waiting: dict[bytes, set[int]] = field(default_factory=dict)
    settled: dict[bytes, set[int]] = field(default_factory=dict)
    live_sources: int = 0
    corruptions: int = 0
    foreign_sources: int = 0


def read_spooled(
    root: Path, log: Log, deployment_id: str | None = None, *, inbox: Path | None = None
) -> Spooled:
    """Read every source from its first segment on, changing nothing.

    Guarantee: an event that was recorded before the call is here, or is in the log when the call
    returns, whatever the log has noted of its source. A source that can't be read is counted, and
    stops no other. Memory is taken for what the log lacks.

    Args:
        root: folder of the sources.
        log: what a relay has taken.
        deployment_id: sources of another deployment are left out; None takes them all.
        inbox: folder of sources that were handed over, and wait for a relay too.

    Raises:
        LogUnavailable: the log can't be read.
        SpoolUnavailable: the spool's folder can't be read.
    """
    found = Spooled()
    readers = [*list_sources(root), *(list_sources(inbox) if inbox is not None else [])]
    for reader in readers:
        found.waiting.setdefault(reader.source_id, set())
        try:
            if log.source(reader.source_id) is None:
                check_deployment_of(reader, deployment_id)
            _read_source(reader, log, found)
        except ForeignSource:
            found.foreign_sources += 1
            found.waiting.pop(reader.source_id, None)
        except (InvalidEvent, SchemaTooNew, SpoolUnavailable):
            found.corruptions += 1
    return found


def _read_source(reader: SourceReader, log: Log, found: Spooled) -> None:
    lineage = find_lineage(reader, log)
    sources = {part.source_id for part in lineage.parts}
    cursor = SourceCursor(lineage.source_id, Position(0, 0), 0, lineage)
    events: list[Event] = []
    found.live_sources += reader.is_live()
    while True:
        read = reader.read(cursor.position, _READ_BYTES)
        found.corruptions += len(read.corruptions)
        known = lineage.known(log, read.records)
        events.extend(
            event
            for record in read.records
            if not (record.kind in GIVING and record.sequence in known)
            and (event := cursor.take(record)) is not None
        )
        cursor.position = read.next
        if not read.records and not read.corruptions:
            break
    settled = {event.event_id for event in events}
    events.extend(i.event for i in (*cursor.open.values(), *cursor.doubtful.values()))
    if reader.is_empty():
        # The relay has taken the rest and removed the spool: the log has it.
        if not found.waiting[reader.source_id]:
            del found.waiting[reader.source_id]
        return
    for source_id in sources:
        ours = [event for event in events if event.source_id == source_id]
        # A relay may have taken some since they were read.
        held = log.known(source_id, [event.sequence for event in ours])
        ours = [event for event in ours if event.sequence not in held]
        found.events.update({event.event_id: event for event in ours})
        # One that was handed over may lie in both places.
        found.waiting.setdefault(source_id, set()).update(event.sequence for event in ours)
        found.settled.setdefault(source_id, set()).update(
            e.sequence for e in ours if e.event_id in settled
        )
