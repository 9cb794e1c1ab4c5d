"""The spool: what a process is about to do and has done, on its own disk before the host is asked.

A spool is a folder of *sources*, one for each recording process, each a run of append-only
segment files. `SpoolWriter` records; `SourceReader` is how the relay reads, and removes what the
log holds. What the bodies of the records mean is the recorder's and the relay's business.
"""

from chain_client.spool.frames import (
    MAX_BODY_BYTES,
    Corruption,
    Kind,
    Position,
    Record,
)
from chain_client.spool.reader import (
    SourceReader,
    SpoolRead,
    keep_aside,
    list_sources,
    remove_taken,
    remove_unborn,
)
from chain_client.spool.seizing import SeizedSource, seize
from chain_client.spool.writer import SEGMENT_BYTES, Durability, SpoolWriter

__all__ = [
    "MAX_BODY_BYTES",
    "SEGMENT_BYTES",
    "Corruption",
    "Durability",
    "Kind",
    "Position",
    "Record",
    "SeizedSource",
    "SourceReader",
    "SpoolRead",
    "SpoolWriter",
    "keep_aside",
    "list_sources",
    "remove_taken",
    "remove_unborn",
    "seize",
]
