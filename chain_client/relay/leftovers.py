"""Spools that honestly know less, or more, than the log: left behind, or given up too early."""

from __future__ import annotations

from chain_client import records
from chain_client.errors import InvalidEvent
from chain_client.event_codec import decode_event
from chain_client.events import Subject
from chain_client.log import Log, SourceState
from chain_client.relay.lineage import GIVING, Lineage, find_lineage
from chain_client.spool import Position, SourceReader

_READ_BYTES = 1 << 20


def find_known_end(reader: SourceReader, log: Log, lineage: Lineage) -> int | None:
    """How many sequences a spool gives, if the log has the event of each: if it is a copy of what
    was taken in, or the beginning of one. None otherwise.

    Raises:
        LogUnavailable: the log does not answer.
        SpoolUnavailable: the spool can't be read.
    """
    if lineage.is_forked:
        return None
    position, end = Position(0, 0), 0
    while True:
        read = reader.read(position, _READ_BYTES)
        given = {record.sequence for record in read.records if record.kind in GIVING}
        if given - lineage.known(log, read.records):
            return None
        end = max(end, 1 + max(given, default=-1))
        if read.next == position:
            return end
        position = read.next


def is_left_behind(reader: SourceReader, log: Log, lineage: Lineage, state: SourceState) -> bool:
    """Whether a spool is what is left of a source that has ended, and is in the log.

    Args:
        reader: the spool.
        log: the log.
        lineage: where its records belong.
        state: what the log notes of its source.
    """
    if state.state not in ("closed", "lost") or reader.is_live():
        return False
    return find_known_end(reader, log, lineage) is not None


def says_nothing_new(reader: SourceReader, log: Log) -> bool:
    """Whether a spool that was handed over can be forgotten: the log has all of it, and knows the
    source's end or something later than this.

    Raises:
        InvalidEvent: a record has no event id.
        LogUnavailable: the log does not answer.
        SpoolUnavailable: it can't be read.
    """
    state = log.source(reader.source_id)
    if state is None:
        return False
    end = find_known_end(reader, log, find_lineage(reader, log))
    if end is None:
        return False
    return state.state in ("closed", "lost") or end < state.next_sequence


def was_given_up(log: Log, lineage: Lineage) -> bool:
    """Whether a fork is the rest of a source whose owner was taken for dead too early, or of which
    the beginning had come first.

    Then the log holds, where the two part, no event of the owner but a relay's note that it was
    gone.

    Raises:
        LogUnavailable: the log does not answer.
    """
    origin = lineage.origin.source_id
    subject = Subject("", records.SOURCE, origin.hex()).to_key()
    for entry in log.find_events(subject, exact=True, types=(records.SOURCE_ABANDONED,)):
        try:
            event = None if entry.event is None else decode_event(entry.event)
        except InvalidEvent:
            continue
        if event is not None and (event.source_id, event.sequence) == (origin, lineage.forked_at):
            return event.type == records.SOURCE_ABANDONED
    return False
