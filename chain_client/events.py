"""What an event is. How it becomes bytes lives in `commitments`; where it is kept, in `log`.

An event is one write call of the host. Its header is public in the leaf; its fields (subject,
actor, timing, and the parts of the payload) appear there only as salted commitments.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from chain_client.types import EventId, SourceId

Json: TypeAlias = (
    "bool | int | float | str | list[Json] | tuple[Json, ...] | dict[str, Json] | None"
)

SCHEMA_VERSION = 1
"""Version of the leaf data's format; part of every leaf."""

RESERVED_FIELDS = frozenset({"subject", "actor", "timing", "result", "error", "detail"})
"""Field names that the core gives; payload parts must not use them."""


class OutcomeStatus(StrEnum):
    """What is known about the host's call."""

    DONE = "done"
    """The call returned."""
    FAILED = "failed"
    """The call raised, and nothing of it is in the host."""
    RECOVERED = "recovered"
    """The process died or the call raised, and the host holds all of it."""
    NOT_APPLIED = "not_applied"
    """The process died, and the host holds nothing of it."""
    PARTLY_APPLIED = "partly_applied"
    """The host holds a part, named in the field ``detail``."""
    UNDETERMINED = "undetermined"
    """Nobody can know; verification accepts either."""


APPLIED = frozenset({OutcomeStatus.DONE, OutcomeStatus.RECOVERED})
"""The states in which the whole change is claimed to have happened."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acted.

    Args:
        authenticated: the name a server or proxy has authenticated. Only this satisfies a policy.
        claimed: the name the caller gave itself, such as ``mlflow.user``.
    """

    authenticated: str | None = None
    claimed: str | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """The host's entity that an event changed.

    Args:
        store: id of the host's database, minted when it was adopted.
        kind: such as ``run``, ``experiment``, ``model_version``.
        id: the host's own id.
    """

    store: str
    kind: str
    id: str

    def to_key(self) -> str:
        """Text by which the log finds all events of a subject."""
        return f"{self.store}/{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class Timing:
    """When the call ran, for deciding what preceded what.

    Args:
        started_us: monotonic clock at the intent, in µs.
        ended_us: monotonic clock at the outcome, in µs; None if no outcome was written.
        settled_at: number of sequences the source had given when the outcome was written; None
            if no outcome was written. Event A of a source precedes event B of the same source
            exactly if ``A.settled_at <= B.sequence``.
    """

    started_us: int
    ended_us: int | None = None
    settled_at: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One write call of the host, with its outcome.

    Args:
        event_id: UUIDv7.
        type: past-tense name, such as ``run.created``.
        source_id: the spool it came through.
        sequence: its place in that source, from 0, without gaps.
        time_us: claimed wall time of the intent, in µs since the epoch.
        status: what is known about the call.
        subject: the entity it changed.
        actor: who acted.
        timing: monotonic bracket of the call.
        payload: the parts of the change by name; each gets a commitment of its own, and a list
            gets one for each item under one root. Never a name of `RESERVED_FIELDS`.
        result: what the host's call minted or returned, such as a run id; None if nothing.
        error: class of the error the call raised, or None. Never its text.
        detail: for a partly applied call, what of it is there; for one that nobody knows the end
            of, what was seen instead, if anything; None otherwise.
    """

    event_id: EventId
    type: str
    source_id: SourceId
    sequence: int
    time_us: int
    status: OutcomeStatus
    subject: Subject
    actor: Actor
    timing: Timing
    payload: Mapping[str, Json] = field(default_factory=dict)
    result: Mapping[str, Json] | None = None
    error: str | None = None
    detail: Mapping[str, Json] | None = None

    def to_fields(self) -> dict[str, Json]:
        """Everything that is committed, by field name, in JSON form.

        Fields that are absent (`result`, `error`, `detail` when None) are left out.
        """
        fields: dict[str, Json] = {
            "subject": [self.subject.store, self.subject.kind, self.subject.id],
            "actor": [self.actor.authenticated, self.actor.claimed],
            "timing": [self.timing.started_us, self.timing.ended_us, self.timing.settled_at],
        }
        if self.result is not None:
            fields["result"] = dict(self.result)
        if self.error is not None:
            fields["error"] = self.error
        if self.detail is not None:
            fields["detail"] = dict(self.detail)
        fields.update(self.payload)
        return fields


LIST_FIELDS_EXCLUDED = frozenset({"subject", "actor", "timing"})
"""Fields that are JSON lists by form, and yet committed as one value."""


def new_event_id() -> EventId:
    """A fresh UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return EventId(value.to_bytes(16, "big"))
