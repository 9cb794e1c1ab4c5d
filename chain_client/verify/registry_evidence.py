"""What the log and the spools hold of governance in one database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chain_client.errors import ChainError, InvalidEvent
from chain_client.event_codec import decode_event
from chain_client.events import Event, Subject
from chain_client.gate.emergency_files import EMERGENCY_SIGNED, EMERGENCY_SUBJECT
from chain_client.hosts import Recorded, Remark
from chain_client.log import Log
from chain_client.registry.returns import ReturnDocument
from chain_client.sync.hosting import TARGET_MOVED, TARGET_SUBJECT
from chain_client.sync.timeline import Timeline
from chain_client.types import Address, Digest, from_hex
from chain_client.verify.registry_attempts import Emergency, show_us
from chain_client.verify.spooled import Spooled


def recorded_by(log: Log, spooled: Spooled, store_id: str) -> Recorded:
    """Gives what was recorded of a subject of a database, wherever it stands now."""

    def recorded(kind: str, subject_id: str, below: bool) -> Iterator[Event]:
        key = Subject(store_id, kind, subject_id).to_key()
        known = set()
        for entry in log.find_events(key, exact=not below):
            try:
                event = decode_event(entry.event or b"")
            except InvalidEvent:
                continue  # the step on leaves has named it
            known.add(event.event_id)
            yield event
        for event in spooled.events.values():
            found = event.subject.to_key()
            is_there = found.startswith(key) if below else found == key
            if is_there and event.event_id not in known:
                yield event

    return recorded


def read_emergencies(recorded: Recorded, timeline: Timeline) -> Iterator[tuple[Emergency, Remark]]:
    """What enough approvers signed while the chain was out of reach, with a word for people.

    One whose signatures do not hold, or are too few, counts for nothing.
    """
    for event in recorded(EMERGENCY_SUBJECT, "", True):
        if event.type != EMERGENCY_SIGNED:
            continue
        try:
            document = ReturnDocument.from_json(event.payload.get("return"))
            signatures: Any = event.payload.get("signatures")
            signers = {_signer(document, who, text) for who, text in signatures}
        except (ChainError, TypeError, ValueError):
            continue
        if not _are_enough(timeline, document, signers - {None}, event.time_us / 1e6):
            continue
        key = (document.model_id, document.target_id)
        wanted = f"version {document.version}" if document.version else "no version"
        remark = Remark(
            f"model {document.model.name}/{document.target}",
            f"{len(signers)} approvers signed offline for {wanted} at {show_us(event.time_us)}",
        )
        yield Emergency(key, document.version, event.time_us), remark


def read_moves(recorded: Recorded) -> Iterator[Remark]:
    """What sync found moved past the gate, and set back."""
    for event in recorded(TARGET_SUBJECT, "", True):
        if event.type == TARGET_MOVED:
            payload = event.payload
            yield Remark(
                f"model {payload.get('model')}/{payload.get('target')}",
                f"it was moved past the gate to {payload.get('found')} and set back at "
                f"{show_us(event.time_us)}",
            )


def _signer(document: ReturnDocument, who: str, signature: str) -> Address | None:
    claimed = Address(from_hex(who, size=20))
    found = document.statement().find_signer(from_hex(signature))
    return claimed if found == claimed else None


def _are_enough(
    timeline: Timeline, document: ReturnDocument, signers: set[Any], at_s: float
) -> bool:
    policy = timeline.policy_at((document.model_id, document.target_id), at_s)
    if policy is None:
        return False
    seats = timeline.state.groups.get(Digest(policy.group), [])
    members = {
        seat.address
        for seat in seats
        if seat.since_s <= at_s and (seat.until_s is None or at_s < seat.until_s)
    }
    return len(signers & members) >= policy.threshold
