"""Whether the log's note of how far a source was read may be believed."""

from __future__ import annotations

from chain_client.log import Log
from chain_client.relay.lineage import GIVING, Lineage
from chain_client.spool import Position, SourceReader

_READ_BYTES = 1 << 20


def find_contradiction(
    reader: SourceReader, log: Log, noted: Position, lineage: Lineage
) -> str | None:
    """What speaks against reading on at ``noted``.

    Guarantee: None is only returned if every event that the spool holds before ``noted`` is in
    the log, so that passing over them, and removing them, loses nothing. The bodies of the
    records are not looked at; memory is that of one read.

    Args:
        reader: the source.
        log: the log that should hold its events.
        noted: where its row in the log says that reading goes on.
        lineage: where its records belong.

    Returns:
        what is wrong, for a person, or None.
    """
    if reader.is_empty():
        return None  # a relay that had taken it all died before it removed the folder
    position = Position(0, 0)
    while position < noted:
        read = reader.read(position, _READ_BYTES)
        passed = [record for record in read.records if record.position < noted]
        if passed and passed[-1].end > noted:
            return "the log notes a place within a record as the one to read on from"
        given = {record.sequence for record in passed if record.kind in GIVING}
        missing = given - lineage.known(log, passed)
        if missing:
            return (
                f"the log notes event {min(missing)} of this source as read, and does not hold it"
            )
        if read.next == position:
            return "the log notes more of this source as read than its spool holds"
        position = read.next
    return None
