"""Adding entries: what is there is skipped, what contradicts it is refused."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection, Table, func, insert, select

from chain_client.errors import InvalidInput, SourceForked
from chain_client.event_codec import EVENT_ID_AT, TYPE_AT, decode_event
from chain_client.log.model import NewEntry, StoredObject
from chain_client.log.payload_objects import head_of
from chain_client.log.postgres import copy_rows, is_postgres
from chain_client.log.schema import entries, payloads, subjects
from chain_client.log.tiles import Edge, write_tiles
from chain_client.types import LeafHash, SourceId

_T = TypeVar("_T")

_NARROW = ("log_index", "subject_no", "seed", "event")
_WIDE = (*_NARROW, "object_digest", "object_bytes")
_MAX_GAP = 256
"""Sequences further apart are looked up by separate queries."""
_MAX_VARIABLES = 500
"""Most values in one IN list; SQLite allows 999 in old builds."""


def check_entries(new: Sequence[NewEntry]) -> None:
    """Raise `InvalidInput` for an entry that could never be stored."""
    for entry in new:
        if len(entry.leaf_hash) != 32 or len(entry.source_id) != 16 or len(entry.seed) != 16:
            raise InvalidInput("expected a leaf hash of 32 bytes, and 16 of source id and seed")
        if entry.sequence < 0 or not entry.event:
            raise InvalidInput("expected a sequence of at least 0, and an event")


def without_known(
    connection: Connection, new: Sequence[NewEntry], numbers: dict[SourceId, int]
) -> list[NewEntry]:
    """The entries that the log does not hold yet, each once.

    Raises:
        SourceForked: a source gives a sequence of it to another event.
    """
    by_source: dict[SourceId, list[int]] = defaultdict(list)
    for entry in new:
        by_source[entry.source_id].append(entry.sequence)
    held: dict[tuple[SourceId, int], bytes | None] = {}
    for source_id, sequences in by_source.items():
        for sequence, event_id in held_ids(connection, numbers[source_id], sequences):
            held[source_id, sequence] = event_id
    fresh: dict[tuple[SourceId, int], NewEntry] = {}
    for entry in new:
        key = (entry.source_id, entry.sequence)
        if key in held:
            known = held[key]
        elif key in fresh:
            known = decode_event(fresh[key].event).event_id
        else:
            fresh[key] = entry
            continue
        if known is not None and known != decode_event(entry.event).event_id:
            raise SourceForked(entry.source_id, entry.sequence)
    return list(fresh.values())


def held_sequences(connection: Connection, source_no: int, sequences: Iterable[int]) -> set[int]:
    """Those of the sequences that the log holds."""
    wanted = set(sequences)
    held: set[int] = set()
    for low, high in _runs(wanted):
        held.update(
            connection.execute(
                select(entries.c.sequence).where(
                    entries.c.source_no == source_no, entries.c.sequence.between(low, high)
                )
            ).scalars()
        )
    return held & wanted


def write_entries(
    connection: Connection,
    edge: Edge,
    fresh: Sequence[NewEntry],
    numbers: dict[SourceId, int],
    stored: Mapping[LeafHash, StoredObject],
) -> None:
    """Add the entries at the end of the log, and their nodes to its tiles.

    Args:
        connection: in a transaction.
        edge: of the tree.
        fresh: what is added.
        numbers: by which rows name sources.
        stored: where a payload store keeps events, by leaf.
    """
    first = edge.size
    subject_numbers = _subject_numbers(connection, fresh)
    _insert_rows(
        connection,
        entries,
        ("log_index", "leaf_hash", "source_no", "sequence"),
        [
            (index, entry.leaf_hash, numbers[entry.source_id], entry.sequence)
            for index, entry in enumerate(fresh, first)
        ],
    )
    kept = [
        (index, subject_numbers[entry.subject_key], entry.seed, entry.event)
        for index, entry in enumerate(fresh, first)
    ]
    if stored:
        _insert_rows(connection, payloads, _WIDE, _with_objects(kept, fresh, stored))
    else:
        _insert_rows(connection, payloads, _NARROW, kept)
    write_tiles(connection, edge.extend([entry.leaf_hash for entry in fresh]))


def _with_objects(
    rows: Iterable[tuple[int, int, bytes, bytes]],
    fresh: Iterable[NewEntry],
    stored: Mapping[LeafHash, StoredObject],
) -> list[tuple[object, ...]]:
    """The rows, with the beginning of an event and its object in place of what a store keeps."""
    wide: list[tuple[object, ...]] = []
    for row, entry in zip(rows, fresh, strict=True):
        found = stored.get(entry.leaf_hash)
        if found is None:
            wide.append((*row, None, None))
        else:
            wide.append((*row[:3], head_of(entry.event), found.digest, found.size_bytes))
    return wide


def _insert_rows(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[tuple[object, ...]],
) -> None:
    """Insert rows past SQLAlchemy, as fast as the driver can: a third of the time is saved.

    Args:
        connection: in a transaction.
        table: where to.
        columns: names, in the order of the table's own columns.
        rows: values that the driver takes as they are.
    """
    if is_postgres(connection):
        copy_rows(connection, table, columns, rows)
    else:
        compiled = insert(table).compile(dialect=connection.dialect, column_keys=columns)
        connection.exec_driver_sql(str(compiled), rows)


def encode_subject(key: str) -> bytes:
    """Stored form of a subject key; host ids may hold what is no valid Unicode."""
    return key.encode("utf-8", "surrogatepass")


def decode_subject(key: bytes) -> str:
    """The inverse of `encode_subject`; what it never wrote is shown escaped."""
    try:
        return key.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return key.decode("utf-8", "backslashreplace")


def held_ids(
    connection: Connection, source_no: int, sequences: Iterable[int]
) -> Iterator[tuple[int, bytes | None]]:
    """Sequence and event id of each of the sequences that is in the log; None if it is not told."""
    wanted = held_sequences(connection, source_no, sequences)
    for part in _parts(sorted(wanted)):
        rows = connection.execute(
            select(
                entries.c.sequence,
                payloads.c.event,
                payloads.c.leaf_data,
                payloads.c.object_digest.is_not(None).label("is_head"),
            )
            .outerjoin(payloads, payloads.c.log_index == entries.c.log_index)
            .where(entries.c.source_no == source_no, entries.c.sequence.in_(part))
        )
        for row in rows:
            yield row.sequence, _event_id(row.event, row.leaf_data, bool(row.is_head))


def _event_id(event: bytes | None, leaf_data: bytes | None, is_head: bool) -> bytes | None:
    """None for what was edited so that it can't be read: a verification names it."""
    try:
        if event is not None and is_head:
            found = bytes.fromhex(event[EVENT_ID_AT : EVENT_ID_AT + 32].decode("ascii"))
            return found if len(event) > TYPE_AT and len(found) == 16 else None
        if event is not None:
            return decode_event(event).event_id
        if leaf_data is not None:
            return bytes.fromhex(json.loads(leaf_data)["id"].removeprefix("0x"))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return None


