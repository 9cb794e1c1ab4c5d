"""What an event says for sure: the parts of it that are in the database."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from chain_client.events import APPLIED, Event, OutcomeStatus, Subject
from chain_client.traces import Gap, Logged, LoggedEvent, Node, by_time


def parts_of(event: Event) -> dict[str, Any]:
    """The payload; of a partly applied event, what of it is there; nothing of one that failed."""
    if event.status in APPLIED:
        return dict(event.payload)
    if event.status is OutcomeStatus.PARTLY_APPLIED:
        return dict(event.detail or {})
    return {}


def is_said(event: Event) -> bool:
    """Whether something of it is in the database."""
    return event.status in APPLIED or event.status is OutcomeStatus.PARTLY_APPLIED


def applied(
    subject: Subject,
    logged: Logged,
    types: Collection[str],
    *,
    below: bool = False,
    containing: Collection[str] = (),
) -> Iterator[tuple[LoggedEvent, Event]]:
    """Events that changed something, of those that can be read; see `Logged.events`.

    Those of one subject in the order of time, others in log order.
    """
    events = logged.events(subject, below=below, types=types, containing=containing)
    for found in events if below else by_time(events):
        if found.event is not None and is_said(found.event):
            yield found, found.event


def unreadable(node: Node, subject: Subject, logged: Logged) -> Iterator[Gap]:
    """A gap for each entry of a subject that has lost its payload."""
    # No type is called so: what is found has none that can be read.
    for found in logged.events(subject, types=("",)):
        yield Gap(node, f"the payload of entry {found.index} was erased", found)


def who(event: Event) -> str | None:
    """Who did it, as far as anybody said."""
    return event.actor.authenticated or event.actor.claimed


def texts(pairs: Any) -> dict[str, str]:
    """Tags by key, of a call's list or of a baseline's object."""
    if isinstance(pairs, dict):
        return {str(key): str(value) for key, value in pairs.items() if value is not None}
    return {str(pair[0]): str(pair[1]) for pair in pairs or () if pair[1] is not None}
