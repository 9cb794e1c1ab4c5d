"""Recomputing what the log claims: every leaf from its event, every tile from its leaves.

Nothing stored is believed. Ranges are independent, so that a process pool can share them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from chain_client.log.database import reading
from chain_client.log.entry_check import LeafMismatch, check_entry
from chain_client.log.log import Log
from chain_client.log.model import Entry
from chain_client.log.payload_place import PayloadPlace
from chain_client.log.tiles import WIDTH, TileSource
from chain_client.merkle import root
from chain_client.types import LeafHash, SourceId


@dataclass(slots=True)
class RangeCheck:
    """What a range of entries holds.

    Args:
        start: first index.
        stop: index after the last.
        leaf_hashes: as stored, one for each index; None where there is none of 32 bytes.
        mismatches: in log order; at most one for each entry.
        sequences: those that the rows name, in log order, by source.
        unread: those of them whose events can't be read, by source.
        noted: source, sequence and type of each event of a type that was asked for.
    """

    start: int
    stop: int
    leaf_hashes: list[LeafHash | None] = field(default_factory=list)
    mismatches: list[LeafMismatch] = field(default_factory=list)
    sequences: dict[SourceId, list[int]] = field(default_factory=dict)
    unread: dict[SourceId, list[int]] = field(default_factory=dict)
    noted: list[tuple[SourceId, int, str]] = field(default_factory=list)


def recheck_range(
    log: Log | str,
    start: int,
    stop: int,
    note_types: Collection[str] = (),
    payloads: PayloadPlace | None = None,
) -> RangeCheck:
    """Recompute the leaves of ``start:stop``, in memory for that range.

    Args:
        log: the log, or its URL (for a process pool: both arguments and result can be pickled).
        start: first index.
        stop: index after the last; every index of the range must have an entry.
        note_types: event types whose places are wanted.
        payloads: where the log's payloads are, if it is given by its URL.

    Raises:
        LogUnavailable: the database, or the payload store, does not answer.
        LogCorrupt: it is damaged.
    """
    opened = Log(log, payloads=payloads) if isinstance(log, str) else log
    try:
        check = RangeCheck(start, stop)
        expected = start
        for entry in opened.entries(start, stop):
            for index in range(expected, entry.index):
                _note_missing(check, index)
            expected = entry.index + 1
            _note(check, entry, note_types)
        for index in range(expected, stop):
            _note_missing(check, index)
        return check
    finally:
        if opened is not log:
            opened.close()


def recheck(log: Log, start: int = 0, stop: int | None = None) -> Iterator[LeafMismatch]:
    """Entries of ``start:stop`` (by default all) that are not what was sealed.

    Raises:
        LogUnavailable: the database does not answer.
        LogCorrupt: it is damaged.
    """
    end = log.size() if stop is None else stop
    for first in range(start, end, 16 * WIDTH):
        yield from recheck_range(log, first, min(first + 16 * WIDTH, end)).mismatches


def recheck_tiles(log: Log) -> Iterator[tuple[int, int]]:
    """Level and number of each stored tile that its own leaves or tiles do not give.

    A log with such a tile makes wrong proofs, though every entry of it may be right.

    Raises:
        LogUnavailable: the database does not answer.
        LogMismatch: a tile, or rows below it, are not whole.
    """
    nodes, level = log.size() // WIDTH, 1
    while nodes:
        for number in range(-(-nodes // WIDTH)):
            with reading(log.engine) as connection:
                source = TileSource(connection)
                first = number * WIDTH
                children = range(first, min(first + WIDTH, nodes))
                expected = [root(source.tile(level - 1, child)) for child in children]
                if source.tile(level, number)[: len(expected)] != expected:
                    yield level, number
        nodes, level = nodes // WIDTH, level + 1


def _note_missing(check: RangeCheck, index: int) -> None:
    check.leaf_hashes.append(None)
    check.mismatches.append(
        LeafMismatch(index, "entry_missing", None, None, f"the row of entry {index} was removed")
    )


def _note(check: RangeCheck, entry: Entry, note_types: Collection[str]) -> None:
    check.leaf_hashes.append(entry.leaf_hash if len(entry.leaf_hash) == 32 else None)
    if type(entry.sequence) is int:
        check.sequences.setdefault(entry.source_id, []).append(entry.sequence)
    mismatch, event = check_entry(entry)
    if event is None and type(entry.sequence) is int:
        check.unread.setdefault(entry.source_id, []).append(entry.sequence)
    if mismatch is not None:
        check.mismatches.append(mismatch)
    if event is not None and event.type in note_types:
        check.noted.append((event.source_id, event.sequence, event.type))