def _subject_numbers(connection: Connection, fresh: Sequence[NewEntry]) -> dict[str, int]:
    keys = {encode_subject(key): key for key in dict.fromkeys(e.subject_key for e in fresh)}
    numbers: dict[str, int] = {}
    for part in _parts(list(keys)):
        rows = connection.execute(select(subjects).where(subjects.c.subject_key.in_(part)))
        numbers.update({keys[row.subject_key]: row.subject_no for row in rows})
    missing = {key: text for key, text in keys.items() if text not in numbers}
    if missing:
        last = connection.execute(select(func.max(subjects.c.subject_no))).scalar_one()
        first = 1 if last is None else last + 1
        numbers.update({text: first + n for n, text in enumerate(missing.values())})
        connection.execute(
            insert(subjects),
            [{"subject_no": numbers[text], "subject_key": key} for key, text in missing.items()],
        )
    return numbers


def _runs(sequences: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Ranges that cover the sequences, without long stretches that hold none of them."""
    ordered = sorted(sequences)
    if not ordered:
        return
    low = high = ordered[0]
    for sequence in ordered[1:]:
        if sequence - high > _MAX_GAP:
            yield low, high
            low = sequence
        high = sequence
    yield low, high


def _parts(values: list[_T]) -> Iterator[list[_T]]:
    for start in range(0, len(values), _MAX_VARIABLES):
        yield values[start : start + _MAX_VARIABLES]
