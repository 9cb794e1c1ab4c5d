"""Whether one entry of the log is what was sealed: its leaf, recomputed from its event."""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.commitments import seal
from chain_client.errors import ChainError, LogCorrupt
from chain_client.event_codec import decode_event
from chain_client.events import Event
from chain_client.log.model import Entry, Fault


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


def read_whole(entry: Entry) -> Event:
    """The event of an entry, which is the one that was sealed.

    For readers to whom a later entry takes an earlier one back, or forbids something: there an
    entry that can't be read may not be passed over, or who removes it brings back what was before.

    Raises:
        LogCorrupt: it is gone, erased or edited; the text names the entry.
    """
    mismatch, event = check_entry(entry)
    if mismatch is not None or event is None:
        raise LogCorrupt("an entry is not whole" if mismatch is None else mismatch.detail)
    return event


def check_entry(entry: Entry) -> tuple[LeafMismatch | None, Event | None]:
    """In what an entry is not what was sealed, if in anything; and its event, if it can be read."""
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
