"""Recomputing what the log claims: every leaf from its event, every tile from its leaves.

Nothing stored is believed. Ranges are independent, so that a process pool can share them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from chain_client.commitments import seal
from chain_client.errors import ChainError
from chain_client.event_codec import decode_event
from chain_client.events import Event
from chain_client.log.database import reading
from chain_client.log.log import Log
from chain_client.log.model import Entry, Fault
from chain_client.log.payload_place import PayloadPlace
from chain_client.log.tiles import WIDTH, TileSource
from chain_client.merkle import root
from chain_client.types import LeafHash, SourceId


@dataclass(frozen=True, slots=True)
class LeafMismatch:
    """An entry that is not what was sealed.

    Args:
        index: its leaf's index.
        kind: ``entry_missing`` (no row), ``payload_missing`` (no event or seed),
            ``payload_object_missing`` or ``payload_object_damaged`` (what a payload store keeps of
            it), ``payload_head_changed`` (what the row says of that), ``payload_unreadable``,
            ``leaf_changed`` (event, seed or leaf hash were edited), ``position_changed`` (the row
            names another source or sequence than the event) or ``subject_changed`` (the event
            can't be found under its subject).
        event_type: type of the stored event, if it can be read.
        subject_key: key of its subject, if it can be read.
        detail: one sentence.
    """

    index: int
    kind: str
    event_type: str | None
    subject_key: str | None
    detail: str


@dataclass(slots=True)
class RangeCheck:
    """What a range of entries holds.

    Args:
        start: first index.
        stop: index after the last.
        leaf_hashes: as stored, one for each index; None where there is none of 32 bytes.
        mismatches: in log order; at most one for each entry.
        sequences: those that the rows name, in log order, by source.
        noted: source, sequence and type of each event of a type that was asked for.
    """

    start: int
    stop: int
    leaf_hashes: list[LeafHash | None] = field(default_factory=list)
    mismatches: list[LeafMismatch] = field(default_factory=list)
    sequences: dict[SourceId, list[int]] = field(default_factory=dict)
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
    mismatch, event = _recheck_entry(entry)
    if mismatch is not None:
        check.mismatches.append(mismatch)
    if event is not None and event.type in note_types:
        check.noted.append((event.source_id, event.sequence, event.type))


def _recheck_entry(entry: Entry) -> tuple[LeafMismatch | None, Event | None]:
    where = f"entry {entry.index}"
    fault = entry.fault
    if fault is not None and fault.kind is Fault.OBJECT_MISSING:
        return _mismatch(entry, "payload_object_missing", f"{where}: {fault.detail}"), None
    if fault is not None and fault.kind is Fault.OBJECT_DAMAGED:
        return _mismatch(entry, "payload_object_damaged", f"{where}: {fault.detail}"), None
    if entry.event is None or entry.seed is None:
        text = f"{where} has no event or no seed any more, and nothing says that it was erased"
        return _mismatch(entry, "payload_missing", text), None
    try:
        event = decode_event(entry.event)
        sealed = seal(event, entry.seed)
    except (ChainError, ValueError, TypeError) as exc:
        text = f"the event of {where} can't be read ({type(exc).__name__})"
        return _mismatch(entry, "payload_unreadable", text), None
    if sealed != entry.leaf_hash:
        text = f"the event, the seed or the leaf hash of {where} was edited"
        return _mismatch(entry, "leaf_changed", text, event), event
    if (event.source_id, event.sequence) != (entry.source_id, entry.sequence):
        text = f"the row of {where} names another source or sequence than its event"
        return _mismatch(entry, "position_changed", text, event), event
    if event.subject.to_key() != entry.subject_key:
        text = f"{where} is kept under another subject than its event's"
        return _mismatch(entry, "subject_changed", text, event), event
    if fault is not None:
        return _mismatch(entry, "payload_head_changed", f"{where}: {fault.detail}", event), event
    return None, event


def _mismatch(entry: Entry, kind: str, detail: str, event: Event | None = None) -> LeafMismatch:
    if event is None:
        return LeafMismatch(entry.index, kind, None, entry.subject_key, detail)
    return LeafMismatch(entry.index, kind, event.type, event.subject.to_key(), detail)
