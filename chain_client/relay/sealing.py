"""From an event to the entry that the log keeps of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from chain_client import records
from chain_client.commitments import seal
from chain_client.errors import InvalidEvent
from chain_client.event_codec import encode_event
from chain_client.events import Actor, Event, OutcomeStatus, Subject
from chain_client.log import NewEntry
from chain_client.relay.seeds import Seeds

_MOST_SUBJECT_BYTES = 2_500
"""Of store, kind and id. An index of PostgreSQL takes 2,704: the log would refuse it for ever."""


def seal_entry(
    event: Event, alarm: Callable[[str, str, str], None], seeds: Seeds
) -> tuple[NewEntry, str | None]:
    """The entry of an event, and what was wrong with it.

    One event without canonical form, or with a subject that no log takes, must not hold up those
    behind it: a note stands in its place.

    Args:
        event: what happened.
        alarm: called with (kind, subject, detail) for what a person should see.
        seeds: gives its seed.
    """
    problem = None
    try:
        _check_subject(event.subject)
        stored = encode_event(event)
        seed = seeds.of(event.source_id, stored)
        leaf_hash = seal(event, seed)
    except InvalidEvent as exc:
        problem = f"event {event.sequence} ({event.type[:80]}) has no canonical form: {exc}"
        alarm("event_unreadable", event.source_id.hex(), problem)
        event = replace(
            event,
            type=records.EVENT_UNREADABLE,
            status=OutcomeStatus.UNDETERMINED,
            subject=Subject("", records.SOURCE, event.source_id.hex()),
            actor=Actor(),
            payload={},
            result=None,
            error=None,
            detail=None,
        )
        stored = encode_event(event)
        seed = seeds.of(event.source_id, stored)
        leaf_hash = seal(event, seed)
    subject = event.subject.to_key()
    return NewEntry(leaf_hash, event.source_id, event.sequence, subject, stored, seed), problem


def _check_subject(subject: Subject) -> None:
    length = len(subject.to_key().encode("utf-8", "surrogatepass"))
    if length > _MOST_SUBJECT_BYTES:
        raise InvalidEvent(
            f"expected a subject of at most {_MOST_SUBJECT_BYTES:,} bytes, got {length:,} bytes"
        )
