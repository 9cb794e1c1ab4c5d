"""The bodies of spool records: what the recorder writes and the relay reads.

Fast encoding only (compact JSON, NaN allowed): canonical form and commitments are made later,
in the relay. The spool gives each body its sequence and, to an outcome, its mark.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from chain_client.clock import SystemClock
from chain_client.compact_json import (
    MAX_LEVELS,
    as_number,
    as_object,
    as_text,
    as_text_or_none,
    from_bytes,
    to_text,
)
from chain_client.errors import InvalidEvent
from chain_client.events import Actor, Event, Json, OutcomeStatus, Subject, Timing, new_event_id
from chain_client.types import EventId, SourceId

_LEVELS = MAX_LEVELS + 1
"""A body is a list, and what it holds may nest as deep as an event's parts."""
_EVENT_ID_BYTES = 16
_MOST_US = 1 << 53
"""Some 285 years: whoever reads the log can show such a time."""
_SURROGATE = re.compile("[\ud800-\udfff]")

SOURCE = "source"
"""Subject kind of a source's own records; their subject id is filled in by the relay."""
SOURCE_OPENED = "source.opened"
SOURCE_CLOSED = "source.closed"
SOURCE_ABANDONED = "source.abandoned"
"""Written by the relay as the last event of a source whose owner died without closing it."""
SOURCE_FORKED = "source.forked"
"""Written by the relay as the first event of a source whose spool is a copy that went on."""
EVENT_UNREADABLE = "source.event_unreadable"
"""Stands in the place of an event that has no canonical form, so that its source goes on."""
RECORDS_LOST = "source.records_lost"
"""Says how many events could not be written while the journal was unavailable."""


def encode_intent(
    event_id: bytes,
    type_: str,
    time_us: int,
    started_us: int,
    subject: Subject,
    actor: Actor,
    payload: Mapping[str, Json],
    result: Mapping[str, Json] | None = None,
) -> bytes:
    """Body of an INTENT, or with ``result`` of a NOTE.

    Raises:
        InvalidEvent: the payload holds something that is not JSON.
    """
    try:
        text = to_text(
            (
                event_id.hex(),
                type_,
                time_us,
                started_us,
                (subject.store, subject.kind, subject.id),
                (actor.authenticated, actor.claimed),
                payload,
                result,
            ),
            _LEVELS,
        )
    except (TypeError, ValueError) as exc:
        raise InvalidEvent(
            f"the payload of {type_} can't be written as JSON of at most {MAX_LEVELS} levels"
        ) from exc
    return _to_bytes(text)


def _to_bytes(text: str) -> bytes:
    """JSON text as UTF-8.

    A lone surrogate has no place in UTF-8, and no host's database takes one: the text that
    Python shows for it (a backslash, ``ud800``) stands in its place, so that a call which the
    host is going to refuse is recorded like any other.
    """
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub(lambda match: f"\\\\u{ord(match[0]):04x}", text).encode()


def as_recorded(value: Json) -> Json:
    """A value as a recorded event gives it back: lists for tuples, no lone surrogates.

    Raises:
        InvalidEvent: something that is not JSON of at most `MAX_LEVELS` levels.
    """
    try:
        return cast("Json", from_bytes(_to_bytes(to_text(value, MAX_LEVELS)), MAX_LEVELS))
    except (TypeError, ValueError) as exc:
        raise InvalidEvent("a value that can't be written as JSON") from exc


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the recorder knew when the host's call ended."""

    status: OutcomeStatus
    ended_us: int
    subject_id: str | None = None
    result: Mapping[str, Json] | None = None
    error: str | None = None
    in_doubt: bool = False


def encode_outcome(outcome: Outcome) -> bytes:
    """Body of an OUTCOME.

    Raises:
        InvalidEvent: the result holds something that is not JSON.
    """
    try:
        text = to_text(
            (
                outcome.status,
                outcome.ended_us,
                outcome.subject_id,
                outcome.result,
                outcome.error,
                outcome.in_doubt,
            ),
            _LEVELS,
        )
    except (TypeError, ValueError) as exc:
        raise InvalidEvent(
            f"the result of a call can't be written as JSON of at most {MAX_LEVELS} levels"
        ) from exc
    return _to_bytes(text)


