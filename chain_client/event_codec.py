"""The form in which events are stored: one compact JSON array, NaN and infinities allowed.

Never hashed: what is hashed is made by `chain_client.commitments`.
"""

from __future__ import annotations

from typing import Any

from chain_client import compact_json
from chain_client.compact_json import as_number, as_object, as_text, as_text_or_none
from chain_client.errors import InvalidEvent
from chain_client.events import Actor, Event, OutcomeStatus, Subject, Timing
from chain_client.types import EventId, SourceId

STORED_VERSION = 1
"""First element of the array."""

EVENT_ID_AT = len(f'[{STORED_VERSION},"')
"""Where the event id begins in a stored event: 32 hexadecimal digits."""

TYPE_AT = len(f'[{STORED_VERSION},"{bytes(16).hex()}","')
"""Where the type begins in a stored event; a quotation mark ends it."""

_MAX_LEVELS = compact_json.MAX_LEVELS + 1
"""Payload, result and detail stand one level deep in the array."""


def encode_event(event: Event) -> bytes:
    """Stored form of an event; `decode_event` gives an equal event back, tuples as lists.

    Raises:
        InvalidEvent: a value that JSON can't hold, a lone surrogate, or a payload, result or
            detail of more than `compact_json.MAX_LEVELS` levels.
    """
    subject, actor, timing = event.subject, event.actor, event.timing
    row = (
        STORED_VERSION,
        event.event_id.hex(),
        event.type,
        event.source_id.hex(),
        event.sequence,
        event.time_us,
        event.status.value,
        (subject.store, subject.kind, subject.id),
        (actor.authenticated, actor.claimed),
        (timing.started_us, timing.ended_us, timing.settled_at),
        dict(event.payload),
        None if event.result is None else dict(event.result),
        event.error,
        None if event.detail is None else dict(event.detail),
    )
    try:
        return compact_json.to_text(row, _MAX_LEVELS).encode()
    except UnicodeEncodeError:
        raise InvalidEvent("expected text that UTF-8 can hold, got a lone surrogate") from None
    except (TypeError, ValueError) as exc:
        if isinstance(exc, InvalidEvent):
            raise
        raise InvalidEvent("expected JSON values, got something else") from None


def decode_event(data: bytes) -> Event:
    """Event of a stored form.

    Raises:
        InvalidEvent: bytes that are not a stored event of this version.
    """
    try:
        row = compact_json.from_bytes(data, _MAX_LEVELS)
        if type(row) is not list or len(row) != 14 or row[0] != STORED_VERSION:
            raise InvalidEvent(f"expected a stored event of version {STORED_VERSION}")
        return _from_row(row)
    except (TypeError, ValueError) as exc:
        if isinstance(exc, InvalidEvent):
            raise
        raise InvalidEvent("expected a stored event, got damaged bytes") from None


def _from_row(row: list[Any]) -> Event:
    _, event_id, kind, source_id, sequence, time_us, status = row[:7]
    subject, actor, timing, payload, result, error, detail = row[7:]
    return Event(
        event_id=EventId(_id(event_id)),
        type=as_text(kind),
        source_id=SourceId(_id(source_id)),
        sequence=as_number(sequence),
        time_us=as_number(time_us),
        status=OutcomeStatus(status),
        subject=Subject(*map(as_text, _of_length(subject, 3))),
        actor=Actor(*map(as_text_or_none, _of_length(actor, 2))),
        timing=_timing(*_of_length(timing, 3)),
        payload=as_object(payload),
        result=None if result is None else as_object(result),
        error=as_text_or_none(error),
        detail=None if detail is None else as_object(detail),
    )


def _timing(started_us: Any, ended_us: Any, settled_at: Any) -> Timing:
    return Timing(
        as_number(started_us),
        None if ended_us is None else as_number(ended_us),
        None if settled_at is None else as_number(settled_at),
    )


def _id(value: Any) -> bytes:
    decoded = bytes.fromhex(value)
    if len(decoded) != 16:
        raise ValueError
    return decoded


def _of_length(value: Any, length: int) -> list[Any]:
    if type(value) is not list or len(value) != length:
        raise ValueError
    return value
