"""Drafts: what the gate refused, kept so that somebody with a key can propose it.

A draft is an event of the log, ``promotion.refused`` with ``Subject(store_id, "draft", <id>)``.
Signatures here are stable.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

from chain_client.errors import ChainError, InvalidEvent, UnknownName
from chain_client.event_codec import decode_event
from chain_client.events import Actor, Event, Json, Subject
from chain_client.log import Log
from chain_client.registry.documents import Records
from chain_client.registry.targets import Target

PROMOTION_REFUSED = "promotion.refused"


@dataclass(frozen=True, slots=True)
class Draft:
    """A change that the gate refused.

    Args:
        id: 16 hex digits.
        store_id: of the host's database.
        workspace: of the model; empty where there are none.
        model: name of the registered model.
        version: that was to become current; None where the target was to be left or removed.
        target: the alias or stage.
        reason: why it was refused, in words.
        actor: who asked; only ``authenticated`` is known to be true.
        time_us: wall time, in µs since the epoch.
        mode: ``enforce``, or ``warn`` where it was only written down.
    """

    id: str
    store_id: str
    workspace: str
    model: str
    version: int | None
    target: Target
    reason: str
    actor: Actor = field(default_factory=Actor)
    time_us: int = 0
    mode: str = "enforce"

    @property
    def who(self) -> str:
        """Who asked: the authenticated name, else the claimed one in brackets, else nobody."""
        if self.actor.authenticated:
            return self.actor.authenticated
        return f"({self.actor.claimed})" if self.actor.claimed else "unknown"


def new_draft_id() -> str:
    """A fresh id."""
    return secrets.token_hex(8)


def note_draft(records: Records, draft: Draft) -> None:
    """Note a draft; its time is that of the event.

    Raises:
        SpoolUnavailable: the journal can't be written.
    """
    payload: dict[str, Json] = {
        "workspace": draft.workspace,
        "model": draft.model,
        "version": draft.version,
        "target": str(draft.target),
        "reason": draft.reason,
        "mode": draft.mode,
    }
    subject = Subject(draft.store_id, "draft", draft.id)
    records.note(PROMOTION_REFUSED, subject, payload, actor=draft.actor, required=True)


def list_drafts(log: Log, prefix: str = "") -> Iterator[Draft]:
    """Every refused attempt whose draft's id begins so, database by database, oldest first.

    Attempts that are alike may share an id.
    """
    for store_id in sorted(log.stores()):
        for entry in log.find_events(Subject(store_id, "draft", prefix).to_key()):
            try:
                draft = _draft(decode_event(entry.event or b""))
            except InvalidEvent:
                continue  # verify names it
            if draft is not None:
                yield draft


def find_draft(log: Log, id_: str) -> Draft | None:
    """The latest draft of exactly that id."""
    found = None
    for draft in list_drafts(log, id_):
        found = draft if draft.id == id_ else found
    return found


def get_draft(log: Log, prefix: str) -> Draft:
    """The one draft whose id begins so.

    Raises:
        UnknownName: there is none, or there are several.
    """
    found = {draft.id: draft for draft in list_drafts(log, prefix)}
    if len(found) != 1:
        count = "no draft" if not found else f"{len(found)} drafts"
        raise UnknownName(f"{count} with an id that begins with {prefix[:40]!r}")
    return found.popitem()[1]


def _draft(event: Event) -> Draft | None:
    payload = event.payload
    workspace, model = payload.get("workspace"), payload.get("model")
    target, reason, mode = payload.get("target"), payload.get("reason"), payload.get("mode")
    version = payload.get("version")
    if event.type != PROMOTION_REFUSED or (version is not None and type(version) is not int):
        return None
    if not (isinstance(workspace, str) and isinstance(model, str) and isinstance(target, str)):
        return None
    try:
        parsed = Target.parse(target)
    except ChainError:
        return None
    return Draft(
        id=event.subject.id,
        store_id=event.subject.store,
        workspace=workspace,
        model=model,
        version=version,
        target=parsed,
        reason=reason if isinstance(reason, str) else "",
        actor=event.actor,
        time_us=event.time_us,
        mode=mode if isinstance(mode, str) else "enforce",
    )