def decode_outcome(body: bytes) -> Outcome:
    """The inverse of `encode_outcome`.

    Raises:
        ValueError, TypeError: it is no outcome.
    """
    status, ended_us, subject_id, result, error, in_doubt = from_bytes(body, _LEVELS)
    return Outcome(
        OutcomeStatus(status),
        _time_us(ended_us),
        as_text_or_none(subject_id),
        None if result is None else as_object(result),
        as_text_or_none(error),
        in_doubt is True,
    )


def event_id_of(body: bytes) -> EventId:
    """The id in the body of an INTENT or NOTE, without decoding the rest.

    Raises:
        InvalidEvent: there is none.
    """
    try:
        if body[:2] == b'["' and body[34:36] == b'",':
            return EventId(bytes.fromhex(body[2:34].decode("ascii")))
    except ValueError:
        pass
    raise InvalidEvent("a record of a spool does not begin with the id of its event")


def decode_intent(body: bytes, source_id: SourceId, sequence: int) -> Event:
    """The event of an INTENT, with status UNDETERMINED until its outcome is known.

    Guarantee: what a log could not give back is refused, whoever wrote it.

    Raises:
        ValueError, TypeError: it is no event.
    """
    event_id, type_, time_us, started_us, subject, actor, payload, result = cast(
        "list[Any]", from_bytes(body, _LEVELS)
    )
    return Event(
        _event_id(event_id),
        as_text(type_),
        source_id,
        sequence,
        _time_us(time_us),
        OutcomeStatus.UNDETERMINED,
        Subject(*map(as_text, subject)),
        Actor(*map(as_text_or_none, actor)),
        Timing(_time_us(started_us)),
        as_object(payload),
        None if result is None else as_object(result),
    )


def _time_us(value: Any) -> int:
    if not -_MOST_US <= as_number(value) <= _MOST_US:
        raise ValueError
    return as_number(value)


def _event_id(text: Any) -> EventId:
    found = bytes.fromhex(text)
    if len(found) != _EVENT_ID_BYTES:
        raise ValueError
    return EventId(found)


def decode_note(body: bytes, source_id: SourceId, sequence: int) -> Event:
    """The event of a NOTE, which needs no outcome."""
    event = decode_intent(body, source_id, sequence)
    subject = event.subject
    if subject.kind == SOURCE:
        subject = Subject(subject.store, SOURCE, source_id.hex())
    started_us = event.timing.started_us
    return replace(
        event,
        status=OutcomeStatus.DONE,
        subject=subject,
        timing=Timing(started_us, started_us, sequence + 1),
    )


def settle(event: Event, outcome: Outcome, settled_at: int | None) -> Event:
    """``event`` (an intent) with its outcome."""
    subject = event.subject
    if outcome.subject_id is not None:
        subject = Subject(subject.store, subject.kind, outcome.subject_id)
    return Event(
        event.event_id,
        event.type,
        event.source_id,
        event.sequence,
        event.time_us,
        outcome.status,
        subject,
        event.actor,
        Timing(event.timing.started_us, outcome.ended_us, settled_at),
        event.payload,
        outcome.result,
        outcome.error,
    )


def encode_opening(deployment_id: str) -> bytes:
    """Body of a source's first record: which deployment, machine, boot and process it is of."""
    return _encode_own(
        SOURCE_OPENED,
        {
            "deployment": deployment_id,
            "host": socket.gethostname(),
            "boot": boot_id(),
            "pid": os.getpid(),
            "process": Path(sys.argv[0]).name if sys.argv else "",
        },
    )


def encode_closing(count: int) -> bytes:
    """Body of a source's last record: how many events it has."""
    return _encode_own(SOURCE_CLOSED, {"events": count})


def _encode_own(type_: str, payload: Mapping[str, Json]) -> bytes:
    clock = SystemClock()
    subject = Subject("", SOURCE, "")
    return encode_intent(
        new_event_id(), type_, clock.time_us(), clock.monotonic_us(), subject, Actor(), payload
    )


def boot_id() -> str:
    """What tells this boot of this machine from any other; its monotonic clock is one clock."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        pass
    import subprocess

    try:
        answer = subprocess.run(
            ["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=True
        )
        return answer.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        # No boot is like another then: order falls back to log order and claimed time.
        return os.urandom(16).hex()
