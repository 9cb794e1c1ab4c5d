"""What the log takes and gives. How it is stored lives in `schema`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from chain_client.types import Digest, LeafHash, SourceId


class EntryStatus(StrEnum):
    """How far an entry, or a head, has come. Only FINALIZED is called final."""

    SPOOLED = "spooled"
    """In a spool only; the log does not know it yet."""
    SEQUENCED = "sequenced"
    """Has its index in the log."""
    BROADCAST = "broadcast"
    """A head that covers it was sent."""
    INCLUDED = "included"
    """A block holds that head."""
    FINALIZED = "finalized"
    """That block is final."""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An event on its way into the log.

    Args:
        leaf_hash: `chain_client.commitments.seal` of the event and the seed.
        source_id: the source that recorded it.
        sequence: its place in that source.
        subject_key: `Subject.to_key` of the event's subject.
        event: `chain_client.event_codec.encode_event` of the event.
        seed: 16 random bytes from which the event's salts come.
    """

    leaf_hash: LeafHash
    source_id: SourceId
    sequence: int
    subject_key: str
    event: bytes
    seed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Where a payload store keeps an event.

    Args:
        digest: of the object.
        size_bytes: its size.
    """

    digest: Digest
    size_bytes: int


class Fault(StrEnum):
    """What can be wrong with what a payload store keeps of an entry."""

    OBJECT_MISSING = "object_missing"
    OBJECT_DAMAGED = "object_damaged"
    """Its content was changed, or it is another entry's."""
    HEAD_CHANGED = "head_changed"
    """The object is whole; the row tells another type, event id or size."""


@dataclass(frozen=True, slots=True)
class PayloadFault:
    """What is wrong with what a payload store keeps of an entry.

    Args:
        kind: of the fault.
        detail: one phrase that names the object.
    """

    kind: Fault
    detail: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log.

    Args:
        index: its leaf's index, from 0.
        leaf_hash: as it stands in the tree.
        source_id: the source that recorded it.
        sequence: its place in that source.
        subject_key: the key under which `Log.find_events` finds it; None if the payload is gone.
        event: the stored event; None if it was erased or is missing, empty if what a payload store
            keeps of it is damaged.
        seed: None if it was erased or is missing.
        stored: where a payload store keeps the event; None if the database does.
        fault: what is wrong with that.
    """

    index: int
    leaf_hash: LeafHash
    source_id: SourceId
    sequence: int
    subject_key: str | None
    event: bytes | None
    seed: bytes | None = field(repr=False)
    stored: StoredObject | None = None
    fault: PayloadFault | None = None


@dataclass(frozen=True, slots=True)
class SourceProgress:
    """How far a source has been read, and what is known of it.

    Args:
        source_id: the source.
        info: what its opening record says (host, process, adapter); {} leaves what is stored.
        segment: spool segment from which a new relay must read.
        offset: byte offset in that segment.
        next_sequence: how many sequences of it have been seen.
        state: ``open``, ``closed``, ``lost`` or ``forked``.
        forked_from: the source it was copied from, if it is a fork.
    """

    source_id: SourceId
    info: Mapping[str, Any]
    segment: int
    offset: int
    next_sequence: int
    state: str = "open"
    forked_from: SourceId | None = None


@dataclass(frozen=True, slots=True)
class SourceState:
    """What the log holds of a source: as `SourceProgress`, and when it was seen.

    Args:
        created_us: wall time of the relay when it first met the source.
        updated_us: … when it last wrote something of it.
        ingester: id of the home whose relay wrote that; None if it was not noted.
    """

    source_id: SourceId
    info: dict[str, Any]
    segment: int
    offset: int
    next_sequence: int
    state: str
    forked_from: SourceId | None
    created_us: int
    updated_us: int
    ingester: str | None = None


@dataclass(frozen=True, slots=True)
class LogHead:
    """A head that was chosen for anchoring.

    Args:
        size: number of leaves.
        root: root over them.
        status: SEQUENCED (chosen only), BROADCAST, INCLUDED or FINALIZED.
        transaction_id: row of the transaction queue that carries it.
        block_number: the block that holds it.
        block_hash: hash of that block.
        created_us: when it was chosen.
    """

    size: int
    root: Digest
    status: EntryStatus
    transaction_id: int | None
    block_number: int | None
    block_hash: bytes | None
    created_us: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do one thing alone.

    Args:
        name: of what, such as ``relay`` or ``key:0x…``.
        holder: who has it.
        token: grows with every change of hands; a writer with an older one is refused.
        expires_us: wall time after which another may take it over.
    """

    name: str
    holder: str
    token: int
    expires_us: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something a person should see.

    Args:
        kind: stable name, such as ``spool_corrupt``.
        subject: what it concerns.
        detail: one sentence, from the last time.
        first_us: when it first came up since it was last cleared.
        last_us: when it last came up.
        count: how often since then.
        cleared_us: when it was cleared; None while it stands.
    """

    kind: str
    subject: str
    detail: str
    first_us: int
    last_us: int
    count: int
    cleared_us: int | None
