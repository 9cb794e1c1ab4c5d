"""Reading entries: by index, in ranges, and by subject."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    LargeBinary,
    Select,
    func,
    literal,
    or_,
    select,
)

from chain_client.event_codec import TYPE_AT
from chain_client.log.appending import decode_subject, encode_subject
from chain_client.log.database import reading
from chain_client.log.model import Entry, StoredObject
from chain_client.log.payload_objects import PayloadObjects
from chain_client.log.schema import entries, payloads, sources, subjects
from chain_client.types import Digest, LeafHash, SourceId

CHUNK = 500
"""Entries read at once; between two reads a writer can commit."""

# Outer joins: an entry whose payload or source was removed must still be seen.
_ENTRY = (
    select(
        entries.c.log_index,
        entries.c.leaf_hash,
        sources.c.source_id,
        entries.c.sequence,
        subjects.c.subject_key,
        payloads.c.event,
        payloads.c.seed,
        payloads.c.object_digest,
        payloads.c.object_bytes,
    )
    .outerjoin(sources, sources.c.source_no == entries.c.source_no)
    .outerjoin(payloads, payloads.c.log_index == entries.c.log_index)
    .outerjoin(subjects, subjects.c.subject_no == payloads.c.subject_no)
    .order_by(entries.c.log_index)
)


def read_range(
    engine: Callable[[], Engine], objects: PayloadObjects, start: int, stop: int
) -> Iterator[Entry]:
    """Entries of ``start:stop`` in log order, as many as there are.

    Args:
        engine: asked before each read, as between two the log may be closed, or the process fork.
        objects: gives the events that are not in the database.
        start: first index.
        stop: index after the last.
    """
    # By rows and not by indexes: an edited index may be far beyond the last entry.
    while start < stop:
        found = _read(
            engine(), entries.c.log_index >= start, entries.c.log_index < stop, limit=CHUNK
        )
        start = found[-1].index + 1 if len(found) == CHUNK else stop
        yield from objects.fill(found)
        del found  # before the next one is read


def read_some(
    engine: Callable[[], Engine], objects: PayloadObjects, indexes: Sequence[int]
) -> Iterator[Entry]:
    """The entries with these indexes, in log order; the rest as for `read_range`."""
    for start in range(0, len(indexes), CHUNK):
        part = list(indexes[start : start + CHUNK])
        yield from objects.fill(_read(engine(), entries.c.log_index.in_(part)))


def indexes_of_subjects(connection: Connection, prefix: str, *, exact: bool = False) -> array[int]:
    """Indexes of all entries whose subject key begins with, or is, ``prefix``, in log order."""
    return _indexes(connection, _of_subjects(prefix, exact=exact))


def indexes_of_source(
    connection: Connection, source_id: bytes, sequences: Collection[int]
) -> array[int]:
    """Indexes of the entries that have these sequences of a source, in log order."""
    return _indexes(
        connection,
        select(entries.c.log_index)
        .join(sources, sources.c.source_no == entries.c.source_no)
        .where(sources.c.source_id == source_id, entries.c.sequence.in_(sequences))
        .order_by(entries.c.log_index),
    )


def indexes_of_types(
    connection: Connection, prefix: str, types: Collection[str], *, exact: bool
) -> array[int]:
    """The same, only of entries whose event has one of the types.

    What has lost its event is among them with ``exact``: nobody can tell what it was.
    """
    wanted = [_is_of_type(type_) for type_ in sorted(types)]
    if exact:
        wanted.append(payloads.c.event.is_(None))
    return _indexes(connection, _of_subjects(prefix, exact=exact).where(or_(*wanted)))


def _of_subjects(prefix: str, *, exact: bool) -> Select[Any]:
    low = encode_subject(prefix)
    rows = (
        select(payloads.c.log_index)
        .join(subjects, subjects.c.subject_no == payloads.c.subject_no)
        .where(subjects.c.subject_key >= low)
        .order_by(payloads.c.log_index)
    )
    high = low + b"\0" if exact else _successor(low)
    return rows if high is None else rows.where(subjects.c.subject_key < high)


def _is_of_type(type_: str) -> ColumnElement[bool]:
    wanted = f'{type_}"'.encode()
    # The database looks at the beginning of the event, and sends nothing of it.
    begins = func.substr(payloads.c.event, TYPE_AT + 1, len(wanted), type_=LargeBinary)
    return begins == literal(wanted, LargeBinary)


def _indexes(connection: Connection, rows: Select[Any]) -> array[int]:
    found: array[int] = array("q")
    for part in connection.execute(rows.execution_options(yield_per=10_000)).scalars().partitions():
        found.extend(part)
    return found


def keys_of_subjects(connection: Connection, prefix: str) -> list[str]:
    """Every subject key that begins with ``prefix``, in order; none of their entries is read."""
    low = encode_subject(prefix)
    rows = select(subjects.c.subject_key).where(subjects.c.subject_key >= low)
    high = _successor(low)
    if high is not None:
        rows = rows.where(subjects.c.subject_key < high)
    found = connection.execute(rows.order_by(subjects.c.subject_key)).scalars()
    return [decode_subject(_to_bytes(key) or b"") for key in found]


def stores_of_subjects(connection: Connection) -> set[str]:
    """The stores that subjects name, found by one look-up each."""
    found: set[str] = set()
    low = b""
    while True:
        # Not its minimum: Postgres has none of bytes.
        query = select(subjects.c.subject_key).where(subjects.c.subject_key >= low)
        key = connection.execute(query.order_by(subjects.c.subject_key).limit(1)).scalar()
        if key is None:
            return found
        store = bytes(key).partition(b"/")[0]
        found.add(store.decode("utf-8", "replace"))
        low = store + b"0"  # the byte behind the slash


def _successor(prefix: bytes) -> bytes | None:
    """The first key after all that begin with ``prefix``; None if there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


def count_rows(connection: Connection) -> int:
    """How many rows there are; the size of the log, if none is missing."""
    return int(connection.execute(select(func.count()).select_from(entries)).scalar_one())


def _read(engine: Engine, *where: ColumnElement[bool], limit: int | None = None) -> list[Entry]:
    with reading(engine) as connection:
        query = _ENTRY.where(*where).limit(limit)
        return [_entry(row) for row in connection.execute(query)]


def _entry(row: Sequence[Any]) -> Entry:
    index, leaf_hash, source_id, sequence, subject_key, event, seed, digest, size_bytes = row
    return Entry(
        index,
        LeafHash(_to_bytes(leaf_hash) or b""),
        SourceId(_to_bytes(source_id) or b""),
        sequence,
        None if subject_key is None else decode_subject(_to_bytes(subject_key) or b""),
        _to_bytes(event),
        _to_bytes(seed),
        None if digest is None else _stored(digest, size_bytes),
    )


def _stored(digest: object, size_bytes: object) -> StoredObject:
    told = size_bytes if type(size_bytes) is int else -1
    return StoredObject(Digest(_to_bytes(digest) or b""), told)


def _to_bytes(value: object) -> bytes | None:
    """A binary column's content; SQL functions such as ``replace`` leave text in it."""
    if value is None or type(value) is bytes:
        return value
    return str(value).encode("utf-8", "surrogateescape")
